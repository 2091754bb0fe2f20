"""Is there a connection pooler in between, and does each of our sessions own its server process?

A pooler in transaction mode lends a server process for one transaction: an advisory lock taken there stays behind
with a stranger, settings leak to the application, and two statements may meet two processes. Session mode is fine.
"""

from __future__ import annotations

import select
import time
from typing import Any

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from migrator.database import queries
from migrator.errors import PoolerDetected

PROBES = 3
ANSWER_SECONDS = 5.0


def is_direct(connection: psycopg.Connection[Any]) -> bool:
    """Whether the server announced at login the very process that answers now. Poolers announce their own number."""
    return _pid(connection) == connection.info.backend_pid


def detect_pooler(connection: psycopg.Connection[Any]) -> None:
    """Prove that the session keeps its server process while others want one.

    While this session rests between statements, a second one opens a transaction. In transaction mode it is lent the
    process that we used last (or we are lent another one next); a direct or session-mode connection keeps its own.

    :raises PoolerDetected: transaction (or statement) mode, or no room for the sessions that a migration needs.
    """
    if is_direct(connection):
        return
    own = _pid(connection)
    for _ in range(PROBES):
        other = _pid_of_second_session(connection)
        if other is None:
            raise PoolerDetected(
                "the connection pooler in between gave us no second session within "
                f"{ANSWER_SECONDS:g} s; a migration needs several at once: use the server's own host and port"
            )
        if other == own or _pid(connection) != own:
            raise PoolerDetected(
                "this connection goes through a pooler in transaction mode: locks and settings would reach other "
                "sessions; give the migration the server's own host and port, or a pool in session mode",
                pids=(own, other),
            )


def _pid(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute(queries.load(__package__, "session")["backend_pid"]).fetchone()
    return int(row[0]) if row else -1


def _pid_of_second_session(connection: psycopg.Connection[Any]) -> int | None:
    """The process that a new session is lent for a transaction, or None when none is free in time.

    Speaks libpq directly, because a full pool lets the login through and keeps the first statement waiting.
    """
    parameters: dict[str, Any] = {**connection.info.get_parameters(), "connect_timeout": int(ANSWER_SECONDS)}
    if connection.info.password:
        parameters["password"] = connection.info.password
    try:
        other = psycopg.connect(make_conninfo("", **parameters), autocommit=True)
    except psycopg.OperationalError:
        return None
    try:
        other.pgconn.send_query(b"BEGIN; SELECT pg_catalog.pg_backend_pid()")
        return _answer(other.pgconn, time.monotonic() + ANSWER_SECONDS)
    except psycopg.OperationalError as exc:
        if "statement pooling" not in str(exc):  # PgBouncer's word for it, before it hangs up
            raise
        raise PoolerDetected(
            "this connection goes through a pooler in statement mode, which knows no transactions; give the migration "
            "the server's own host and port, or a pool in session mode"
        ) from None
    finally:
        other.close()


def _answer(connection: pq.abc.PGconn, deadline: float) -> int | None:
    answer: int | None = None
    while True:
        while connection.is_busy():
            ready, _, _ = select.select([connection.socket], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                return None
            connection.consume_input()
        result = connection.get_result()
        if result is None:
            return answer
        if result.status == pq.ExecStatus.TUPLES_OK:
            value = result.get_value(0, 0)
            answer = int(value) if value is not None else None
