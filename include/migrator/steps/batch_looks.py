"""What a backfill reads between its batches: where its rows lie, whether any is left, and who may have written some."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from migrator.database import naming, session
from migrator.database.activity import Blocker
from migrator.database.door import send
from migrator.database.lock_retries import Observer, with_lock_retries
from migrator.database.translate import RETRYABLE
from migrator.errors import LockNotAvailable
from migrator.plan import Statement, Step
from migrator.steps import batch_size, batch_tables
from migrator.steps.batch_statement import BatchSql
from migrator.steps.batch_tables import Table
from migrator.steps.context import StepContext
from migrator.steps.transaction import Connection, cancellable, roll_back

WAIT_SECONDS = 0.1
SEEN_SECONDS = batch_size.SHORTEST_LOCK_MS / 2000
"""So that whoever is in the way of a batch is seen before it gives way."""

T = TypeVar("T")


@dataclass
class Looks:
    step: Step
    statement: Statement
    sql: BatchSql
    ctx: StepContext
    conn: Connection

    def __post_init__(self) -> None:
        self.observer = Observer(self.ctx.endpoint, self._pid, every_seconds=SEEN_SECONDS)

    def patiently(self, work: Callable[[], T]) -> T:
        """Again when it met somebody, also as the one that a deadlock or a moved row has failed."""
        return with_lock_retries(
            work,
            observer_endpoint=self.ctx.endpoint,
            pid_of=self._pid,
            deadline_seconds=self.ctx.deadline_seconds,
            log=self.ctx.log,
            sleep=self.ctx.handle.sleep,
            observer=self.observer,
            retried=RETRYABLE,
        )

    def ask(self, text: str) -> Any:
        """What the condition calls must not write here: nobody would look at what it wrote. However large the table is,
        and however little time a statement of the file has."""
        return self.patiently(lambda: self._ask(text))

    def tables(self) -> list[Table]:
        return self.at_peace(batch_tables.tables)

    def at_peace(self, query: Callable[[Connection, BatchSql], T]) -> T:
        return self.patiently(lambda: self._translated(query))

    def key_columns(self, oid: int) -> list[str]:
        return self.at_peace(lambda conn, _: batch_tables.key_columns(conn, oid))

    def writers(self) -> Mapping[str, Blocker]:
        return self.at_peace(batch_tables.writers)

    def wait_for(self, writing: Mapping[str, Blocker]) -> None:
        """:raises LockNotAvailable: at the deadline, with who is still there."""
        if still := tuple(map(str, self.still(writing, self.writers, "what others are writing"))):
            what = "all rows that can be seen are done, but of transactions that are open nobody knows"
            raise LockNotAvailable(f"{what}: {'; '.join(still)}", blockers=still)

    def still(
        self, there: Mapping[str, Blocker], look: Callable[[], Mapping[str, Blocker]], what: str
    ) -> tuple[Blocker, ...]:
        """Wait until these are gone. Who is still there at the deadline.

        :param look: who is there now. :param what: for the log.
        """
        began, said = time.monotonic(), False
        while True:
            now = look() if there else {}
            left = tuple(blocker for key, blocker in there.items() if key in now)
            if not left or time.monotonic() - began > self.ctx.deadline_seconds:
                return left
            if not said:
                said = True
                self.ctx.log.info("step %s waits for %s: %s", self.step.name, what, "; ".join(map(str, left)))
            self.ctx.handle.sleep(WAIT_SECONDS)

    def _ask(self, text: str) -> Any:
        self.ctx.handle.raise_if_cancelled()
        try:
            with cancellable(self.ctx), session.translated(statement=self.statement, step=self.step.name):
                self.conn.execute("BEGIN READ ONLY; SET LOCAL statement_timeout = 0")
                with naming.names_of_target(self.conn):
                    ((found,),) = send(self.conn, text, statement=self.statement).fetchall()
            return found
        finally:
            roll_back(self.conn)

    def _translated(self, query: Callable[[Connection, BatchSql], T]) -> T:
        with cancellable(self.ctx), session.translated(statement=self.statement, step=self.step.name):
            return query(self.conn, self.sql)

    def _pid(self) -> int:
        return self.conn.info.backend_pid
