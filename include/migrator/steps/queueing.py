"""How a step comes to its locks: it looks who holds them before it queues, and tells whom it waits for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import psycopg

from migrator.database import idle
from migrator.database.activity import Blocker
from migrator.database.lock_queue import LockQueue
from migrator.database.told import words
from migrator.errors import MigratorError
from migrator.parsing.unseen import continued
from migrator.plan import Statement, Step
from migrator.run import system_clock
from migrator.steps.context import StepContext
from migrator.steps.holding import Holding
from migrator.wording import seconds

EVENT = "lock_awaited"
"""Whom a step has waited for before it queued for a lock. Its detail: step, waited_seconds, blockers."""
ENDED = "session_ended"
"""A session that held what a step needs and did nothing for too long. Its detail: step, session, idle_seconds."""
NAME = "locks"
"""What such waiting is called where a running step is shown."""
WORTH_SECONDS = 1.0
"""Shorter waiting stands in the log only."""
SAY_SECONDS = 10.0

Connection = psycopg.Connection[Any]


class Telling:
    """Of the waiting of one step: into the log at once and then now and then, into the ledger when it lasts."""

    def __init__(self, step: Step, ctx: StepContext, conn: Connection) -> None:
        self._step, self._ctx, self._conn = step, ctx, conn
        self._blockers: dict[int, str] = {}
        self._since: datetime | None = None
        self._seconds = 0.0
        self._said = self._told = 0.0
        """When, by the monotonic clock; 0: not yet."""

    def __call__(self, waited: float, blockers: tuple[Blocker, ...]) -> None:
        if not blockers:
            self.finish()
            return
        now, self._seconds = time.monotonic(), waited
        self._since = self._since or system_clock()
        self._blockers |= {blocker.pid: str(blocker) for blocker in blockers}
        reason = f"stands in no queue behind {'; '.join(map(str, blockers))}"
        if not self._said or now - self._said >= SAY_SECONDS:
            self._said = now
            self._ctx.log.warning("step %s waits and %s", self._step.name, continued(reason))
        if waited >= WORTH_SECONDS and (not self._told or now - self._told >= SAY_SECONDS):
            self._told = now
            self._tell({"name": NAME, "reason": reason, "since": self._since.isoformat()})

    def finish(self) -> None:
        """Also when the step gives up. What keeps the ledger from being told hides no other error."""
        blockers, self._blockers = self._blockers, {}
        if self._told:
            self._tell(None)
        self._since, self._said, self._told = None, 0.0, 0.0
        if not blockers or self._seconds < WORTH_SECONDS:
            return
        self._ctx.log.info("step %s has waited %s, and goes on", self._step.name, seconds(self._seconds))
        waited = {"waited_seconds": round(self._seconds, 3), "blockers": tuple(blockers.values())}
        try:
            self._ctx.ledger.append_event(
                EVENT,
                version=self._ctx.plan.version,
                run=self._ctx.run,
                detail={"step": self._step.name, **waited},
            )
        except (MigratorError, psycopg.Error) as exc:
            self._ctx.log.warning("the ledger could not be told of the waiting: %s", words(exc))

    def _tell(self, waiting: dict[str, str] | None) -> None:
        ctx, pid = self._ctx, self._conn.info.backend_pid
        try:
            ctx.ledger.step_waits(ctx.plan.version, self._step.name, waiting=waiting, pid=pid)
        except (MigratorError, psycopg.Error) as exc:
            ctx.log.warning("the ledger could not be told of the waiting: %s", words(exc))


class Ending:
    """Of sessions that forgot their transaction. The ledger is told before: a session of which nobody could learn why
    it is gone stays."""

    def __init__(self, step: Step, ctx: StepContext) -> None:
        self._step, self._ctx, self._policy = step, ctx, ctx.ends_idle

    def __call__(self, looking: Callable[[], Connection], holders: tuple[Blocker, ...]) -> bool:
        if self._policy is None:
            return False
        log, conn, ended = self._ctx.log, looking(), False
        for blocker, idle_seconds in idle.forgotten(conn, self._policy, holders):
            try:
                self._tell(blocker, idle_seconds)
                if idle.end(conn, self._policy, blocker):
                    log.warning("step %s has ended %s, idle for %s", self._step.name, blocker, seconds(idle_seconds))
                    ended = True
            except (MigratorError, psycopg.Error) as exc:
                log.warning("step %s ends no forgotten session, and waits: %s", self._step.name, words(exc))
                self._policy = None
                break
        return ended

    def _tell(self, blocker: Blocker, idle_seconds: float) -> None:
        detail = {"step": self._step.name, "session": str(blocker), "idle_seconds": round(idle_seconds, 3)}
        self._ctx.ledger.append_event(ENDED, version=self._ctx.plan.version, run=self._ctx.run, detail=detail)


@contextmanager
def queueing(step: Step, ctx: StepContext, conn: Connection) -> Iterator[tuple[LockQueue, StepContext]]:
    """For the locks that `conn` will want, from now until its deadline; and the context that knows of it."""
    telling = Telling(step, ctx, conn)
    queue = LockQueue(
        ctx.endpoint,
        lambda: conn.info.backend_pid,
        deadline_seconds=ctx.deadline_seconds,
        told=telling,
        ends=Ending(step, ctx),
        sleep=ctx.handle.sleep,
    )
    try:
        with queue:
            yield queue, replace(ctx, queue=queue, holding=Holding(step.name, queue, ctx.held))
    finally:
        telling.finish()


def lock_first(statement: Statement, step: Step, ctx: StepContext, conn: Connection) -> None:
    """Before a statement inside a transaction, which may hold locks by now.

    :raises LockNotAvailable: somebody old holds what it needs. :raises DriftDetected: see `Meanwhile.lock_first`.
    """
    if ctx.holding is not None:
        ctx.holding.wants(statement)
    if ctx.queue is not None and statement != step.statements[0]:
        ctx.queue.require_clear(statement.locks)
    if ctx.meanwhile is not None:
        if ctx.queue is not None:
            ctx.meanwhile.lock_first(conn, statement.locks, ctx.queue.patience_ms)
        else:
            ctx.meanwhile.lock_first(conn, statement.locks)
