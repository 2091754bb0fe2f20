"""Sample the locks of another session while it works, from a connection of our own."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Mapping

import psycopg

from migrator import session, sql
from migrator.effects.model import AS, RS
from migrator.errors import MigratorError
from migrator.session import Connection, Endpoint

LOG = logging.getLogger(__name__)

EAGER_SECONDS = 0.25
"""So long samples follow each other without a pause: a small index is built in a few milliseconds."""
PAUSE_SECONDS = 0.01
READING_MODES = (AS, RS)


class LockSampler:
    """Two things keep a statement of a millisecond from being over before anybody looks: `start` returns when the first
    sample has been taken, and the tables that are `held` are locked, so that whoever does more than read them waits
    until its lock was seen. A lock that is waited for counts: a statement that has succeeded has got it.
    """

    def __init__(self, endpoint: Endpoint, *, version: str) -> None:
        self._endpoint = endpoint
        self._version = version
        self._connection: Connection | None = None
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._seen: set[tuple[int, str]] = set()

    def start(self, pid: int, *, held: Mapping[int, str]) -> None:
        """Watch backend `pid` until `stop`. `held`: quoted names of tables by OID."""
        self.stop()
        if self._connection is None or self._connection.closed:
            self._connection = session.connect(self._endpoint, purpose="observe", version=self._version)
        self._seen, self._ended = set(), threading.Event()
        ready = threading.Event()
        self._thread = threading.Thread(
            target=self._watch, args=(self._connection, pid, held, ready), name=f"locks of {pid}", daemon=True
        )
        self._thread.start()
        ready.wait(timeout=10)

    def stop(self) -> frozenset[tuple[int, str]]:
        """Everything that was seen since `start`; nothing without one."""
        thread, self._thread = self._thread, None
        if thread is None:
            return frozenset()
        self._ended.set()
        thread.join(timeout=10)
        return frozenset(self._seen)

    def close(self) -> None:
        self.stop()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _watch(self, conn: Connection, pid: int, held: Mapping[int, str], ready: threading.Event) -> None:
        try:
            self._sample(conn, pid, _hold(conn, held), ready)
        except (MigratorError, psycopg.Error) as exc:
            LOG.warning("the locks of session %s are not watched any more: %s", pid, exc)
            conn.close()  # whatever it held is free again
        finally:
            ready.set()

    def _sample(self, conn: Connection, pid: int, held: frozenset[int], ready: threading.Event) -> None:
        query, started = sql.load("observe")["locks_and_waits"], time.monotonic()
        while True:
            rows = conn.execute(query, {"pid": pid}).fetchall()
            now = {(int(oid), mode_name(mode)) for oid, mode in rows}
            self._seen |= now
            ready.set()
            eager = time.monotonic() - started < EAGER_SECONDS
            over = self._ended.is_set()
            found = any(oid in held and mode not in READING_MODES for oid, mode in now)
            if held and (over or not eager or found):
                conn.execute("COMMIT")
                held = frozenset()
            if over:
                return
            self._ended.wait(0 if eager else PAUSE_SECONDS)


def _hold(conn: Connection, tables: Mapping[int, str]) -> frozenset[int]:
    """Lock the tables against everything but reading; those that are locked. None where the role may not."""
    if not tables:
        return frozenset()
    conn.execute("BEGIN")
    try:
        conn.execute(f"LOCK TABLE ONLY {', ONLY '.join(tables.values())} IN SHARE ROW EXCLUSIVE MODE".encode())
    except psycopg.Error as exc:
        conn.execute("ROLLBACK")
        LOG.info("tables are not held for the observer: %s", exc.diag.message_primary or exc)
        return frozenset()
    return frozenset(tables)


def mode_name(mode: str) -> str:
    """pg_locks says "AccessExclusiveLock", the documentation "ACCESS EXCLUSIVE"."""
    return " ".join(re.findall("[A-Z][a-z]+", mode.removesuffix("Lock"))).upper()
