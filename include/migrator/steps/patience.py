"""Try again for as long as others hold the locks that a statement needs."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

from migrator.database.locking import with_lock_retries
from migrator.plan import PredictedLock, Statement, Step
from migrator.steps.context import StatementResult, StepContext
from migrator.steps.queueing import queueing
from migrator.steps.transaction import Connection, begin, commit, roll_back, take_back
from migrator.steps.transaction import execute as send

T = TypeVar("T")


def in_transaction(statement: Statement, step: Step, ctx: StepContext, conn: Connection) -> StatementResult:
    """One statement of a script that starts over whenever it is interrupted: no cursor is kept of it."""

    def attempt(ctx: StepContext) -> StatementResult:
        begin(conn, step, ctx)
        try:
            result = send(statement, step, ctx, conn)
            ctx.check_lock()
            take_back(conn, ctx)
        except BaseException:
            roll_back(conn)
            raise
        commit(conn, step, ctx, lambda: ctx.ledger.require_untouched(on=conn))
        return result

    return patiently(attempt, step, ctx, conn, statement.locks)


def patiently(
    work: Callable[[StepContext], T],
    step: Step,
    ctx: StepContext,
    conn: Connection,
    locks: Collection[PredictedLock] = (),
) -> T:
    """:param locks: which it may queue for."""
    with queueing(step, ctx, conn) as (queue, queued):
        return with_lock_retries(
            lambda: work(queued),
            observer_endpoint=ctx.endpoint,
            pid_of=lambda: conn.info.backend_pid,
            deadline_seconds=ctx.deadline_seconds,
            log=ctx.log,
            sleep=ctx.handle.sleep,
            first=lambda: queue.wait(locks),
        )
