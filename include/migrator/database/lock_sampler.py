"""Sample the locks of another session while it works, from a connection of our own."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Mapping

import psycopg

from migrator.database import queries, session, withheld
from migrator.database.session import Connection, Endpoint
from migrator.database.told import words
from migrator.errors import MigratorError
from migrator.lock_modes import AS, RS, conflicts

LOG = logging.getLogger(__name__)

EAGER_SECONDS = 0.25
"""So long samples follow each other without a pause: a small index is built in a few milliseconds."""
PAUSE_SECONDS = 0.01
WAITING_PAUSE_SECONDS = 0.0005
IDLE_SECONDS = 0.1
READING_MODES = (AS, RS)


class LockSampler:
    """Two things keep a statement of a millisecond from being over before anybody looks: `start` returns when the first
    sample has been taken, and the tables that are `held` are locked, so that whoever does more than read them waits
    until its lock was seen. A lock that is waited for counts: a statement that has succeeded has got it.

    Statements outside a transaction lock in several steps. Tables whose expected lock was not seen yet are held again,
    against that lock alone, until the watched session waits for us.
    """

    def __init__(self, endpoint: Endpoint, *, version: str) -> None:
        self._endpoint = endpoint
        self._version = version
        self._connection: Connection | None = None
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._seen: set[tuple[int, str]] = set()

    def start(self, pid: int, *, held: Mapping[int, str], expected: Mapping[int, str] | None = None) -> None:
        """Watch backend `pid` until `stop`. `held`: quoted names of tables by OID; `expected`: modes by OID."""
        self.stop()
        if self._connection is None or self._connection.closed:
            self._connection = session.connect(self._endpoint, purpose="observe", version=self._version)
        self._seen, self._ended = set(), threading.Event()
        ready = threading.Event()
        watch = _Watch(self._connection, pid, held, expected or {}, self._seen, self._ended)
        self._thread = threading.Thread(
            target=withheld.keeping(watch.run), args=(ready,), name=f"locks of {pid}", daemon=True
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


class _Watch:
    """One statement's watch, on a thread of its own."""

    def __init__(
        self,
        conn: Connection,
        pid: int,
        tables: Mapping[int, str],
        expected: Mapping[int, str],
        seen: set[tuple[int, str]],
        ended: threading.Event,
    ) -> None:
        self._conn, self._pid, self._tables, self._expected = conn, pid, tables, expected
        self._seen, self._ended = seen, ended
        self._started = time.monotonic()
        self._holds = False
        self._locked = self._started
        """When the watched session was last seen with a lock, or waiting."""
        self._first = True
        """Still the first hold: against everything but reading, and only for a moment."""

    def run(self, ready: threading.Event) -> None:
        try:
            held = self._hold(self._tables, "SHARE ROW EXCLUSIVE")
            while self._sample(held):
                ready.set()
                if not self._holds:
                    held = self._hold_again()
        except (MigratorError, psycopg.Error) as exc:
            LOG.warning("the locks of session %s are not watched any more: %s", self._pid, words(exc))
            self._conn.close()  # whatever it held is free again
        finally:
            ready.set()

    def _sample(self, held: frozenset[int]) -> bool:
        """Look once, and let go what is held as soon as it has served. False: the statement is over."""
        rows = self._conn.execute(
            queries.load(__package__, "observe")["locks_and_waits"], {"pid": self._pid}
        ).fetchall()
        now = {(int(oid), mode_name(mode)) for oid, mode, _, _ in rows if oid is not None}
        waits = not all(granted for _, _, granted, _ in rows)
        for_us = any(ours for _, _, _, ours in rows)
        self._seen |= now
        eager = time.monotonic() - self._started < EAGER_SECONDS
        over = self._ended.is_set()
        if self._first:
            served = not eager or any(oid in held and mode not in READING_MODES for oid, mode in now)
        else:
            # A statement that failed is over, too, and nobody has told us: then it has no lock any more.
            served = self._is_idle or all((oid, self._expected[oid]) in self._seen for oid in held)
        if rows:
            self._locked = time.monotonic()
        if self._holds and (over or served or for_us):
            self._conn.execute("COMMIT")
            self._holds = self._first = False
        if not over:
            self._ended.wait(0 if eager else WAITING_PAUSE_SECONDS if waits else PAUSE_SECONDS)
        return not over

    @property
    def _is_idle(self) -> bool:
        """Between two of its own transactions a statement has no lock for a moment, either."""
        return time.monotonic() - self._locked > IDLE_SECONDS

    def _hold_again(self) -> frozenset[int]:
        if self._is_idle:
            return frozenset()
        missing = {
            oid: name
            for oid, name in self._tables.items()
            if oid in self._expected and (oid, self._expected[oid]) not in self._seen
        }
        blocked = {oid: name for oid, name in missing.items() if conflicts(self._expected[oid], AS)}
        return self._hold(blocked, "ACCESS SHARE")

    def _hold(self, tables: Mapping[int, str], mode: str) -> frozenset[int]:
        """Lock the tables; those that are locked. None where the role may not, or somebody else was faster."""
        if not tables:
            return frozenset()
        self._conn.execute("BEGIN READ WRITE")  # strong locks are refused to a transaction that reads
        try:
            names = ", ONLY ".join(tables.values())
            self._conn.execute(f"LOCK TABLE ONLY {names} IN {mode} MODE NOWAIT".encode())
        except psycopg.Error as exc:
            self._conn.execute("ROLLBACK")
            LOG.info("tables are not held for the observer: %s", words(exc))
            return frozenset()
        self._holds = True
        return frozenset(tables)


def mode_name(mode: str) -> str:
    """pg_locks says "AccessExclusiveLock", the documentation "ACCESS EXCLUSIVE"."""
    return " ".join(re.findall("[A-Z][a-z]+", mode.removesuffix("Lock"))).upper()
