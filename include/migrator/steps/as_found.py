"""Drop a helper object only where it is, under the lock that dropping takes, still what was found before the wait.

Somebody may make an index whole meanwhile, or put something else in its place: that is his, and stays.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import Any

from migrator.database import session
from migrator.database.vocabulary import told_name
from migrator.errors import LockNotAvailable, MigratorError, TransientError
from migrator.ledger.rows import Helper, ObjectClass
from migrator.parsing.unseen import continued
from migrator.steps import helpers
from migrator.steps.context import StepContext
from migrator.steps.helpers import CANCELLED, INDEXES, There
from migrator.steps.real_state import Connection, qualified

CHANGED = "somebody has changed it, or put another one in its place, since it was found"
POLL_SECONDS = 0.01
BLOCKERS = "SELECT pg_catalog.pg_blocking_pids({})"


class Exchanged(Exception):
    """It is not what was found."""


def require_same(helper: Helper, there: There, conn: Connection) -> None:
    """:raises Exchanged: it is another one by now, is whole, or is gone."""
    if not any(one.identity == there.identity and one.name == there.name for one in helpers.look(helper, conn)):
        raise Exchanged(CHANGED)


def in_transaction(
    statement: str, helper: Helper, there: There, conn: Connection, looking: Connection, *, mode: str
) -> None:
    """A function is locked by being dropped alone; others see it as it was, until that is committed.

    :raises Exchanged: nothing is done.
    """
    with session.translated(), conn.transaction():
        if helper.kind is ObjectClass.FUNCTION:
            conn.execute(statement.encode())
            require_same(helper, there, looking)
            return
        table = qualified(there.schema, there.table or there.name)
        conn.execute(f"LOCK TABLE ONLY {table} IN {mode} MODE".encode())
        require_same(helper, there, conn)
        conn.execute(statement.encode())


def drop_index(statement: str, helper: Helper, there: There, conn: Connection, keeping: Connection) -> None:
    """CONCURRENTLY, which is no part of a transaction. So another session has the lock that it begins with, which keeps
    off who builds, and nobody who reads or writes; it looks, and lets go when this one is the next to have it.

    :raises Exchanged: nothing is done. :raises LockNotAvailable: somebody else came before; try again.
    """
    table, pid = qualified(there.schema, there.table), conn.info.backend_pid
    with ThreadPoolExecutor(1) as pool, session.translated():
        with keeping.transaction():
            keeping.execute(f"LOCK TABLE ONLY {table} IN SHARE UPDATE EXCLUSIVE MODE".encode())
            require_same(helper, there, keeping)
            dropping = pool.submit(copy_context().run, _send, statement, conn)
            others: list[int] = [pid]
            try:
                others = _before(dropping, pid, keeping)
            finally:
                if others:
                    conn.cancel()
                    wait([dropping])
        try:
            dropping.result()
        except Exception as exc:
            if others:
                raise LockNotAvailable(f"pid {', '.join(map(str, others))} waits for {table} before us") from exc
            raise


def clear_half_made(ctx: StepContext) -> tuple[str, ...]:
    """Drop the invalid indexes that interrupted statements of this migration have left: no query uses them, every write
    pays for them, and nobody has rehearsed a rollback beside them. Returns their names, as they may be told."""
    rows = [row for row in ctx.ledger.objects(ctx.plan.version) if row.helper.kind in INDEXES]
    if not rows:
        return ()
    told: list[str] = []
    timeout = int(ctx.deadline_seconds * 1000)
    given: dict[str, Any] = {"lock_timeout_ms": 0, "statement_timeout_ms": timeout, "version": ctx.plan.version}
    with session.connect(ctx.endpoint, purpose="rollback", **given) as conn:
        for row in rows:
            for there in helpers.look(row.helper, conn):
                if there.whole or there.kept:
                    continue
                told.append(told_name(there.qualified))
                ctx.log.warning("dropping index %s, which an interrupted statement has left", continued(told[-1]))
                _clear(row.helper, there, ctx, conn, given)
    return tuple(told)


def _clear(helper: Helper, there: There, ctx: StepContext, conn: Connection, given: dict[str, Any]) -> None:
    """:raises TransientError: somebody has kept it from being dropped for too long, or comes first."""
    text = f"index {told_name(there.qualified)}, which is not valid, could not be dropped"
    try:
        with session.connect(ctx.endpoint, purpose="rollback", **given) as keeping:
            drop_index(f"DROP INDEX CONCURRENTLY IF EXISTS {there.qualified}", helper, there, conn, keeping)
    except Exchanged as exc:
        ctx.log.warning("index %s stays: %s", told_name(there.qualified), exc)
    except MigratorError as exc:
        if isinstance(exc, LockNotAvailable) or exc.fields.get("sqlstate") == CANCELLED:
            said = f"{text}: {exc}. the rollback is not begun, and is to be tried again"
            raise TransientError(said, **exc.fields) from exc
        ctx.log.warning("%s: %s", text, exc)


def _send(statement: str, conn: Connection) -> None:
    with session.translated():
        conn.execute(statement.encode())


def _before(dropping: Future[None], pid: int, keeping: Connection) -> list[int]:
    """Who, beside the one that keeps the lock, is to have it before this session; as soon as that waits."""
    while not dropping.done():
        ((found,),) = keeping.execute(BLOCKERS.format(pid).encode()).fetchall()
        if found:
            return [one for one in found if one != keeping.info.backend_pid]
        time.sleep(POLL_SECONDS)
    return []
