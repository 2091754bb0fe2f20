"""An UPDATE or DELETE of many rows in batches, each in a transaction of its own together with the ledger's cursor.

So a batch is done once in effect, whatever stops the worker: the cursor says where to go on. A row that the application
moves to an earlier page meanwhile, or that somebody has locked, is found in the next round; the step is done when a
query of the whole table finds no row any more that meets the statement's condition.

Rows stay locked while a batch is looked at. So where nothing but the engine's own code can run at COMMIT, no more is
asked before it than whether anybody has changed what the batch may have run, and what its transaction has done. What
becomes of the ledger's chain is asked between two batches, every LOOK_SECONDS.
"""

from __future__ import annotations

import functools
import itertools
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from migrator.database import naming, queries, session
from migrator.database.door import send
from migrator.database.locking import with_lock_retries
from migrator.database.vocabulary import told_name
from migrator.errors import CommitUnknown, ConnectionLost, DriftDetected, NeedsHuman, StatementFailed, TransientError
from migrator.parsing import statements
from migrator.plan import Phase, Statement, Step
from migrator.steps.batch_sql import BatchSql, batch_sql
from migrator.steps.brake import Brake, braking
from migrator.steps.context import StatementOutcome, StatementResult, StepContext
from migrator.steps.contract import IN_BATCHES
from migrator.steps.meter import Meter
from migrator.steps.throttle import Rhythm
from migrator.steps.transaction import (
    Connection,
    backend_of,
    begin,
    cancellable,
    commit,
    commit_only,
    cursor_of,
    ddl_connection,
    failure,
    noticing,
    roll_back,
    take_back,
)
from migrator.wording import seconds

QUERIES = queries.load(__package__, "batches")

FIRST_PAGES, MOST_PAGES = 32, 8192
ROUNDS = 10
"""When rows are still found after as many, something goes on writing them."""
AGAIN = frozenset({"40001", "40P01"})
"""SQLSTATEs of a batch that has lost against somebody, as when its row moves to another partition meanwhile."""
TRIES = 5
SAY_SECONDS = 10.0
LOOK_SECONDS = 2.0


@dataclass(frozen=True)
class Pace:
    """How long a batch should take, in which its rows stay locked, and how long the rest after it is. In seconds."""

    batch: float
    pause: float

    def next(self, pages: int, took: float, beside: float = 0.0) -> int:
        """Half as many or half as many more at most, so that one slow batch does not decide for the next ones.

        :param took: seconds of the statement. :param beside: of the round trips around it, which a smaller batch would
            not shorten: half of the time is the statement's all the same.
        """
        wanted = max(self.batch - beside, self.batch / 2)
        return max(1, min(MOST_PAGES, round(pages * max(0.5, min(1.5, wanted / max(took, 0.001))))))


@dataclass(frozen=True)
class Table:
    """One that holds rows: the relation itself, or one of its partitions."""

    oid: int
    name: str
    """Quoted and qualified."""
    kind: str
    file: int
    pages: int
    rows: int
    """As the planner estimates them."""

    @property
    def told(self) -> str:
        """A step before may have called a child like a row."""
        return told_name(self.name)


@dataclass
class Progress:
    """What the cursor keeps. `table`, `file`, `page`: where to go on; pages of another file say nothing."""

    round: int = 1
    table: int = 0
    file: int = 0
    page: int = 0
    rows: int = 0

    @classmethod
    def of(cls, cursor: Any) -> Progress:
        return cls(**{name: int(cursor[name]) for name in cls.__dataclass_fields__ if name in cursor})


