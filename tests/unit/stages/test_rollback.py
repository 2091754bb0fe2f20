"""What a teardown does about the ledger as it is: each status, whose run it is, what took effect, what was declared."""

from __future__ import annotations

from typing import Any

import pytest

from migrator.ledger.rows import STATEMENTS_DONE, LedgerMigration, LedgerStep, MigrationStatus, StepStatus, took_effect
from migrator.plan import OnFailure
from migrator.steps.undo_decision import Action, Decision, decide
from tests.unit.ledger_rows import AT, migration_row, step_row

DONE = step_row(status=StepStatus.SUCCESS)
NOT_BEGUN = step_row()
FAILED_IN_TRANSACTION = step_row(status=StepStatus.FAILED)
FAILED_HALFWAY = step_row(status=StepStatus.FAILED, cursor={STATEMENTS_DONE: 2})
INTERRUPTED = step_row(status=StepStatus.RUNNING, cursor={"statement": 0, "state": "intent", STATEMENTS_DONE: 0})
UNDONE = step_row(status=StepStatus.ROLLED_BACK, cursor={STATEMENTS_DONE: 3})


def decision(row: LedgerMigration | None, *steps: LedgerStep, **over: Any) -> Decision:
    options: dict[str, Any] = {"run_id": "run-1", "on_failure": OnFailure.ROLLBACK, "has_script": True}
    return decide(row, steps, **{**options, **over})


@pytest.mark.parametrize(
    "step, expected",
    [
        (DONE, True),
        (NOT_BEGUN, False),
        (FAILED_IN_TRANSACTION, False),
        (FAILED_HALFWAY, True),
        (INTERRUPTED, True),
        (UNDONE, False),
    ],
)
def test_took_effect(step: LedgerStep, expected: bool) -> None:
    assert took_effect(step) is expected


@pytest.mark.parametrize(
    "row, steps, over, action, close",
    [
        (None, (), {}, "nothing", False),
        (migration_row(), (NOT_BEGUN,), {}, "nothing", True),
        (migration_row(), (FAILED_IN_TRANSACTION,), {}, "nothing", True),
        (migration_row(status=MigrationStatus.FAILED), (FAILED_IN_TRANSACTION,), {}, "nothing", False),
        (migration_row(), (DONE,), {}, "rolled_back", False),
        (migration_row(applied_at=AT), (DONE,), {}, "rolled_back", False),
        (migration_row(), (FAILED_HALFWAY,), {}, "rolled_back", False),
        (migration_row(), (INTERRUPTED,), {}, "rolled_back", False),
        (migration_row(status=MigrationStatus.FAILED), (DONE,), {}, "rolled_back", False),
        (migration_row(), (DONE, NOT_BEGUN), {}, "rolled_back", False),
        (migration_row(), (DONE,), {"has_script": False}, "held", True),
        (migration_row(), (DONE,), {"on_failure": OnFailure.HOLD}, "held", True),
        (migration_row(), (DONE,), {"on_failure": OnFailure.ASK}, "held", True),
        (migration_row(status=MigrationStatus.FAILED), (DONE,), {"on_failure": OnFailure.ASK}, "held", False),
        (migration_row(), (NOT_BEGUN,), {"on_failure": OnFailure.ASK}, "nothing", True),
        (migration_row(), (DONE,), {"on_failure": OnFailure.ASK, "force": True}, "rolled_back", False),
        (migration_row(), (DONE,), {"has_script": False, "force": True}, "held", True),
        (migration_row(), (DONE,), {"run_id": "run-2"}, "nothing", False),
        (migration_row(), (DONE,), {"run_id": "run-2", "force": True}, "rolled_back", False),
        (migration_row(status=MigrationStatus.SUCCESS), (DONE,), {}, "kept_verified", False),
        (migration_row(status=MigrationStatus.SUCCESS), (DONE,), {"run_id": "run-2"}, "kept_verified", False),
        (migration_row(status=MigrationStatus.SUCCESS), (DONE,), {"force": True}, "rolled_back", False),
        (migration_row(status=MigrationStatus.ROLLED_BACK), (UNDONE,), {}, "nothing", False),
        (migration_row(status=MigrationStatus.ROLLED_BACK), (UNDONE,), {"force": True}, "nothing", False),
        (migration_row(status=MigrationStatus.ROLLBACK_FAILED), (DONE,), {}, "held", False),
        (migration_row(status=MigrationStatus.ROLLBACK_FAILED), (DONE,), {"force": True}, "rolled_back", False),
    ],
)
def test_decision(
    row: LedgerMigration | None, steps: tuple[LedgerStep, ...], over: dict[str, Any], action: str, close: bool
) -> None:
    found = decision(row, *steps, **over)
    assert (found.action.value, found.close) == (action, close)
    assert found.reason


def test_every_hold_says_what_to_do() -> None:
    assert "forward fix" in decision(migration_row(), DONE, has_script=False).reason
    assert "on_failure: ask" in decision(migration_row(), DONE, on_failure=OnFailure.ASK).reason
    failed = decision(migration_row(status=MigrationStatus.ROLLBACK_FAILED, error_message="boom"), DONE)
    assert "boom" in failed.reason
    assert "migrator ledger repair 001_test" in failed.reason
    assert decision(migration_row(), DONE, step_row(step="later")).reason == "undoing sql"
    assert set(Action) == {"nothing", "rolled_back", "held", "kept_verified"}
