"""A small writer on the tables of a plan while it is rehearsed, as the application would be: so that triggers and
batches meet traffic before production, and what fails of the application's own statements is seen.

It works for plans that last beyond a window, whose point it is that others go on with their work; locks that are held
for a moment in a window it would meet by chance only. It is the copy's role, writes what changes nothing (`exercises`),
and after each part of the migration it makes a minimum of writes before the next one begins. What its statements meet
is told to the reviewers and fails nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import psycopg

from migrator.backups.trial import Trial
from migrator.database import naming, session, withheld
from migrator.database.session import Connection
from migrator.database.told import words
from migrator.database.vocabulary import Vocabulary
from migrator.errors import MigratorError
from migrator.evidence import TRAFFIC
from migrator.plan import Plan
from migrator.rehearsal import exercises
from migrator.rehearsal.exercises import REPLACE, UPDATE, Exercised
from migrator.steps.contract import lasts
from migrator.steps.tracing import Watch

LOG = logging.getLogger(__name__)

LEAST_WRITES = 5
"""Of each kind of statement, on each table, in each part of the migration."""
LEAST_SECONDS = 5.0
"""So long they are waited for; then the evidence says why there were fewer."""
PAUSE_SECONDS = 0.01
STALLED_MS = 1000
"""Who waits so much longer for a lock than the migration may has been stalled by it: an autovacuum gives way after a
second only (deadlock_timeout), and who is queued behind the migration waits as well."""
MOST_TABLES = 10
AS_BEFORE = "INSERT without new columns"
"""As an application that does not know them yet; taken back each time."""
GONE = "42703"
"""undefined_column"""


@dataclass
class Part:
    """From one moment at which the migration has gone on to the next."""

    step: str
    writes: dict[tuple[int, str], int] = field(default_factory=dict)
    """Statements that came through, by table and kind."""
    longest_seconds: float = 0.0
    lacking: str = ""
    """Why there were fewer than the least."""
    ended: bool = False


@dataclass
class Refusal:
    """A statement of the application that the migration has made fail."""

    step: str
    table: str
    statement: str
    sqlstate: str
    message: str
    count: int = 0


class Traffic:
    """A context manager; a plan that does not last has none. `tables` and `referencing` are those on which statistics
    count its writes and reads, too."""

    def __init__(self, plan: Plan, trial: Trial, known: Vocabulary, *, on: bool = True) -> None:
        self._plan, self._trial, self._known = plan, trial, known
        self._wanted = on and lasts(plan)
        self._found: tuple[Exercised, ...] = ()
        self._parts: list[Part] = []
        self._refusals: dict[tuple[str, ...], Refusal] = {}
        self._turn = threading.Lock()
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        self._trouble = ""
        self.waited_seconds = 0.0
        """For the least number of writes."""

    @property
    def tables(self) -> frozenset[int]:
        return frozenset(oid for table in self._found if table.operations for oid in table.family)

    @property
    def referencing(self) -> frozenset[int]:
        return frozenset(oid for table in self._found if table.operations for oid in table.referencing)

    @property
    def names(self) -> frozenset[str]:
        """Of the tables that it writes, quoted."""
        return frozenset(table.name for table in self._found if table.operations)

    def __enter__(self) -> Traffic:
        if not self._wanted:
            return self
        touched = {lock.relation for step in self._plan.steps for one in step.statements for lock in one.locks}
        try:
            with self._connect() as conn, session.translated():
                self._found = exercises.find(conn, touched)[:MOST_TABLES]
        except MigratorError as exc:
            self._trouble = f"it could not be prepared: {exc}"
            LOG.warning("%s is rehearsed without other writers: %s", self._plan.version, exc)
        if any(table.operations for table in self._found):
            self._parts.append(Part(self._plan.steps[0].name))
            self._thread = threading.Thread(target=withheld.keeping(self._run), name="traffic", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join(timeout=30)
            self._thread = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Between two of its rounds: nothing of it holds a lock."""
        with self._turn:
            yield

    def watching(self, step: str, watch: Watch | None) -> Watch:
        """A `tracing.Watch` for a step: each moment at which it has gone on ends a part."""
        if self._parts:
            self._parts[-1].step = step
        return _Moments(self, step, watch)

    def went_on(self, step: str) -> None:
        if not self._parts:
            return
        part, started = self._parts[-1], time.monotonic()
        while self._missing(part) and self._is_alive() and time.monotonic() - started < LEAST_SECONDS:
            self._done.wait(PAUSE_SECONDS)
        if missing := self._missing(part):
            part.lacking = self._why(part, missing)
        self.waited_seconds += time.monotonic() - started
        with self._turn:
            part.ended = True
            self._parts.append(Part(step))

    @property
    def is_on(self) -> bool:
        """Whether it has written anything."""
        return any(part.writes for part in self._parts)

    def noted(self, spoiled: Sequence[str]) -> dict[str, dict[str, Any]]:
        """For the evidence; nothing of a plan that does not last. Names as they may be told.

        :param spoiled: what failed with it, and passed without.
        """
        if not lasts(self._plan):
            return {}
        names, tell = {table.oid: table.plain for table in self._found}, self._known.tell
        parts = [
            {
                "step": part.step,
                "writes": [[tell(names[oid]), kind, count] for (oid, kind), count in sorted(part.writes.items())],
                "longest_seconds": round(part.longest_seconds, 3),
                "lacking": tell(part.lacking),
            }
            for part in self._parts
            if part.ended
        ]
        left_out = [[tell(one.plain), kind, tell(note)] for one in self._found for kind, note in one.notes.items()]
        refused = [
            [one.step, tell(one.table), tell(one.statement), one.sqlstate, one.message, one.count]
            for one in self._refusals.values()
        ]
        found = {"parts": parts, "left_out": left_out, "refused": refused, "trouble": self._trouble}
        return {TRAFFIC: {**found, "spoiled": list(spoiled)}}

    def _connect(self) -> Connection:
        patience = self._plan.lock_timeout_ms + STALLED_MS
        conn = session.connect(
            self._trial.texts, purpose="dry_run", version=self._plan.version, lock_timeout_ms=patience
        )
        conn.prepare_threshold = None  # what fails because a plan is kept is the client's doing
        return conn

    def _is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _missing(self, part: Part) -> list[tuple[Exercised, str]]:
        wanted = [(table, kind) for table in self._found for kind in table.operations]
        return [(table, kind) for table, kind in wanted if part.writes.get((table.oid, kind), 0) < LEAST_WRITES]

    def _why(self, part: Part, missing: Sequence[tuple[Exercised, str]]) -> str:
        if self._trouble:
            return self._trouble
        said = []
        for table, kind in missing:
            refused = [one for one in self._refusals.values() if (one.step, one.table) == (part.step, table.plain)]
            why = refused[-1].message if refused else "it found no row any more, or came to no end in time"
            said.append(f"{kind} on {table.plain}: {why}")
        return "; ".join(said)

    def _run(self) -> None:
        try:
            with self._connect() as conn:
                conn.execute("SET enable_seqscan = off")  # reads are counted, and are to be the migration's
                turns = 0
                while not self._done.is_set():
                    for table in self._found:
                        with self._turn:
                            self._round(conn, table, table.keys[turns % len(table.keys)] if table.keys else ())
                    turns += 1
                    self._done.wait(PAUSE_SECONDS)
        except (MigratorError, psycopg.Error) as exc:
            self._trouble = f"the writer stopped: {words(exc)}"
            LOG.warning("%s goes on without other writers: %s", self._plan.version, words(exc))

    def _round(self, conn: Connection, table: Exercised, key: Sequence[str]) -> None:
        part = self._parts[-1]
        if UPDATE in table.operations:
            self._write(conn, part, table, UPDATE, table.update(), key, kept=table.is_kept(UPDATE))
        if REPLACE in table.operations:
            now = exercises.columns_of(conn, table.oid)
            text = table.replacement(now)
            self._write(conn, part, table, REPLACE, text, key, kept=table.is_kept(REPLACE))
            new = [one for one in now if one.name not in {old.name for old in table.columns}]
            if new and not any(one.computed for one in new):
                self._write(conn, part, table, AS_BEFORE, table.replacement(table.columns), key, kept=False)

    def _write(
        self, conn: Connection, part: Part, table: Exercised, kind: str, text: str, key: Sequence[str], *, kept: bool
    ) -> None:
        started, failed = time.monotonic(), True
        try:
            conn.execute("BEGIN")
            rows = exercises.run(conn, text, key)
            if not kept:
                conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
            conn.execute("COMMIT" if kept else "ROLLBACK")
            naming.committed(conn) if kept else naming.rolled_back(conn)
            failed = False
            if rows:
                part.writes[table.oid, kind] = part.writes.get((table.oid, kind), 0) + 1
        except psycopg.Error as exc:
            if conn.closed:
                raise
            if not (kind == REPLACE and exc.sqlstate == GONE):  # of our own list of columns
                self._refused(part, table, text, exc.sqlstate or "", words(exc))
        finally:
            part.longest_seconds = max(part.longest_seconds, time.monotonic() - started)
            if failed and not conn.closed:
                conn.execute("ROLLBACK")
                naming.rolled_back(conn)

    def _refused(self, part: Part, table: Exercised, text: str, sqlstate: str, message: str) -> None:
        statement = text.replace("%s", "$1").replace("%%", "%")
        key = (part.step, table.plain, statement, sqlstate)
        self._refusals.setdefault(key, Refusal(*key, message)).count += 1


class _Moments:
    def __init__(self, traffic: Traffic, step: str, watch: Watch | None) -> None:
        self._traffic, self._step, self._watch = traffic, step, watch

    def went_on(self) -> None:
        if self._watch is not None:
            self._watch.went_on()
        self._traffic.went_on(self._step)
