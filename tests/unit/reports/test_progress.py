"""How far a step is, and why nothing goes on, in one line."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from migrator.ledger.controls import Asked, Control
from migrator.ledger.rows import StepStatus
from migrator.reports.progress import progress_of
from tests.unit.ledger_rows import step_row

SINCE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
PAUSED = Control(paused=Asked("ada", SINCE, "a sale"))
CURSOR = {"pages_done": 50, "pages_total": 200, "rate": 1200.0, "left_seconds": 330.0}
TOLD = {"reason": "standby 's1' is 65 MB behind", "since": SINCE.isoformat()}


def line(control: Control, **over: Any) -> str:
    row = step_row(**{"step": "fill", "status": StepStatus.RUNNING, "rows_done": 2500, "cursor": CURSOR, **over})
    (found,) = progress_of([row], control)
    return str(found)


@pytest.mark.parametrize(
    "over, control, told",
    [
        ({}, Control(), "fill: running, 25 %, 2,500 rows, 1,200 a second, 5 min 30 s left"),
        (
            {"rows_total": 9999},
            Control(),
            "fill: running, 25 %, 2,500 rows of about 9,999, 1,200 a second, 5 min 30 s left",
        ),
        ({}, PAUSED, "fill: paused, 25 %, 2,500 rows, 1,200 a second; by ada: a sale since 2026-01-02 03:04:05"),
        (
            {"cursor": CURSOR | {"waiting": TOLD}},
            Control(),
            "fill: throttled, 25 %, 2,500 rows, 1,200 a second; standby 's1' is 65 MB behind since 2026-01-02 03:04:05",
        ),
        (
            {"cursor": CURSOR | {"slowed": TOLD}},
            Control(),
            "fill: slowed, 25 %, 2,500 rows, 1,200 a second, 5 min 30 s left; standby 's1' is 65 MB behind since"
            " 2026-01-02 03:04:05",
        ),
        (
            {"cursor": CURSOR | {"quarantined": {"17": [[0, 7], [3, 1]], "18": [[2, 2]]}}},
            Control(),
            "fill: running, 25 %, 2,500 rows, 1,200 a second, 5 min 30 s left, 3 rows left out",
        ),
        ({"status": StepStatus.SUCCESS}, PAUSED, "fill: success, 100 %, 2,500 rows"),
        ({"status": StepStatus.FAILED, "cursor": CURSOR | {"waiting": TOLD}}, PAUSED, "fill: failed, 25 %, 2,500 rows"),
        ({"status": StepStatus.PENDING, "cursor": {}, "rows_done": None}, PAUSED, "fill: pending"),
        (
            {"kind": "create_index", "cursor": {}, "rows_done": 10, "rows_total": 40},
            Control(),
            "fill: running, 25 %, 10 rows of about 40",
        ),
    ],
)
def test_one_line(over: dict[str, Any], control: Control, told: str) -> None:
    assert line(control, **over) == told
