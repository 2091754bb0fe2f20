"""Watch an index build from a second connection: progress into the ledger, and the names of whom it waits for."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from migrator.database import queries, session, withheld
from migrator.database.activity import blockers_of
from migrator.database.told import words
from migrator.errors import MigratorError
from migrator.plan import Step
from migrator.steps.context import StepContext, login_of

REPEAT_LOG_SECONDS = 10.0
"""An unchanged phase is said again this often, so that the log shows life."""


@dataclass(frozen=True)
class Sample:
    """One row of pg_stat_progress_create_index."""

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

    @property
    def waiting(self) -> bool:
        return self.phase.startswith("waiting")

    def __str__(self) -> str:
        parts = [self.phase]
        if self.blocks_total:
            parts.append(f"{self.blocks_done} of {self.blocks_total} blocks")
        if self.tuples_total:
            parts.append(f"{self.tuples_done} of {self.tuples_total} rows")
        if self.lockers_total:
            parts.append(f"{self.lockers_done} of {self.lockers_total} waits done")
        return ", ".join(parts)


@contextmanager
def watching(pid: int, step: Step, ctx: StepContext, *, cursor: dict[str, Any] | None) -> Iterator[None]:
    """Sample backend `pid` until the block ends. A watcher that fails never disturbs the build.

    The ledger belongs to the watcher meanwhile: the caller waits for the server and must not write.
    """
    ended = threading.Event()
    thread = threading.Thread(
        target=withheld.keeping(_watch),
        args=(pid, step, ctx, cursor, ended),
        name=f"progress of {step.name}",
        daemon=True,
    )
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=10)


def _watch(pid: int, step: Step, ctx: StepContext, cursor: dict[str, Any] | None, ended: threading.Event) -> None:
    query = queries.load(__package__, "progress")["create_index"]
    said, said_at, written = "", 0.0, (-1, -1)
    if ended.wait(ctx.progress_seconds):
        return  # a small table is done before anybody looks
    try:
        with session.connect(login_of(ctx.endpoint), purpose="observe", version=ctx.plan.version) as conn:
            while True:
                row = conn.execute(query, {"pid": pid}).fetchone()
                if row is not None and row[0] is not None:
                    sample = Sample(str(row[0]), *(int(value or 0) for value in row[1:]))
                    if cursor is not None and sample.rows != written:
                        done, total = written = sample.rows
                        ctx.ledger.step_progress(
                            ctx.plan.version,
                            step.name,
                            cursor={**cursor, "phase": sample.phase},
                            rows_done=done,
                            rows_total=total,
                        )
                    if sample.phase != said or time.monotonic() - said_at >= REPEAT_LOG_SECONDS:
                        said, said_at = sample.phase, time.monotonic()
                        ctx.log.info("step %s: %s", step.name, sample)
                        _name_blockers(conn, pid, step, ctx, sample)
                if ended.wait(ctx.progress_seconds):
                    return
    except (MigratorError, psycopg.Error) as exc:
        ctx.log.warning("the progress of step %s is not watched any more: %s", step.name, words(exc))


def _name_blockers(conn: psycopg.Connection[Any], pid: int, step: Step, ctx: StepContext, sample: Sample) -> None:
    if not sample.waiting:
        return
    for blocker in blockers_of(conn, pid):
        ctx.log.warning("step %s waits for a transaction of %s", step.name, blocker)
