"""Ask the server, from a thread and a connection of its own, for the signs of load that `throttle` judges.

It is asked while batches run as well, because nobody waits for us between two of them. What is not answered is told as
well: whoever cannot see must not go on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import dict_row

from migrator.database import queries, session, withheld
from migrator.database.session import Connection
from migrator.database.told import words
from migrator.errors import MigratorError
from migrator.steps.context import StepContext, login_of
from migrator.steps.throttle import History, Reading, Sample, Slot, Standby

QUERIES = queries.load(__package__, "throttle")

LOOK_SECONDS = 0.25
ARCHIVE_SECONDS = 10.0
ANSWER_SECONDS = 5.0
"""Older news are no news."""
GRANT = "grant pg_monitor to the role of the connection"


def hidden(connection: Connection) -> tuple[str, ...]:
    """What the login role may not see of the signals, in words."""
    with session.translated(), connection.cursor(row_factory=dict_row) as cursor:
        ((rights),) = cursor.execute(QUERIES["rights"]).fetchall()
    return _hidden(rights)


def _hidden(rights: Mapping[str, Any]) -> tuple[str, ...]:
    found = []
    if not rights["sees_all"]:
        found += ["the lag of standbys", "transactions of other roles", "what autovacuum does"]
    if rights["archives"] and not rights["sees_archive"]:
        found.append("how much WAL waits for the archiver")
    return tuple(found)


@dataclass
class Signals:
    """The newest answers, for the thread that executes the step."""

    pid: int
    """Of the session that executes the batches."""
    helpers: tuple[int, ...] = ()
    """Of those that change parts of them beside it."""
    tables: tuple[int, ...] = ()
    """Oids of the tables that are changed now."""
    hidden: tuple[str, ...] = ()
    """What the role may not see, in words."""
    began: float = field(default_factory=time.monotonic)
    _new: list[Sample] = field(default_factory=list)
    _error: str = ""
    _heard: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> tuple[Sample, ...]:
        """Those that came since it was last asked for."""
        with self._lock:
            taken, self._new = tuple(self._new), []
        return taken

    def unreadable(self) -> str:
        """Why nobody knows how the server is; empty: one does."""
        with self._lock:
            if self._error:
                return self._error
            silent = time.monotonic() - (self._heard or self.began)
            return f"no answer for {silent:.0f} s" if silent > ANSWER_SECONDS else ""

    @property
    def heard(self) -> bool:
        return bool(self._heard)

    def put(self, sample: Sample) -> None:
        with self._lock:
            self._new.append(sample)
            self._error, self._heard = "", time.monotonic()

    def fail(self, reason: str) -> None:
        with self._lock:
            self._error, self._new = reason, []


@contextmanager
def watching(pid: int, ctx: StepContext) -> Iterator[Signals]:
    """Ask until the block ends."""
    signals, ended = Signals(pid), threading.Event()
    work = withheld.keeping(_watch)
    thread = threading.Thread(target=work, args=(signals, ctx, ended), name="signals", daemon=True)
    thread.start()
    try:
        yield signals
    finally:
        ended.set()
        thread.join(timeout=10)


def _watch(signals: Signals, ctx: StepContext, ended: threading.Event) -> None:
    history = History()
    while not ended.is_set():
        try:
            with session.connect(
                login_of(ctx.endpoint),
                purpose="observe",
                version=ctx.plan.version,
                statement_timeout_ms=int(ANSWER_SECONDS * 1000),
            ) as conn:
                _ask_on(conn, signals, history, ended)
        except (MigratorError, psycopg.Error) as exc:
            signals.fail(words(exc))
        except Exception as exc:
            # Whatever it is: nobody looks any more, and the step must know.
            signals.fail(type(exc).__name__)
        ended.wait(LOOK_SECONDS)


def _ask_on(conn: Connection, signals: Signals, history: History, ended: threading.Event) -> None:
    with conn.cursor(row_factory=dict_row) as cursor:
        ((rights),) = cursor.execute(QUERIES["rights"]).fetchall()
        signals.hidden = _hidden(rights)
        ready_asked, ready = 0.0, None
        while not ended.is_set():
            if rights["archives"] and rights["sees_archive"] and time.monotonic() - ready_asked > ARCHIVE_SECONDS:
                ((row),) = cursor.execute(QUERIES["archive_ready"]).fetchall()
                ready_asked, ready = time.monotonic(), int(row["archive_ready"])
            signals.put(history.add(_reading(cursor, signals, ready)))
            ended.wait(LOOK_SECONDS)


def _reading(cursor: psycopg.Cursor[dict[str, Any]], signals: Signals, ready: int | None) -> Reading:
    """:raises psycopg.Error: it is not to be had."""
    before_17 = cursor.connection.info.server_version < 170000
    started = time.monotonic()
    ((row),) = cursor.execute(
        QUERIES["signals"], {"pids": [signals.pid, *signals.helpers], "tables": list(signals.tables)}
    ).fetchall()
    took = time.monotonic() - started
    ((checkpoints),) = cursor.execute(QUERIES["checkpoints_before_17" if before_17 else "checkpoints"]).fetchall()
    row["standbys"] = tuple(Standby(**one) for one in row["standbys"] or ())
    row["slots"] = tuple(Slot(**one) for one in row["slots"] or ())
    return Reading(at=started, took=took, archive_ready=ready, **row, **checkpoints)
