"""Drop a helper object only where it is, under the lock that dropping takes, still what was found before the wait.

Somebody may make an index whole meanwhile, or put something else in its place: that is his, and stays.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context

from migrator.database import session
from migrator.errors import LockNotAvailable
from migrator.ledger.rows import Helper, ObjectClass
from migrator.steps import helpers
from migrator.steps.helpers import There
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
