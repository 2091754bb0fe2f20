"""The throw-away clone of a restored copy on which SQL that nobody has reviewed yet is tried.

Why a clone and not the copy itself: a dry run that was killed leaves its database half applied, and a retry there would
rehearse on something that no restore test has proved. The clone is a file copy of the proved copy on the same server
(no dump, no index build), is made anew by every attempt, and leaves the copy as it was: comparisons after the rollback
can still look at it. The price is the copy's disk space once more for as long as the dry run takes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql as pgsql

from migrator.database import queries, session
from migrator.database.session import Connection, Endpoint
from migrator.errors import EnvironmentFault, Refused, TransientError

LOG = logging.getLogger(__name__)

SUFFIX = "_try"
FILE_COPY_BYTES = 256 * 1024 * 1024
"""From here on copying files beats writing every page into the WAL."""
PATIENCE_SECONDS = 30.0
"""How long somebody who looks at the copy may keep us from cloning it."""


def trial_name(copy: str) -> str:
    """The clone's name, 63 bytes at most. Whoever drops a copy drops this one, too: a killed dry run leaves it."""
    return copy.encode()[: 63 - len(SUFFIX)].decode(errors="ignore") + SUFFIX


def require_harmless(conn: Connection) -> str:
    """The role that executes.

    :raises Refused: it is a superuser, or may read and write the server's files or start programs there.
    """
    with session.translated():
        rows = conn.execute(queries.load(__package__, "trial")["privileges"]).fetchall()
        current = conn.execute("SELECT current_user::text").fetchone()
    for role, superuser, reaches_server in rows:
        if superuser or reaches_server:
            what = "is a superuser" if superuser else "may reach files and programs of the server"
            raise Refused(
                f'role "{role}" {what}: SQL that nobody has reviewed yet must not run with it. give the copies'
                " connection a role with LOGIN and CREATEDB only",
                role=role,
            )
    return str(current[0]) if current else ""


@contextmanager
def trial_database(
    copies: Endpoint,
    copy: str,
    *,
    log: logging.Logger = LOG,
    patience_seconds: float = PATIENCE_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Endpoint]:
    """A fresh clone of the database `copy`, gone at the end whatever happens.

    :raises EnvironmentFault: there is no such copy. :raises TransientError: somebody is connected to it.
    """
    name = trial_name(copy)
    with session.connect(copies, purpose="dry_run") as conn:
        require_harmless(conn)
        _drop(conn, name)
        started = time.monotonic()
        try:
            _clone(conn, copy, name, patience_seconds, sleep)
            log.info('cloned "%s" for the dry run in %.1f s', copy, time.monotonic() - started)
            yield copies.with_database(name)
        finally:
            _drop_at_the_end(conn, copies, name, log)


def _clone(conn: Connection, copy: str, name: str, patience: float, sleep: Callable[[float], None]) -> None:
    with session.translated():
        row = conn.execute(queries.load(__package__, "trial")["database"], {"database": copy}).fetchone()
    if row is None:
        raise EnvironmentFault(f'there is no restored copy "{copy}"; run again from restore_test', database=copy)
    command = pgsql.SQL("CREATE DATABASE {} TEMPLATE {}").format(pgsql.Identifier(name), pgsql.Identifier(copy))
    if conn.info.server_version >= 150000 and int(row[0]) >= FILE_COPY_BYTES:
        command = pgsql.SQL("{} STRATEGY file_copy").format(command)
    deadline = time.monotonic() + patience
    while True:
        try:
            with session.translated():
                conn.execute(command)
            return
        except Exception as exc:
            if getattr(exc, "fields", {}).get("sqlstate") != "55006":
                raise
            who = _connected(conn, copy)
            if time.monotonic() >= deadline:
                raise TransientError(
                    f'the restored copy "{copy}" cannot be cloned while others are connected to it: {who}', holder=who
                ) from exc
            LOG.info('waiting for "%s", which is in use by %s', copy, who)
        sleep(0.5)


def _connected(conn: Connection, copy: str) -> str:
    with session.translated():
        rows = conn.execute(queries.load(__package__, "trial")["connected"], {"database": copy}).fetchall()
    return (
        "; ".join(f"pid {pid} ({name or 'no application name'}, user {user})" for pid, user, name in rows) or "nobody"
    )


def _drop(conn: Connection, name: str) -> None:
    with session.translated():
        conn.execute(pgsql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(pgsql.Identifier(name)))


def _drop_at_the_end(conn: Connection, copies: Endpoint, name: str, log: logging.Logger) -> None:
    """A clone that stays behind is dropped by the next attempt, or together with the copy: no reason to fail."""
    try:
        if not conn.closed and conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
            _drop(conn, name)
            return
        with session.connect(copies, purpose="dry_run") as again:
            _drop(again, name)
    except Exception as exc:
        log.warning('the clone "%s" could not be dropped: %s', name, exc)
