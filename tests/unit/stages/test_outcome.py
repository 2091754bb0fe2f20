"""What a person has to do at the end of a run, in words that Airflow's pages have, too."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from migrator.ledger.rows import LedgerEvent, LedgerMigration, MigrationStatus
from migrator.run import RunContext
from migrator.stages.outcome import describe, next_step
from tests.unit.ledger_rows import AT, migration_row, step_row

RUN = RunContext(run_id="run-1", version="001_test", target="test", actor="tester")


def todo(row: LedgerMigration | None) -> str:
    return next_step(None, row, (step_row(),), (), run=RUN, version="001_test", same_content=True)


def test_no_task_is_named_after_a_step_that_nobody_declared() -> None:
    found = todo(migration_row(status=MigrationStatus.ROLLED_BACK))
    assert "clear preflight (or the first task of the group apply) with downstream" in found
    assert "'sql'" not in found


def test_what_the_failed_task_says_goes_first() -> None:
    assert "see what the task that failed says, and clear what it names" in todo(None)


@pytest.mark.parametrize("kind", ["rollback_differs", "rollback_lost", "rollback_set_back"])
@pytest.mark.parametrize("run_id", ["run-1", "an earlier one"])
def test_what_a_rollback_has_not_given_back_is_not_as_before(kind: str, run_id: str) -> None:
    """Whichever run has undone it; until it is begun anew."""
    row = migration_row(status=MigrationStatus.ROLLED_BACK)
    detail = {"differences": ["- grant view public.v"], "told": ["public.t"]}
    events = [event("begin", run_id), event("rolled_back", run_id), event(kind, run_id, detail)]

    def said() -> str:
        return describe(None, row, (), events, run=RUN, version="001_test", target="test").text

    assert "the database is NOT as before" in said()
    assert "the database is as before" not in said()
    events += [event("begin", "run-2"), event("rolled_back", "run-2")]
    assert "nobody has compared the database with what was there before" in said()
    events.append(event("rollback_compared", "run-2", {"rehearsed": False}))
    assert "the schema is as before; that the rows are, nobody has compared" in said()
    events[-1] = event("rollback_compared", "run-2", {"rehearsed": True})
    assert "the database is as before" in said()
    events.append(event("repair", "run-2", {"status": "rolled_back"}))
    assert "nobody has compared the database" in said()


def test_an_answer_at_a_gate_is_told_with_its_comment() -> None:
    detail = {"step": "deployed", "decision": "no", "comment": "two are old"}
    told = [event("begin", "run-1"), event("gate_answered", "run-1", detail)]
    text = describe(None, migration_row(), (), told, run=RUN, version="001_test", target="test").text
    assert f"\n- gate deployed: tester answered at {AT:%H:%M:%S}, no: two are old\n" in text


def event(kind: str, run_id: str, detail: Mapping[str, Any] = MappingProxyType({})) -> LedgerEvent:
    return LedgerEvent(1, AT, kind, "001_test", run_id, "tester", detail, "", "")
