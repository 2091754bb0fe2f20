"""Step kind `create_index`: one index, built concurrently, with progress for people who watch."""

from __future__ import annotations

from migrator.plan import Step, StepKind
from migrator.steps import piecewise, transaction
from migrator.steps.context import StatementResult, StepContext

KIND = StepKind.CREATE_INDEX


def describe(step: Step) -> str:
    if step.transactional:
        return "builds the index in one transaction, together with the ledger's row; writers wait for it"
    return "builds the index without blocking writers; may be interrupted and repeated, no timeout ends it"


def execute(step: Step, ctx: StepContext) -> tuple[StatementResult, ...]:
    """:raises StatementFailed: the index cannot be built; no invalid index stays behind."""
    if step.transactional:
        return transaction.run_step(step, ctx)
    return piecewise.execute(step, ctx)
