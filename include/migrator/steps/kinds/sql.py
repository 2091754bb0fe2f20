"""Step kind `sql`: the statements of a file, in one transaction where PostgreSQL allows it, else one by one."""

from __future__ import annotations

from datetime import datetime

from migrator.plan import Step, StepKind
from migrator.steps import piecewise
from migrator.steps.context import StatementResult, StepContext
from migrator.steps.transaction import Connection, run_in_transaction

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
    if not step.transactional:
        return piecewise.execute(step, ctx)

    def started(backend: tuple[int, datetime]) -> None:
        ctx.ledger.step_started(ctx.plan.version, step.name, run=ctx.run, backend=backend)

    def finish(conn: Connection, rows: int) -> None:
        ctx.ledger.step_succeeded(ctx.plan.version, step.name, run=ctx.run, on=conn, last=ctx.is_last(step), rows=rows)

    results = run_in_transaction(step, ctx, started=started, finish=finish)
    ctx.ledger.step_committed(ctx.plan.version, step.name, run=ctx.run)
    return results