@dataclass
class Work:
    step: Step
    phase: Phase
    statement: Statement
    sql: BatchSql
    ctx: StepContext
    conn: Connection
    progress: Progress
    brake: Brake
    meter: Meter
    pages: int = field(default_factory=lambda: FIRST_PAGES)
    sized: float = 0.0
    """The time of a batch, in seconds, that `pages` is meant for."""
    one: bool = False
    """Whether a batch is one row that it waits for."""
    looked: float = 0.0
    said: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.brake.look = self._look
        self.sized = self.brake.rhythm.batch

    def run(self) -> None:
        """:raises StatementFailed: with file and line."""
        while True:
            before, tables = self.progress.rows, self._tables()
            place = self.progress
            sizes = ((one.oid, one.pages, one.rows) for one in tables)
            self.meter.begin_round(sizes, table=place.table, page=place.page, rows=place.rows)
            for table in tables:
                if table.oid >= self.progress.table:
                    self._through(table)
            self._look(at_once=True)
            self.brake.before_batch(self.progress.table)
            if not self._left():
                return
            if self.progress.rows == before and self._wait_for_one(tables):
                continue
            if self.progress.round >= ROUNDS:
                raise self._failed(
                    f"after {ROUNDS} rounds there are still rows that meet the condition: something goes on writing"
                    " them. see to it that new rows are right, by a DEFAULT or a trigger in a step before, then try"
                    " again"
                )
            self.progress = Progress(round=self.progress.round + 1, rows=self.progress.rows)
            self.ctx.log.info("step %s: round %s, for rows that moved", self.step.name, self.progress.round)

    def _wait_for_one(self, tables: list[Table]) -> bool:
        """Somebody holds the rows that are left: wait for one, holding none, then try the others again.

        :raises LockNotAvailable: at the deadline, with who is in the way.
        """
        self.ctx.log.info("step %s: rows that are left are locked by others; waiting for one", self.step.name)
        before, pages, self.one = self.progress.rows, self.pages, True
        start = Progress(round=self.progress.round, rows=before)
        try:
            for table in tables:
                if self.progress.rows == before:
                    self.progress = self._patiently(table, start, 0)
        finally:
            self.one, self.pages = False, pages
        return self.progress.rows > before

    def _through(self, table: Table) -> None:
        place = self.progress
        if (table.oid, table.file) != (place.table, place.file):
            place = replace(place, table=table.oid, file=table.file, page=0)
        while place.page < table.pages:
            self._look()
            self.brake.before_batch(table.oid)
            slower = min(1.0, self.brake.rhythm.batch / self.sized)
            end = place.page + max(1, int(self.pages * slower))
            try:
                place = self._patiently(table, replace(place, page=end), place.page)
            except DriftDetected as exc:  # nothing of the batch is committed
                self._go_on_beside(exc)
                continue
            self.progress = place
            self._say(table)
            self.brake.rest()

    def _patiently(self, table: Table, then: Progress, first: int) -> Progress:
        for tries in itertools.count(1):
            try:
                return with_lock_retries(
                    lambda: self._batch(table, then, first),
                    observer_endpoint=self.ctx.endpoint,
                    pid_of=lambda: self.conn.info.backend_pid,
                    deadline_seconds=self.ctx.deadline_seconds,
                    log=self.ctx.log,
                    sleep=self.ctx.handle.sleep,
                )
            except TransientError as exc:
                if exc.fields.get("sqlstate") not in AGAIN or tries == TRIES:
                    raise
                self.ctx.log.info("step %s: a batch is tried again: %s", self.step.name, exc)
        raise AssertionError("the last try returns or raises")

    def _batch(self, table: Table, then: Progress, first: int) -> Progress:
        ctx, conn = self.ctx, self.conn
        ctx.handle.raise_if_cancelled()
        begin(conn, self.step, ctx)
        started = time.monotonic()
        try:
            sent = time.monotonic()
            name = table.name
            changed, again = self._send(self.sql.one(name) if self.one else self.sql.batch(name, first, then.page))
            took = time.monotonic() - sent
            if again:
                raise self._failed(
                    f"{again} of {changed} rows still meet the condition after the change, and would be changed again."
                    " write WHERE so that it is false of a row that is done"
                )
            ctx.check_lock()
            take_back(conn, ctx)
            took = time.monotonic() - started
        except BaseException:
            roll_back(conn)
            raise
        then = replace(then, rows=then.rows + changed)
        self._commit(then)
        rhythm = self.brake.rhythm
        pace = Pace(rhythm.batch, rhythm.pause)
        self.pages = pace.next(then.page - first, took, time.monotonic() - started - took)
        self.sized = rhythm.batch
        return then

    def _commit(self, then: Progress) -> None:
        ctx, conn = self.ctx, self.conn
        cursor = {**cursor_of(self.statement, 0, IN_BATCHES, 0), **vars(then)}
        cursor |= self.meter.at(then.table, then.page, then.rows)
        if (slowed := self.brake.slowed) is not None:
            cursor["slowed"] = slowed
        advance = functools.partial(ctx.ledger.step_advanced, ctx.plan.version, self.step.name)
        total = None if self.meter.rows_total is None else max(self.meter.rows_total, then.rows)
        write = functools.partial(advance, cursor=cursor, rows_done=then.rows, rows_total=total, on=conn)
        try:
            with session.translated(step=self.step.name):
                light = ctx.ledger.is_light(conn)
                if light:
                    self._require_unchanged()
                    write(light=True)
            if light:
                commit_only(conn, self.step, ctx)
            else:
                commit(conn, self.step, ctx, functools.partial(write, light=False))
        except CommitUnknown as exc:
            raise ConnectionLost(
                f"the connection was lost at COMMIT of a batch of step {self.step.name!r}; how far it is stands in the"
                " ledger, which the batch commits with: the next try goes on from there"
            ) from exc
        except BaseException:
            roll_back(conn)  # what is committed stays
            raise

    def _look(self, *, at_once: bool = False) -> None:
        """:raises DriftDetected: somebody has changed what it may run. :raises LedgerTampered: see there."""
        now = time.monotonic()
        if not at_once and now - self.looked < LOOK_SECONDS:
            return
        ctx = self.ctx
        if ctx.may_go_on is not None:
            ctx.may_go_on(self.phase)
        try:
            self._require_unchanged()
        except DriftDetected as exc:
            self._go_on_beside(exc)
        ctx.ledger.require_untouched()
        self.brake.obey()
        self.looked = time.monotonic()

    def _require_unchanged(self) -> None:
        """:raises DriftDetected: see `Meanwhile`."""
        if self.ctx.meanwhile is not None:
            self.ctx.meanwhile.require_unchanged()

    def _go_on_beside(self, others: DriftDetected) -> None:
        """:raises DriftDetected: what others have changed is what this step may run."""
        if self.ctx.meanwhile is None:
            raise others
        self.ctx.meanwhile.begin_anew()
        told = ", ".join(others.fields["differences"])
        self.ctx.log.warning("step %s goes on, although others have changed: %s", self.step.name, told)

    def _send(self, text: str) -> tuple[int, int]:
        with (
            noticing(self.conn, self.ctx, self.statement),
            cancellable(self.ctx),
            session.translated(statement=self.statement, step=self.step.name),
            naming.names_of_target(self.conn),
        ):
            ((changed, again),) = send(self.conn, text, statement=self.statement).fetchall()
        return int(changed), int(again)

    def _left(self) -> bool:
        """What the condition calls must not write here: nobody would look at what it wrote."""
        try:
            with cancellable(self.ctx), session.translated(statement=self.statement, step=self.step.name):
                self.conn.execute("BEGIN READ ONLY")
                with naming.names_of_target(self.conn):
                    ((left,),) = send(self.conn, self.sql.left(), statement=self.statement).fetchall()
            return bool(left)
        finally:
            roll_back(self.conn)

    def _tables(self) -> list[Table]:
        with session.translated(statement=self.statement, step=self.step.name):
            values = {"relation": self.sql.relation, "by_itself": self.sql.only}
            found = naming.ask(self.conn, QUERIES["tables"], values)
        tables = [Table(*row) for row in found.rows]
        if not tables:
            raise self._failed(f"there is no table {self.sql.relation}")
        for table in tables:
            if table.kind != "r":
                raise self._failed(f"{table.told} is no table that has pages; name the tables behind it")
        return tables

    def _say(self, table: Table) -> None:
        if time.monotonic() - self.said < SAY_SECONDS:
            return
        self.said = time.monotonic()
        told = self.meter.at(table.oid, self.progress.page, self.progress.rows)
        left = "" if told["left_seconds"] is None else f", {seconds(told['left_seconds'])} left"
        self.ctx.log.info(
            "step %s: page %s of %s of %s, %.0f %% of all pages, %s rows so far, %.0f a second%s",
            self.step.name, self.progress.page, table.pages, table.told,
            100 * told["pages_done"] / max(1, told["pages_total"]), self.progress.rows, told["rate"] or 0, left,
        )  # fmt: skip

    def _failed(self, reason: str) -> StatementFailed:
        return failure(reason, self.statement, self.step)


