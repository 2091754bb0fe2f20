"""Step kind `create_index`: one index, built concurrently, with progress for people who watch."""

from __future__ import annotations

from migrator.plan import Step, StepKind
from migrator.steps import piecewise
from migrator.steps.context import StatementResult, StepContext
from migrator.steps.kinds import sql

KIND = StepKind.CREATE_INDEX


def describe(step: Step) -> str:
    if step.transactional:
        return sql.describe(step)
    return "builds the index without blocking writers; may be interrupted and repeated, no timeout ends it"


def execute(step: Step, ctx: StepContext) -> tuple[StatementResult, ...]:
    """:raises StatementFailed: the index cannot be built; no invalid index stays behind."""
    if step.transactional:
        return sql.execute(step, ctx)
    return piecewise.execute(step, ctx)
