"""Execute a step of kind `backfill`: from where the ledger says that an earlier attempt has left it, to its success."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace

from migrator.database import session
from migrator.errors import NeedsHuman
from migrator.parsing import statements
from migrator.plan import Phase, Statement, Step
from migrator.steps import batch_tables, stale_copies
from migrator.steps.batch_looks import Looks
from migrator.steps.batch_progress import Progress
from migrator.steps.batch_size import Pace, Size
from migrator.steps.batch_sql import batch_sql
from migrator.steps.batch_statement import BatchSql
from migrator.steps.batches import Work
from migrator.steps.brake import braking
from migrator.steps.context import StatementOutcome, StatementResult, StepContext
from migrator.steps.meter import Meter
from migrator.steps.throttle import Rhythm
from migrator.steps.transaction import backend_of, ddl_connection


def execute(
    step: Step, phase: Phase, ctx: StepContext, pace: Pace, *, quarantine: int = 0, workers: int = 1
) -> tuple[StatementResult, ...]:
    """Go on where the ledger's cursor stands, until no row meets the condition; then the ledger says success.

    :param quarantine: how many rows may fail before it stops.
    :param workers: how many batches are changed at once.
    """
    statement = step.statements[0]
    row = next(row for row in ctx.ledger.steps(ctx.plan.version) if row.step == step.name)
    if row.touched and row.cursor.get("digest") != statement.digest:
        raise NeedsHuman(
            f"step {step.name!r} has changed rows by another statement than the plan has now; put it back as it was, or"
            " roll the migration back first",
            version=ctx.plan.version,
            step=step.name,
        )
    started = time.monotonic()
    with ExitStack() as stack:
        conn = stack.enter_context(ddl_connection(ctx))
        backend = backend_of(conn, ctx)
        ctx.ledger.step_started(ctx.plan.version, step.name, run=ctx.run, backend=backend)
        sql, alone = _sql_of(statement), replace(ctx, tracer=None)  # which looks at all batches together
        looks = Looks(step, statement, sql, alone, conn)
        brake = stack.enter_context(braking(step, ctx, backend[0], Rhythm(pace.batch, pace.pause)))
        stack.enter_context(looks.observer)
        with session.translated():
            deadlock_ms = batch_tables.deadlock_timeout_ms(conn)
        progress, size, meter = Progress.of(row.cursor), Size(pace), Meter()
        work = Work(
            step, phase, statement, sql, alone, conn, looks, progress, size, brake, meter, deadlock_ms, quarantine,
            workers=workers,
        )  # fmt: skip
        work.quarantine.load(row.cursor)
        if work.progress.rows:
            ctx.log.info("step %s goes on after %s rows", step.name, work.progress.rows)
        ctx.trace_before(step, statement, conn)
        stack.enter_context(work.team)
        work.run()
        work.promises.after(ctx.ledger.own_transactions(ctx.plan.version, step.name))
        copied_again = stale_copies.settle(work)
        ctx.trace_after(step, statement, conn, work.progress.rows)
        ctx.handle.release()
    ctx.check_lock()
    rows = work.progress.rows
    ctx.ledger.step_succeeded(ctx.plan.version, step.name, run=ctx.run, last=ctx.is_last(step), rows=rows)
    note = "; ".join(filter(None, (brake.note, copied_again)))
    outcome, took = StatementOutcome.EXECUTED, time.monotonic() - started
    return (StatementResult(statement.index, statement.kind, outcome, took, rows, note=note),)


def _sql_of(statement: Statement) -> BatchSql:
    return batch_sql(statements.parse(statement.sql, file=statement.file).statements[0])
