"""The lock that lets one runner at a time change a target. Its holder is a session: when the session is gone, so is the
lock, and there is never a stale one to clear."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import kwargs_row

from migrator.database import queries, session
from migrator.database.backoff import backoff
from migrator.database.lock_retries import with_lock_retries
from migrator.database.session import Connection, Endpoint
from migrator.database.vocabulary import told_name
from migrator.errors import ConnectionLost, HeldByOther, MigratorError
from migrator.run import RunContext

__all__ = ["LockHolder", "LockSession", "holder_of", "lock_key", "migration_lock", "with_lock_retries"]

log = logging.getLogger(__name__)

FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 2.0


@dataclass(frozen=True)
class LockHolder:
    """Who has the lock. What PostgreSQL hides from our role is None."""

    pid: int
    user: str | None
    application_name: str | None
    client: str | None
    backend_start: datetime | None

    def __str__(self) -> str:
        since = self.backend_start.isoformat(timespec="seconds") if self.backend_start else "an unknown time"
        where = self.client or "a local socket"
        name = told_name(self.application_name or "unknown")
        return f'"{name}" (pid {self.pid}, user {self.user}, from {where}, since {since})'


class LockSession:
    """The session that holds the lock, on a connection of its own in autocommit: it never holds a snapshot, so CREATE
    INDEX CONCURRENTLY does not wait for it."""

    def __init__(self, connection: Connection, *, key: int) -> None:
        self._connection = connection
        self._key = key
        self.pid, self.backend_start = session.backend_of(connection)

    def is_wanted(self) -> bool:
        """Whether somebody waits for it who may go on while the holder rests."""
        with session.translated():
            key = _asking(self._key)
            return holder_of(self._connection, key) is not None

    def check(self) -> None:
        """Ask the server whether we still hold it; call it before every COMMIT.

        :raises ConnectionLost: no: another runner may be at work already.
        """
        try:
            with session.translated():
                row = self._connection.execute(
                    queries.load(__package__, "activity")["holds_lock"], {"key": self._key}
                ).fetchone()
        except ConnectionLost as exc:
            raise ConnectionLost(f"the session that held the migration lock is gone: {exc}", **exc.fields) from exc
        if row is None or not row[0]:
            raise ConnectionLost("the migration lock is not held any more; nothing more is executed")


@contextmanager
def migration_lock(
    endpoint: Endpoint,
    *,
    run: RunContext,
    deadline_seconds: float = 600,
    asks: Callable[[], bool] = lambda: True,
    on_wait: Callable[[LockHolder | None], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[LockSession]:
    """Hold the target for the length of the block.

    :param asks: whether a holder that rests is asked to let it go for a while; see `LockSession.is_wanted`.

    Tries and backs off, never waits inside PostgreSQL: a waiting statement would hold a snapshot. `on_wait` is told
    the holder at each failed try.

    :raises HeldByOther: not free within `deadline_seconds`; names the holder.
    """
    connection = session.connect(endpoint, purpose="lock", version=run.version)
    try:
        key = lock_key(connection)
        _acquire(
            connection, key, deadline_seconds=deadline_seconds, asks=asks, on_wait=on_wait, clock=clock, sleep=sleep
        )
        log.info("%s: migration lock taken for %s", run.version, run.run_id)
        yield LockSession(connection, key=key)
        _release(connection, key)
    finally:
        connection.close()


def lock_key(connection: Connection) -> int:
    """64 bits from cluster, database and purpose. Locks are per database anyway; this keeps a pooler or proxy that
    mixes servers from pretending."""
    with session.translated():
        row = connection.execute(queries.load(__package__, "session")["identity"]).fetchone()
    oid = row[0] if row else 0
    name = f"migrator:{session.system_identifier(connection)}:{oid}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def holder_of(connection: Connection, key: int) -> LockHolder | None:
    """Who has the lock now, or None."""
    with session.translated(), connection.cursor(row_factory=kwargs_row(_holder)) as cursor:
        return cursor.execute(queries.load(__package__, "activity")["lock_holder"], {"key": key}).fetchone()


def _acquire(
    connection: Connection,
    key: int,
    *,
    deadline_seconds: float,
    asks: Callable[[], bool],
    on_wait: Callable[[LockHolder | None], None] | None,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> None:
    started = clock()
    attempt = 0
    asking = False
    while True:
        if _try(connection, key):
            if asking:
                _release(connection, _asking(key))
            return
        asking = asking or (asks() and _try(connection, _asking(key)))
        holder = holder_of(connection, key)
        waited = clock() - started
        if waited >= deadline_seconds:
            raise HeldByOther(
                f"another migration holds this database: {holder or 'it let go just now'}; "
                f"gave up after {waited:.0f} s",
                holder=str(holder) if holder else None,
            )
        if on_wait is not None:
            on_wait(holder)
        elif attempt == 0:
            log.info("waiting for the migration lock, held by %s", holder)
        pause = backoff(attempt, first=FIRST_WAIT_SECONDS, longest=LONGEST_WAIT_SECONDS)
        sleep(min(pause, max(0.0, deadline_seconds - waited)))
        attempt += 1


def _try(connection: Connection, key: int) -> bool:
    with session.translated():
        row = connection.execute(queries.load(__package__, "activity")["try_lock"], {"key": key}).fetchone()
    return row is not None and bool(row[0])


def _asking(key: int) -> int:
    """Held by the first of those who wait."""
    return key ^ 1


def _release(connection: Connection, key: int) -> None:
    """Closing the session would do; asking tells whether we held it to the end."""
    try:
        with session.translated():
            row = connection.execute(queries.load(__package__, "activity")["unlock"], {"key": key}).fetchone()
    except MigratorError as exc:
        log.warning("the migration lock was lost before it was released: %s", exc)
        return
    if row is None or not row[0]:
        log.warning("the migration lock was not held any more when it was released")


def _holder(**row: Any) -> LockHolder:
    return LockHolder(user=row.pop("user_name"), **row)
