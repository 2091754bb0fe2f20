"""What a row that says running means: every combination of run, session and effect."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from migrator.ledger.rows import LedgerEvent, StepStatus
from migrator.operations.reconcile import EVENT, GRACE, Report, RunState, State, decide, is_news
from tests.unit.ledger_rows import AT, migration_row, step_row

LONG_AGO = AT - GRACE - timedelta(seconds=1)
DONE = step_row(status=StepStatus.SUCCESS)
FAILED = step_row(status=StepStatus.FAILED)
"""Of one transaction: nothing of it is left."""
HALF = step_row(status=StepStatus.FAILED, cursor={"statements_done": 2})


def judged(*steps: Any, state: RunState, alive: tuple[int, ...] = (), **row: Any) -> Report:
    return decide(migration_row(**row), steps, target="production", state=state, alive=alive, now=AT)


@pytest.mark.parametrize(
    "steps, state, alive, expected",
    [
        ((FAILED,), RunState.ACTIVE, (), State.AT_WORK),
        ((DONE,), RunState.ACTIVE, (), State.AT_WORK),
        ((step_row(status=StepStatus.RUNNING, started_at=LONG_AGO),), RunState.ACTIVE, (), State.INTERRUPTED),
        ((step_row(status=StepStatus.RUNNING, started_at=LONG_AGO),), RunState.ACTIVE, (7,), State.AT_WORK),
        ((step_row(status=StepStatus.RUNNING, started_at=AT),), RunState.ACTIVE, (), State.AT_WORK),
        ((HALF,), RunState.ELSEWHERE, (), State.AT_WORK),
        ((FAILED,), RunState.ELSEWHERE, (), State.AT_WORK),
        ((FAILED,), RunState.OVER, (), State.CLOSED),
        ((step_row(status=StepStatus.RUNNING, started_at=AT),), RunState.GONE, (), State.CLOSED),
        ((), RunState.GONE, (), State.CLOSED),
        ((DONE,), RunState.OVER, (), State.STUCK),
        ((HALF,), RunState.GONE, (), State.STUCK),
        ((FAILED,), RunState.OVER, (7,), State.ORPHANED),
        ((DONE,), RunState.GONE, (7,), State.ORPHANED),
    ],
)
def test_every_combination(steps: tuple[Any, ...], state: RunState, alive: tuple[int, ...], expected: State) -> None:
    report = judged(*steps, state=state, alive=alive)
    assert report.state is expected
    assert report.wants_a_person is (expected in (State.INTERRUPTED, State.STUCK, State.ORPHANED))
    assert "001_test" in report.text
    assert "run-1" in report.text


def test_it_says_what_to_do() -> None:
    assert "clear verify" in judged(DONE, state=RunState.OVER, applied_at=AT).text
    assert "migrator ledger repair 001_test" in judged(HALF, state=RunState.GONE).text
    assert "pg_terminate_backend(7)" in judged(HALF, state=RunState.GONE, alive=(7,)).text


def event(kind: str, **detail: Any) -> LedgerEvent:
    at = datetime.now(timezone.utc)
    return LedgerEvent(1, at, kind, "001_test", "housekeeping", "housekeeping", detail, "p", "h")


def test_people_are_told_once() -> None:
    report = judged(HALF, state=RunState.GONE)
    told = event(EVENT, state="stuck", held_by="run-1")
    assert is_news(report, ())
    assert not is_news(report, (event("step_failed"), told))
    assert is_news(report, (told, event("step_failed"))), "something happened since"
    assert is_news(report, (event(EVENT, state="orphaned", held_by="run-1"),))
    assert is_news(report, (event(EVENT, state="stuck", held_by="run-0"),)), "that was another run"
