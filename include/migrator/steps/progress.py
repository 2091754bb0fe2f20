"""Watch what works CONCURRENTLY from a second connection: its progress, whom it waits for, and its own deadline.

Such a statement has no time-out of the server's: that would come in the middle of a wait as well as of the work. What
ends it is the deadline of its step, here, and then it is said what it waited for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import psycopg

from migrator.database import queries, session, withheld
from migrator.database.activity import Blocker, blockers_of
from migrator.database.told import words
from migrator.errors import MigratorError, StatementFailed
from migrator.input.durations import format_duration
from migrator.plan import Statement, Step
from migrator.steps.context import StepContext, login_of
from migrator.steps.deadline import seconds_of
from migrator.steps.transaction import failure

SAY_SECONDS = 5.0
"""An unchanged phase is said again this often, so that the log shows life."""


@dataclass(frozen=True)
class Sample:
    """One row of pg_stat_progress_create_index, which REINDEX has as well."""

    phase: str
    blocks_done: int
    blocks_total: int
    tuples_done: int
    tuples_total: int
    lockers_done: int
    lockers_total: int
    current_locker_pid: int
    rows_estimate: int

    @property
    def rows(self) -> tuple[int, int]:
        """Done and total in rows. The table scan counts blocks, the sort and load count tuples."""
        if self.tuples_total:
            return self.tuples_done, self.tuples_total
        if self.blocks_total:
            return round(self.rows_estimate * self.blocks_done / self.blocks_total), self.rows_estimate
        return 0, self.rows_estimate

    def __str__(self) -> str:
        parts = [self.phase]
        if self.phase.startswith("waiting"):  # then the rest is of the phase before
            parts.append(f"{self.lockers_done} of {self.lockers_total} waits done")
            return ", ".join(parts)
        if self.blocks_total:
            parts.append(f"{self.blocks_done} of {self.blocks_total} blocks")
        if self.tuples_total:
            parts.append(f"{self.tuples_done} of {self.tuples_total} rows")
        return ", ".join(parts)


@dataclass
class Watched:
    """What was last seen of a statement, and whether its deadline has ended it."""

    overdue: bool = False
    sample: Sample | None = None
    blockers: tuple[Blocker, ...] = ()

    @property
    def where(self) -> str:
        """Where it stands, for people."""
        at = str(self.sample) if self.sample else "at work"
        held = "; ".join(blocker.who for blocker in self.blockers)
        return f"{at}, held up by {held}" if held else at


@contextmanager
def watching(
    statement: Statement, step: Step, ctx: StepContext, conn: psycopg.Connection[Any], *, cursor: dict[str, Any] | None
) -> Iterator[Watched]:
    """Sample the backend of `conn` until the block ends. A watcher that fails never disturbs the statement.

    The ledger belongs to the watcher meanwhile: the caller waits for the server and must not write.

    :param cursor: what the step's ledger row keeps while progress is written into it; None writes none.
    """
    watcher = _Watcher(statement, step, ctx, conn, cursor, conn.info.backend_pid, seconds_of(step))
    thread = threading.Thread(target=withheld.keeping(watcher.run), name=f"progress of {step.name}", daemon=True)
    thread.start()
    try:
        yield watcher.seen
    finally:
        watcher.end()
        thread.join(timeout=10)


def given_up(watched: Watched, statement: Statement, step: Step, left: str = "") -> StatementFailed:
    """What is told of a statement that its deadline has ended.

    :param left: what became of the half of its work.
    """
    limit = format_duration(timedelta(seconds=seconds_of(step) or 0))
    text = f"{statement.kind} was given up at its deadline, after {limit}: {watched.where}"
    help_ = "see to it that those transactions end, then try again; or give the step a longer deadline"
    return failure("; ".join(part for part in (text, left, help_) if part), statement, step, sqlstate="57014")


@dataclass
class _Watcher:
    statement: Statement
    step: Step
    ctx: StepContext
    conn: psycopg.Connection[Any]
    """That of the statement: here it is only cancelled."""
    cursor: dict[str, Any] | None
    pid: int
    deadline: float | None
    seen: Watched = field(default_factory=Watched)
    began: float = field(default_factory=time.monotonic)
    blind: bool = False
    said: tuple[str, tuple[int, ...]] = ("", ())
    said_at: float = 0.0
    written: tuple[int, int] = (-1, -1)
    _observer: psycopg.Connection[Any] | None = None
    _ended: threading.Event = field(default_factory=threading.Event)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def end(self) -> None:
        with self._turn:
            self._ended.set()

    def run(self) -> None:
        """What is quick is done before anybody looks."""
        with ExitStack() as stack:
            while not self._ended.wait(self._pause()):
                self._look(stack)
                if self.deadline is not None and time.monotonic() - self.began >= self.deadline:
                    self._give_up()
                    return

    def _pause(self) -> float:
        """Until the next look, or the deadline."""
        if self.deadline is None:
            return self.ctx.progress_seconds
        return max(0.0, min(self.ctx.progress_seconds, self.began + self.deadline - time.monotonic()))

    def _give_up(self) -> None:
        with self._turn:  # what comes after the statement must not be cancelled
            if self._ended.is_set():
                return
            self.seen.overdue = True
            self.ctx.log.warning("step %s is given up at its deadline: %s", self.step.name, self.seen.where)
            try:
                self.conn.cancel()
            except psycopg.Error as exc:
                self.ctx.log.warning("step %s could not be cancelled: %s", self.step.name, words(exc))

    def _look(self, stack: ExitStack) -> None:
        if self.blind:
            return
        try:
            if self._observer is None:
                endpoint = login_of(self.ctx.endpoint)
                self._observer = stack.enter_context(
                    session.connect(endpoint, purpose="observe", version=self.ctx.plan.version)
                )
            self._sample(self._observer)
        except (MigratorError, psycopg.Error) as exc:
            self.blind = True
            self.ctx.log.warning("the progress of step %s is not watched any more: %s", self.step.name, words(exc))

    def _sample(self, observer: psycopg.Connection[Any]) -> None:
        query = queries.load(__package__, "progress")["create_index"]
        row = observer.execute(query, {"pid": self.pid}).fetchone()
        seen = self.seen
        seen.sample = None if row is None or row[0] is None else Sample(str(row[0]), *(int(x or 0) for x in row[1:]))
        seen.blockers = blockers_of(observer, self.pid)
        self._write(seen.sample)
        now = (seen.sample.phase if seen.sample else "", tuple(blocker.pid for blocker in seen.blockers))
        if now == ("", ()) or (now == self.said and time.monotonic() - self.said_at < SAY_SECONDS):
            return
        self.said, self.said_at = now, time.monotonic()
        self.ctx.log.info("step %s: %s", self.step.name, seen.sample or f"{self.statement.kind} waits")
        for blocker in seen.blockers:
            self.ctx.log.warning("step %s waits for the end of a transaction of %s", self.step.name, blocker.who)

    def _write(self, sample: Sample | None) -> None:
        if self.cursor is None or sample is None or sample.rows == self.written:
            return
        done, total = self.written = sample.rows
        self.ctx.ledger.step_progress(
            self.ctx.plan.version,
            self.step.name,
            cursor={**self.cursor, "phase": sample.phase},
            rows_done=done,
            rows_total=total,
        )
