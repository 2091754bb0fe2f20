"""Step kind `sql`: the statements of a file, in one transaction where PostgreSQL allows it, else one by one."""

from __future__ import annotations

from migrator.plan import Step, StepKind
from migrator.steps import piecewise, transaction
from migrator.steps.context import StatementResult, StepContext

KIND = StepKind.SQL


def describe(step: Step) -> str:
    count = f"{len(step.statements)} statement{'' if len(step.statements) == 1 else 's'}"
    if step.transactional:
        return f"{count} in one transaction, together with the ledger's row"
    return f"{count} one by one, each with its intent and its result in the ledger"


def execute(step: Step, ctx: StepContext) -> tuple[StatementResult, ...]:
    """Carry the step out; when this returns, the ledger says success.

    :raises StatementFailed: with file, line and column. :raises NeedsHuman: an interrupted statement of a kind whose
    effect cannot be read from the catalog.
    """
    return transaction.run_step(step, ctx) if step.transactional else piecewise.execute(step, ctx)
