"""What people have asked of a migration, from the ledger's events."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from migrator.ledger.controls import Control, control_of
from migrator.ledger.rows import LedgerEvent

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def events(*kinds: tuple[str, dict[str, Any]]) -> list[LedgerEvent]:
    return [
        LedgerEvent(
            id=number,
            at=NOW + timedelta(minutes=number),
            kind=kind,
            version="001",
            run_id="cli:1",
            actor="ada",
            detail={"reason": "a sale", **detail},
            prev_hash="",
            hash="",
        )
        for number, (kind, detail) in enumerate(kinds)
    ]


def test_the_newest_counts() -> None:
    assert control_of(events()) == Control()
    paused = control_of(events(("pause", {}))).paused
    assert str(paused) == "by ada at 2026-01-02 03:04:05 UTC: a sale"
    assert control_of(events(("pause", {}), ("resume", {}))) == Control()
    again = control_of(events(("pause", {}), ("resume", {}), ("pause", {}))).paused
    assert again is not None
    assert again.at == NOW + timedelta(minutes=2)


def test_tuning_one_of_two_leaves_the_other() -> None:
    found = control_of(events(("tune", {"batch_ms": 50}), ("tune", {"pause_ms": 0})))
    assert (found.batch_ms, found.pause_ms) == (50, 0)
    assert found.paused is None


def test_what_is_over_begins_anew() -> None:
    for end in ("verified", "rolled_back"):
        assert control_of(events(("pause", {}), ("tune", {"batch_ms": 50}), (end, {}))) == Control()


def test_a_failure_and_a_new_attempt_forget_nothing() -> None:
    found = control_of(events(("pause", {}), ("failed", {}), ("begin", {}), ("step_started", {})))
    assert found.paused is not None
