"""What a person has to do at the end of a run, in words that Airflow's pages have, too."""

from __future__ import annotations

from migrator.ledger.rows import LedgerMigration, MigrationStatus
from migrator.run import RunContext
from migrator.stages.outcome import next_step
from tests.unit.ledger_rows import migration_row, step_row

RUN = RunContext(run_id="run-1", version="001_test", target="test", actor="tester")


def todo(row: LedgerMigration | None) -> str:
    return next_step(None, row, (step_row(),), (), run=RUN, version="001_test", same_content=True)


def test_no_task_is_named_after_a_step_that_nobody_declared() -> None:
    found = todo(migration_row(status=MigrationStatus.ROLLED_BACK))
    assert "clear preflight (or the first task of the group apply) with downstream" in found
    assert "'sql'" not in found


def test_what_the_failed_task_says_goes_first() -> None:
    assert "see what the task that failed says, and clear what it names" in todo(None)
