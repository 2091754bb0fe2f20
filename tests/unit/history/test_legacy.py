"""A table of applied migrations that was kept by hand: what its rows say, and which of them is right."""

from __future__ import annotations

from typing import Any

import pytest

from migrator.history import legacy

LATER = {"applied_at": "2025-04-01 00:00:00"}
APPLIED = {"version": "001_x", "status": "applied", "applied_at": "2025-03-01 00:00:00"}


@pytest.mark.parametrize(
    "said, why",
    [
        ({"success": "f"}, "its success is 'f'"),
        ({"success": None}, "its success is empty"),
        ({"applied": "false"}, "its applied is 'false'"),
        ({"state": "failed"}, "its state is 'failed'"),
        ({"status": "running"}, "its status is 'running'"),
        ({"status": "Key (email)=(a@example.com) exists"}, "its status is no word for that"),
        ({"failed": "t"}, "it has a value of failed"),
        ({"status": "applied", "rolled_back": "t"}, "it has a value of rolled_back"),
        ({"rolled_back_at": "2025-04-01 00:00:00"}, "it has a value of rolled_back_at"),
        ({"reverted_by": "ann"}, "it has a value of reverted_by"),
        ({"rollback_at": "2025-04-01"}, "it has a value of rollback_at"),
        ({"failed_at": "2025-04-01"}, "it has a value of failed_at"),
        ({"dirty": "t"}, "it is marked dirty"),
        ({"type": "ROLLBACK"}, "its type is 'ROLLBACK'"),
        ({"error": "canceled"}, "it has an error"),
        ({"started_at": "2025-04-01", "finished_at": None}, "it was started, and no time says that it was done"),
    ],
)
def test_what_says_that_it_is_not_applied(said: dict[str, Any], why: str) -> None:
    (row,) = legacy.read([{"version": "001_x", "applied_at": "2025-03-01 00:00:00", **said, **_no_end(said)}])
    assert row.not_applied_because == why


def _no_end(said: dict[str, Any]) -> dict[str, Any]:
    return {"applied_at": None} if "started_at" in said else {}


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"applied_at": None},
        {"success": "t", "failed": "f", "rolled_back": "false", "rolled_back_at": None, "dirty": "f"},
        {"status": "Completed", "error_message": "", "rollback_available": "t", "type": "schema"},
        {"status": "success", "error_message": "a warning"},
        {"applied": "2025-03-01 10:11:12+00"},
        {"state": None, "status": "applied"},
        {"started_at": "2025-03-01 10:11:12", "finished_at": "2025-03-01 10:11:13"},
    ],
)
def test_what_says_that_it_is_applied(said: dict[str, Any]) -> None:
    (row,) = legacy.read([{"version": "001_x", **said}])
    assert row.not_applied_because is None


@pytest.mark.parametrize(
    "rows, why",
    [
        ([APPLIED, {**APPLIED, **LATER, "status": "rolled_back"}], "its status is 'rolled_back'"),
        ([{**APPLIED, **LATER, "status": "rolled_back"}, APPLIED], "its status is 'rolled_back'"),
        ([{**APPLIED, "status": "failed"}, {**APPLIED, **LATER, "version": "001_x.sql"}], None),
        ([APPLIED, {**APPLIED, "version": "001_x.sql"}], None),
        ([{"version": "001_x", "status": "applied", "id": "9"}, {"version": "001_x", "status": "down", "id": "10"}],
         "its status is 'down'"),
        ([APPLIED, {"version": "001_x", "status": "rolled_back"}], "which is the later one cannot be told"),
    ],
)  # fmt: skip
def test_the_latest_row_is_right(rows: list[dict[str, Any]], why: str | None) -> None:
    (row,) = legacy.read(rows)
    assert why in (row.not_applied_because or "") if why else row.not_applied_because is None


@pytest.mark.parametrize("later", [{"version": "001_x_rollback"}, {"version": "1", "status": "reverted"}])
def test_a_row_that_has_another_name_in_the_catalogue(later: dict[str, str]) -> None:
    rows = legacy.read([APPLIED, {**APPLIED, **LATER, **later}])
    (row,) = legacy.merged(legacy.as_catalogued(row, ["001_x"]) for row in rows)
    assert (row.version, row.not_applied_because is None) == ("001_x", False)
    assert legacy.as_catalogued(rows[1], ["001_x_rollback", "1"]).version == later["version"]