def execute(step: Step, phase: Phase, ctx: StepContext, pace: Pace) -> tuple[StatementResult, ...]:
    """Go on where the ledger's cursor stands, until no row meets the condition; then the ledger says success."""
    statement = step.statements[0]
    row = next(row for row in ctx.ledger.steps(ctx.plan.version) if row.step == step.name)
    if row.touched and row.cursor.get("digest") != statement.digest:
        raise NeedsHuman(
            f"step {step.name!r} has changed rows by another statement than the plan has now; put it back as it was, or"
            " roll the migration back first",
            version=ctx.plan.version,
            step=step.name,
        )
    started = time.monotonic()
    with ExitStack() as stack:
        conn = stack.enter_context(ddl_connection(ctx))
        backend = backend_of(conn, ctx)
        ctx.ledger.step_started(ctx.plan.version, step.name, run=ctx.run, backend=backend)
        alone = replace(ctx, tracer=None)  # which looks at all batches together
        brake = stack.enter_context(braking(step, ctx, backend[0], Rhythm(pace.batch, pace.pause)))
        work = Work(step, phase, statement, _sql_of(statement), alone, conn, Progress.of(row.cursor), brake, Meter())
        if work.progress.rows:
            ctx.log.info("step %s goes on after %s rows", step.name, work.progress.rows)
        ctx.trace_before(step, statement, conn)
        work.run()
        ctx.trace_after(step, statement, conn, work.progress.rows)
        ctx.handle.release()
    ctx.check_lock()
    rows = work.progress.rows
    ctx.ledger.step_succeeded(ctx.plan.version, step.name, run=ctx.run, last=ctx.is_last(step), rows=rows)
    outcome, took = StatementOutcome.EXECUTED, time.monotonic() - started
    return (StatementResult(statement.index, statement.kind, outcome, took, rows, note=brake.note),)


def _sql_of(statement: Statement) -> BatchSql:
    return batch_sql(statements.parse(statement.sql, file=statement.file).statements[0])
