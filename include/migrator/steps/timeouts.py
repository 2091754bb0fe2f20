"""The time-outs of a plan, as a step's session has them."""

from __future__ import annotations

from psycopg import sql as quoting

from migrator.database import session
from migrator.database.session import Connection
from migrator.steps.context import StepContext


def set_timeouts(
    conn: Connection, ctx: StepContext, *, local: bool, lock_ms: int | None = None, statement_ms: int | None = None
) -> None:
    """Again before each unit of work: a statement before it may have changed them."""
    with session.translated():
        conn.execute(timeouts(ctx, local=local, lock_ms=lock_ms, statement_ms=statement_ms))


def timeouts(
    ctx: StepContext, *, local: bool, lock_ms: int | None = None, statement_ms: int | None = None
) -> quoting.Composed:
    lock = ctx.plan.lock_timeout_ms if lock_ms is None else lock_ms
    statement = ctx.plan.statement_timeout_ms if statement_ms is None else statement_ms
    return quoting.SQL("SET {scope} lock_timeout = {lock}; SET {scope} statement_timeout = {statement}").format(
        scope=quoting.SQL("LOCAL" if local else "SESSION"),
        lock=quoting.Literal(f"{lock}ms"),
        statement=quoting.Literal(f"{statement}ms"),
    )
