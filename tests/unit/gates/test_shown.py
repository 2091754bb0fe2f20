"""An answer counts for what its card showed, and for nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from migrator.gates.shown import EVENT, REVIEW, Shown, asked_again, difference
from migrator.ledger.rows import LedgerEvent
from tests.factories import NOW

SHOWN = Shown("sha256:p1", "sha256:e1")


def event(kind: str, *, run_id: str = "run-1", **detail: Any) -> LedgerEvent:
    return LedgerEvent(1, NOW, kind, "001_test", run_id, "alice", detail, "", "")


REFUSED = event(EVENT, review=1, answer="Approve", reason="plan sha256:p2 lies there, the card showed sha256:p1")


def test_the_same_counts() -> None:
    assert difference(SHOWN, Shown("sha256:p1", "sha256:e1")) is None


@pytest.mark.parametrize(
    "shown, found, words",
    [
        (SHOWN, Shown("sha256:p2", "sha256:e1"), "plan sha256:p2 lies there, the card showed sha256:p1"),
        (SHOWN, Shown("sha256:p1", "sha256:e2"), "evidence sha256:e2 lies there, the card showed sha256:e1"),
        (SHOWN, Shown("sha256:p2", "sha256:e2"), "; evidence"),
        (SHOWN, None, "does not lie there any more: it is gone"),
        (None, SHOWN, "without the digests"),
        (None, None, "without the digests"),
    ],
)
def test_anything_else_does_not(shown: Shown | None, found: Shown | None, words: str) -> None:
    assert words in (difference(shown, found, unreadable="it is gone") or "")


@pytest.mark.parametrize("data", [None, {}, {"plan": "sha256:p1"}, {"plan": "sha256:p1", "evidence": 7}])
def test_what_did_not_travel_whole_is_nothing(data: dict[str, Any] | None) -> None:
    assert Shown.read(data) is None


def test_it_travels_whole() -> None:
    assert Shown.read(SHOWN.to_dict()) == SHOWN


def test_the_new_card_tells_why_it_is_asked_again() -> None:
    said = asked_again([event(REVIEW), REFUSED], run_id="run-1", number=1)
    assert "alice answered 'Approve'" in said
    assert "the card showed sha256:p1" in said


@pytest.mark.parametrize(
    "events, run_id, number",
    [
        ([], "run-1", 1),
        ([REFUSED], "run-2", 1),
        ([REFUSED], "run-1", 2),
        ([REFUSED, event(REVIEW)], "run-1", 1),
    ],
)
def test_otherwise_it_tells_nothing(events: list[LedgerEvent], run_id: str, number: int) -> None:
    assert asked_again(events, run_id=run_id, number=number) == ""
