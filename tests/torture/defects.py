"""Defects that a backfill might have, to be planted in the worker: what the torture must find."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from migrator.database.door import send
from migrator.steps import batches, concurrent_index, piecewise, stale_copies
from migrator.steps.batch_sender import Sender
from migrator.steps.batches import Work


def cursor_apart() -> None:
    """The cursor is written in a transaction of its own after its batch; the first process dies between the two."""
    first: list[int] = []

    def commit(work: Any, then: Any, on: Any = None) -> None:
        if then.rows > work.progress.rows:
            first.append(work.progress.rows)
        batches.commit_only(work.conn, work.step, work.ctx)
        if len(first) == 2 and first[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        cursor = {**batches.cursor_of(work.statement, 0, batches.IN_BATCHES, 0), **vars(then)}
        work.ctx.ledger.step_progress(work.ctx.plan.version, work.step.name, cursor=cursor, rows_done=then.rows)

    Work.commit = commit  # type: ignore[method-assign]


def without_condition() -> None:
    """A batch changes what is in its pages, whether it still needs it or not."""
    real = Sender._send

    def all_of(work: Any, text: str, ctx: Any) -> Any:
        condition = f"({work.sql.condition}\n)"
        return real(work, text.replace(f"WHERE {condition}", "WHERE true"), ctx)

    Sender._send = all_of  # type: ignore[method-assign]


def without_row_locks() -> None:
    """A batch copies rows that somebody is changing, as they were before, and nobody copies them again at the end."""
    real = Sender._send
    stale_copies.settle = lambda work: ""

    def unlocked(work: Any, text: str, ctx: Any) -> Any:
        return real(work, re.sub(r"\nFOR NO KEY UPDATE OF \w+", "", text), ctx)

    Sender._send = unlocked  # type: ignore[method-assign]


def read_before() -> None:
    """A batch writes what it has read a while before, whatever the rows hold now."""
    real = Work._batch

    def stale(work: Any, table: Any, then: Any, first: int) -> Any:
        conn = work.conn
        pages = f"ctid >= '({first},0)' AND ctid < '({then.page},0)'"
        read = f"SELECT n, owner, a FROM {table.name} WHERE b IS NULL AND {pages}"
        kept = conn.execute(read.encode()).fetchall() if conn.info.transaction_status == 0 else []
        work.ctx.handle._stopped.wait(0.05)
        for n, owner, a in kept:
            text = f"UPDATE {table.name} SET a = {a}, b = {a} * 2 + 1 WHERE n = {n} AND owner = {owner} AND b IS NULL"
            conn.execute(text.encode())
        return real(work, table, then, first)

    Work._batch = stale  # type: ignore[method-assign]


def range_skipped() -> None:
    """Every fourth range is left out, and nobody looks whether rows are left."""
    real, count = Work._batch, [0]

    def skipping(work: Any, table: Any, then: Any, first: int) -> Any:
        count[0] += 1
        return then if count[0] % 4 == 0 else real(work, table, then, first)

    Work._batch, Work._left = skipping, lambda work: False  # type: ignore[method-assign, assignment]


def batch_twice() -> None:
    """The same range once more in the same transaction, as after a COMMIT whose answer was taken for a failure."""
    real = Sender._send

    def twice(work: Any, text: str, ctx: Any) -> Any:
        found = real(work, text, ctx)
        again = text.replace(f"({work.sql.condition}\n)", "(b IS NOT NULL)")
        send(work.conn, again, statement=work.statement).fetchall()
        return found

    Sender._send = twice  # type: ignore[method-assign]


def stalls() -> None:
    """A batch takes its time while its rows are locked."""
    real, slept = Sender._send, [False]

    def slow(work: Any, text: str, ctx: Any) -> Any:
        found = real(work, text, ctx)
        if found[0] > 100 and not slept[0]:
            slept[0] = True
            time.sleep(4)  # in the server its own time-out would end it
        return found

    Sender._send = slow  # type: ignore[method-assign]


def left_out_in_silence() -> None:
    """Rows that fail are left out, and the step passes for done."""
    Work._is_settled = lambda work: bool(work.quarantine.rows) or Work._is_done(work)  # type: ignore[method-assign]


def without_concurrently() -> None:
    """An index is built while nobody can write."""
    real = concurrent_index.build

    def build(statement: Any, step: Any, ctx: Any, conn: Any, **named: Any) -> Any:
        with conn.transaction():
            conn.execute("SET LOCAL lock_timeout = 0")
            conn.execute("LOCK TABLE public.t IN SHARE MODE")
            time.sleep(4)
        return real(statement, step, ctx, conn, **named)

    concurrent_index.build = build


def never_validated() -> None:
    """A constraint stays NOT VALID."""
    real = piecewise._run

    def run(position: int, step: Any, *args: Any, **named: Any) -> Any:
        statements = tuple(
            replace(one, sql="SELECT WHERE false") if "VALIDATE" in one.sql else one for one in step.statements
        )
        return real(position, replace(step, statements=statements), *args, **named)

    piecewise._run = run


DEFECTS: Mapping[str, Callable[[], None]] = {
    found.__name__: found
    for found in (
        *(cursor_apart, without_condition, without_row_locks, read_before, range_skipped, batch_twice, stalls),
        *(left_out_in_silence, without_concurrently, never_validated),
    )
}
