"""Execute a plan's rollback script: in one transaction with the ledger's row where PostgreSQL allows it.

A script is written so that it can meet a half-applied migration (`IF EXISTS`), so an interrupted rollback starts over.
"""

from __future__ import annotations

from datetime import datetime

from migrator.plan import Statement, Step, StepKind
from migrator.steps import concurrent_index, piecewise, real_state
from migrator.steps.context import StatementOutcome, StatementResult, StepContext
from migrator.steps.real_state import State
from migrator.steps.transaction import Connection, backend_of, ddl_connection, run_in_transaction

STARTED = "rollback_started"
"""The event that remembers the backend, so that a later attempt can fence it."""


def execute(ctx: StepContext, *, reason: str) -> tuple[StatementResult, ...]:
    """Run all rollback steps; when this returns, the ledger says rolled back.

    :raises StatementFailed: the script failed. Inside a transaction nothing of it has happened then.
    """
    steps = ctx.plan.rollback_steps

    def started(backend: tuple[int, datetime]) -> None:
        detail = {"backend_pid": backend[0], "backend_start": backend[1].isoformat(), "reason": reason}
        ctx.ledger.append_event(STARTED, version=ctx.plan.version, run=ctx.run, detail=detail)

    if all(step.transactional for step in steps):
        whole = Step("rollback", StepKind.SQL, True, tuple(item for step in steps for item in step.statements))

        def finish(conn: Connection, rows: int) -> None:
            ctx.ledger.mark_rolled_back(ctx.plan.version, run=ctx.run, reason=reason, on=conn)

        return run_in_transaction(whole, ctx, started=started, finish=finish)
    results: list[StatementResult] = []
    with ddl_connection(ctx) as conn:
        started(backend_of(conn, ctx))
        for step in steps:
            for statement in step.statements:
                results.append(_undo_one(statement, step, ctx, conn))
        ctx.handle.release()
    ctx.check_lock()
    ctx.ledger.mark_rolled_back(ctx.plan.version, run=ctx.run, reason=reason)
    return tuple(results)


def _undo_one(statement: Statement, step: Step, ctx: StepContext, conn: Connection) -> StatementResult:
    ctx.check_lock()
    if statement.kind == "DROP INDEX CONCURRENTLY":
        # What an interrupted build or an earlier attempt at this rollback left may be nothing at all.
        found = real_state.look(statement, conn)
        if found.state is State.DONE:
            return StatementResult(statement.index, statement.kind, StatementOutcome.ALREADY_DONE, note=found.text)
    if statement.kind == concurrent_index.KIND:
        return concurrent_index.build(statement, step, ctx, conn, cursor=None)
    return piecewise.send_alone(statement, step, ctx, conn)
