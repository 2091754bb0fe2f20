"""An UPDATE, DELETE or INSERT of many rows in batches, each in one transaction together with the ledger's cursor.

So a batch is done once in effect, whatever stops the worker: the cursor says where to go on. A row that the application
moves to an earlier page meanwhile is found in the next round; the step is done when a query of the whole table finds no
row any more that meets the statement's condition, and nobody who was writing before it is writing still.

A batch waits for a row as long as it should take, not longer: its own rows stay locked meanwhile. Then it gives way,
before anybody who waits for one of them in turn is made the victim of a deadlock, and comes back with fewer pages.

A statement that reads more than the row has the rows of its batch locked first: so it sees all that belongs to them as
it is by then.

A batch that fails for its rows is halved until those that fail are alone (`quarantine`). With several workers it has
so many parts, which are changed at once and committed in order (`batch_team`).

Rows stay locked while a batch is looked at. So where nothing but the engine's own code can run at COMMIT, no more is
asked before it than whether anybody has changed what the batch may have run, and what its transaction has done. What
becomes of the ledger's chain, of the calendar and of the server's load is asked between two batches.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from migrator.database import session
from migrator.errors import (
    CommitUnknown,
    ConnectionLost,
    DriftDetected,
    StatementFailed,
    TransientError,
)
from migrator.ledger.rows import HELPERS
from migrator.plan import Phase, Statement, Step
from migrator.steps import batch_size
from migrator.steps.batch_looks import Looks
from migrator.steps.batch_progress import Progress
from migrator.steps.batch_promises import Promises
from migrator.steps.batch_sender import Changed, Part, Sender, limited
from migrator.steps.batch_size import Pace, Size
from migrator.steps.batch_statement import BatchSql, Place
from migrator.steps.batch_tables import Table
from migrator.steps.batch_team import Team, cuts
from migrator.steps.brake import Brake
from migrator.steps.context import StepContext
from migrator.steps.contract import IN_BATCHES
from migrator.steps.meter import Meter
from migrator.steps.quarantine import Quarantine, is_of_rows
from migrator.steps.transaction import (
    Connection,
    begin,
    cancellable,
    commit,
    commit_only,
    cursor_of,
    failure,
    roll_back,
)

ROUNDS = 10
"""Of one attempt. When rows are still found after as many, something goes on writing them."""
SAY_SECONDS = 10.0
LOOK_SECONDS = 2.0
CANCELED, GONE = "57014", "42P01"
"""query_canceled and undefined_table"""


@dataclass
class Work:
    step: Step
    phase: Phase
    statement: Statement
    sql: BatchSql
    ctx: StepContext
    conn: Connection
    looks: Looks
    progress: Progress
    size: Size
    brake: Brake
    meter: Meter
    deadlock_ms: int
    """After which the server looks for a deadlock."""
    quarantined: int = 0
    """How many rows may be left out."""
    span: int = batch_size.FIRST_PAGES  # pages of the batch at hand
    looked: float = 0.0
    workers: int = 1
    """How many batches may be changed at once."""
    together: int = 1  # parts of the batch at hand
    light: bool = False  # whether the last COMMIT could run nobody's code
    asked: bool = False  # whether the rows of a batch still meet the condition after it
    said: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.brake.look = self.look
        self.promises = Promises(self.looks)
        self.sender = Sender(self.step, self.statement, self.sql, self.conn)
        self.team = Team(self.sender, self.ctx, self.workers)
        self.quarantine = Quarantine(
            self.statement, self.sql, self.quarantined, self.looks.ask, self._some, self._mark, self._tables,
            self.looks.key_columns,
        )  # fmt: skip

    def run(self) -> None:
        """:raises StatementFailed: with file and line."""
        self.promises.before(self._tables(), self.progress.rows)
        self.quarantine.begin()
        rounds = before = 0
        while not self._is_settled():
            if rounds and self.quarantine.seen and self.progress.rows == before:
                raise self.quarantine.refused(moved=True)
            if rounds == ROUNDS:
                raise self._failed(
                    f"after {ROUNDS} rounds there are still rows that meet the condition: something goes on writing"
                    " them, or one that is done meets it again, or a trigger or policy keeps it as it is. stop what"
                    " does, then try again; or roll this migration back, and see to it that new rows are right, by a"
                    f" DEFAULT or a trigger in a step before{self.quarantine.besides()}"
                )
            if rounds:
                self.progress = Progress(round=self.progress.round + 1, rows=self.progress.rows)
                self.ctx.log.info("step %s: round %s, for rows that moved", self.step.name, self.progress.round)
            tables, place, before = self._tables(), self.progress, self.progress.rows
            self.quarantine.seen.clear()
            sizes = ((one.oid, one.pages, round(one.rows * one.pages)) for one in tables)
            self.meter.begin_round(sizes, table=place.table, page=place.page, rows=place.rows)
            for table in tables:
                if table.oid >= self.progress.table:
                    self._through(table)
                    self.quarantine.require_few()
            self.look(at_once=True)
            self.brake.before_batch(self.progress.table)
            rounds += 1

    def _is_settled(self) -> bool:
        """Done, but for rows that fail. :raises StatementFailed: there are some."""
        while self._is_done():
            before = set(self.quarantine.rows)
            if not before:
                return True
            self.quarantine.again()
            if before == self.quarantine.rows.keys():
                raise self.quarantine.refused()
        return False

    def _is_done(self) -> bool:
        """Rows of a transaction in flight nobody sees yet: one that has begun to write before we looked is waited for,
        and then it is looked again."""
        writing = self.looks.writers()
        if self._left():
            return False
        if not writing:
            return True
        self.looks.wait_for(writing)
        return not self._left()

    def _through(self, table: Table) -> None:
        place, counted = self.progress, True
        if (table.oid, table.file) != (place.table, place.file):
            place = replace(place, table=table.oid, file=table.file, page=0)
        self.quarantine.failed(0)
        try:
            while place.page < table.pages:
                self.look()
                self.quarantine.require_few(place.page)
                self.brake.before_batch(table.oid)
                self.size.at(Pace(self.brake.rhythm.batch, self.brake.rhythm.pause))
                self.together = self._ready()
                self.span = self.size.pages * self.together
                if counted:
                    first, end = self._next(table, place.page)
                    if first >= table.pages:
                        return
                    place, self.span = replace(place, page=first), end - first
                before = place
                try:
                    place = self.progress = self._one(table, before)
                except DriftDetected as exc:  # nothing of the batch is committed
                    self.ctx.go_on_beside(exc)
                    place = replace(place, rows=self.progress.rows)
                    continue
                counted = self.size.is_sparse(place.page - before.page, place.rows - before.rows)
                self.promises.so_far(self.progress.rows)
                self._say(table)
                self.brake.rest()
        except StatementFailed as exc:
            if exc.fields.get("sqlstate") != GONE or table.oid in {one.oid for one in self._tables()}:
                raise
            self.ctx.log.info("step %s: %s is gone", self.step.name, table.told)

    def _one(self, table: Table, place: Progress) -> Progress:
        try:
            return self.looks.patiently(functools.partial(self._sized, table, place))
        except StatementFailed as exc:
            if not is_of_rows(exc):
                raise
        self.quarantine.page(table, place.page)
        return replace(place, page=place.page + 1, rows=self.progress.rows)

    def _next(self, table: Table, page: int) -> tuple[int, int]:
        """From where on there is something to do, and up to where as much as a batch may have. Reading only: so pages
        with little work neither take a transaction each, nor make the batches grow for where there is more."""
        first, rows, window = page, 0, self.size.pages
        while page < table.pages and page - first < batch_size.MOST_PAGES:
            end, left = min(page + window, table.pages), self.size.rows - rows
            text = self.sql.found(table.target, page, end, left, self.quarantine.without(page, end))
            low, high, found = self.looks.ask(text)
            first = first if rows else Place.of(table.oid, low).page if low else end
            rows += int(found)
            if rows >= self.size.rows:
                return first, Place.of(table.oid, high).page + 1
            page, window = end, min(2 * window, batch_size.MOST_PAGES)
        return first, page

    def _sized(self, table: Table, place: Progress) -> Progress:
        """One batch, of as many pages as it can be by now."""
        while True:
            pages, began = self.quarantine.pages(place.page, self.span), time.monotonic()
            try:
                return self._batch(table, replace(place, page=place.page + pages), place.page)
            except TransientError:
                self.size.shrink()
                self.span = batch_size.FIRST_PAGES
                raise
            except StatementFailed as exc:
                if is_of_rows(exc) and pages > 1:
                    self.quarantine.failed(place.page + pages)
                    continue
                stopped = time.monotonic() - began >= self.size.pace.stop_ms / 1000
                if exc.fields.get("sqlstate") != CANCELED or pages == 1 or not stopped:
                    raise
                self.size.halve()
                self.span = pages // 2
                self.ctx.log.info("step %s: a batch of %s pages took too long", self.step.name, pages)

    def _batch(self, table: Table, then: Progress, first: int) -> Progress:
        parts = self._parts(table, first, then.page)
        if len(parts) > 1:
            return self._together(table, replace(then, page=first), parts)
        done, took = self._change(parts[0], then)
        self.size.after(then.page - first, done.rows - then.rows, took, table.rows)
        return done

    def _parts(self, table: Table, first: int, end: int) -> list[Part]:
        """For each session that is there, of one page and more."""
        return [Part(table.target, *cut, self.quarantine.without(*cut)) for cut in cuts(first, end, self.together)]

    def _ready(self) -> int:
        """How many parts the next batch may have. Those before any has shown what it does have one."""
        if not self.light:
            return 1
        if self.team.join():
            if self.brake.signals is not None:
                self.brake.signals.helpers = self.team.pids
            self._note()
        return self.team.count()

    def _some(self, table: Table, rows: Sequence[Place]) -> None:
        """A batch of these rows, all of a page."""
        page = rows[0].page
        part = Part(table.target, page, page + 1, self.sql.these(rows))
        while True:
            self.brake.rest()
            self.look()
            self.brake.before_batch(table.oid)
            try:
                self.progress, _ = self.looks.patiently(lambda: self._change(part, self.progress))
                return
            except DriftDetected as exc:
                self.ctx.go_on_beside(exc)

    def _mark(self) -> None:
        """What fails, into the ledger; unless nothing is changed yet, nor may be left out: then nothing is to undo."""
        if self.progress.rows or self.quarantined:
            self._note()

    def _note(self) -> None:
        """The cursor, into the ledger."""

        def alone() -> None:
            begin(self.conn, self.step, self.ctx)
            self.commit(self.progress)

        self.looks.patiently(alone)

    def _change(self, part: Part, then: Progress) -> tuple[Progress, float]:
        """:returns: `then` with the rows of this batch, and how long it took."""
        ctx = self.limited(part.end - part.first)
        changed = self.sender.change(part, ctx, locks_first=self.promises.locks_first, asks=not self.asked)
        self.asked = self.asked or changed.rows > 0
        return self._taken(then, changed), changed.seconds

    def _taken(self, then: Progress, changed: Changed, on: Connection | None = None) -> Progress:
        """Commit what is changed. :returns: `then` with its rows."""
        try:
            self.ctx.may_commit(then.rows, changed.rows, self.promises.most)
        except BaseException:
            roll_back(on or self.conn)
            raise
        then = replace(then, rows=then.rows + changed.rows)
        self.commit(then, on)
        return then

    def _together(self, table: Table, place: Progress, parts: Sequence[Part]) -> Progress:
        """As many of these as do not fail, from the first on. :raises MigratorError: the first one does."""
        then = place

        def commit(part: Part, changed: Changed, conn: Connection) -> None:
            nonlocal then
            then = self._taken(replace(then, page=part.end), changed, conn)
            self.size.after(part.end - part.first, changed.rows, changed.seconds, table.rows)

        self.team.change(parts, self.limited(2), commit, locks_first=self.promises.locks_first)
        return then

    def limited(self, pages: int) -> StepContext:
        return limited(self.ctx, self.size.pace, pages, self.deadlock_ms)

    def commit(self, then: Progress, on: Connection | None = None) -> None:
        ctx, conn = self.ctx, on or self.conn
        cursor = {**cursor_of(self.statement, 0, IN_BATCHES, 0), **vars(then)}
        cursor |= self.meter.at(then.table, then.page, then.rows)
        cursor |= self.quarantine.cursor
        if self.team.backends:
            cursor[HELPERS] = [[pid, start.isoformat()] for pid, start in self.team.backends]
        if (slowed := self.brake.slowed) is not None:
            cursor["slowed"] = slowed
        advance = functools.partial(ctx.ledger.step_advanced, ctx.plan.version, self.step.name)
        total = None if self.meter.rows_total is None else max(self.meter.rows_total, then.rows)
        write = functools.partial(advance, cursor=cursor, rows_done=then.rows, rows_total=total, on=conn)
        try:
            with cancellable(ctx), session.translated(step=self.step.name):
                ctx.check_lock()
                self.light = ctx.ledger.is_light(conn)
                if self.light:
                    self._require_unchanged()
                    write(light=True)
            if self.light:
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

    def look(self, *, at_once: bool = False) -> None:
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
            self.ctx.go_on_beside(exc)
        ctx.ledger.require_untouched()
        self.brake.obey()
        self.looked = time.monotonic()

    def _require_unchanged(self) -> None:
        """:raises DriftDetected: see `Meanwhile`."""
        if self.ctx.meanwhile is not None:
            self.ctx.meanwhile.require_unchanged()

    def _left(self) -> bool:
        return bool(self.looks.ask(self.sql.left(self.quarantine.without())))

    def _tables(self) -> list[Table]:
        found = self.looks.tables()
        for table in found:
            if table.kind != "r":
                raise self._failed(f"{table.told} is no table that has pages; name the tables behind it")
        return found

    def _say(self, table: Table) -> None:
        if time.monotonic() - self.said < SAY_SECONDS:
            return
        self.said = time.monotonic()
        done = self.meter.told(table.oid, self.progress.page, self.progress.rows)
        self.ctx.log.info(
            "step %s: page %s of %s of %s, %s", self.step.name, self.progress.page, table.pages, table.told, done
        )

    def _failed(self, reason: str) -> StatementFailed:
        return failure(reason, self.statement, self.step)
