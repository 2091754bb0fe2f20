"""Change the rows of a batch in a transaction that stays open: whoever asked for it commits it, or takes it back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from migrator.database import naming, session
from migrator.database.door import send
from migrator.plan import Statement, Step
from migrator.steps.batch_size import Pace
from migrator.steps.batch_statement import BatchSql, Place
from migrator.steps.context import StepContext
from migrator.steps.transaction import Connection, begin, cancellable, failure, noticing, roll_back, take_back


class Part(NamedTuple):
    """Of a table; what `BatchSql` makes a batch of."""

    table: str
    first: int
    end: int
    """The first page after it."""
    more: str
    """A condition beside the statement's own; it may be empty."""


class Changed(NamedTuple):
    rows: int
    seconds: float


def limited(ctx: StepContext, pace: Pace, pages: int, deadlock_ms: int) -> StepContext:
    """With timeouts of its own, in which a batch is stopped; one that cannot be smaller has the plan's time."""
    plan = ctx.plan
    made = replace(plan, lock_timeout_ms=pace.lock_ms(plan.lock_timeout_ms, deadlock_ms))
    if pages > 1:
        made = replace(made, statement_timeout_ms=min(pace.stop_ms, plan.statement_timeout_ms or pace.stop_ms))
    return replace(ctx, plan=made)


@dataclass
class Sender:
    """One session that changes batches."""

    step: Step
    statement: Statement
    sql: BatchSql
    conn: Connection

    def change(self, part: Part, ctx: StepContext, *, locks_first: bool, asks: bool = False) -> Changed:
        """
        :param locks_first: see `BatchSql`.
        :param asks: whether any row still meets the condition after it.
        """
        conn = self.conn
        ctx.handle.raise_if_cancelled()
        begin(conn, self.step, ctx)
        started = time.monotonic()
        try:
            chosen = self._locked(part, ctx) if locks_first else part
            changed, again = self._send(self.sql.batch(*chosen), ctx)
            if asks and changed and (still := self.sql.still(*part)):
                again = self._send(still, ctx)[1]
            if again:
                raise failure(
                    f"{again} of {changed} rows still meet the condition after the change, and would be changed again."
                    " write WHERE so that it is false of a row that is done",
                    self.statement,
                    self.step,
                )
            take_back(conn, ctx)
        except BaseException:
            roll_back(conn)
            raise
        return Changed(int(changed), time.monotonic() - started)

    def send(self, texts: Sequence[str], ctx: StepContext) -> int:
        """These in one transaction. How many rows the last of them has changed."""
        ctx.handle.raise_if_cancelled()
        begin(self.conn, self.step, ctx)
        try:
            found = [self._send(text, ctx)[0] for text in texts]
            take_back(self.conn, ctx)
        except BaseException:
            roll_back(self.conn)
            raise
        return int(found[-1])

    def _locked(self, part: Part, ctx: StepContext) -> Part:
        """The rows of it that are locked now."""
        held = [Place.of(oid, tid) for oid, tid in self._send(self.sql.locked(*part), ctx)[0] or ()]
        return part._replace(more=f"{part.more}{self.sql.these(held)}" if held else " AND false")

    def _send(self, text: str, ctx: StepContext) -> tuple[Any, int]:
        with (
            noticing(self.conn, ctx, self.statement),
            cancellable(ctx),
            session.translated(statement=self.statement, step=self.step.name),
            naming.names_of_target(self.conn),
        ):
            ((found, again),) = send(self.conn, text, statement=self.statement).fetchall()
        return found, int(again)
