"""What a step kind gets to work with, and what it gives back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg

from migrator.database import queries, session
from migrator.database.session import Endpoint
from migrator.documents import StrEnum
from migrator.errors import Cancelled, DriftDetected
from migrator.evidence import HeldLock
from migrator.plan import Phase, Plan, Statement, Step
from migrator.run import RunContext

if TYPE_CHECKING:
    from migrator.database.idle import Idle
    from migrator.database.lock_queue import LockQueue
    from migrator.database.locking import LockSession
    from migrator.ledger.ledger import Ledger
    from migrator.steps.answer import Answer
    from migrator.steps.holding import Holding
    from migrator.steps.meanwhile import Meanwhile
    from migrator.steps.throttle import Limits
    from migrator.steps.tracing import Tracer, Watch

LOG = logging.getLogger("migrator.steps")
QUERIES = queries.load(__package__, "steps")


class StatementOutcome(StrEnum):
    EXECUTED = "executed"
    REPAIRED = "repaired"
    """What an interrupted attempt left behind was removed, then the statement ran."""
    ALREADY_DONE = "already_done"
    """The ledger or the catalog says that an earlier attempt did it."""


@dataclass(frozen=True)
class Notice:
    """One message that the server raised while the statement ran."""

    severity: str
    message: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.message}"


@dataclass(frozen=True)
class StatementResult:
    statement: int
    kind: str
    outcome: StatementOutcome
    seconds: float = 0.0
    rows: int = -1
    """The server's row count, -1 when it reported none."""
    notices: tuple[Notice, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class StepResult:
    step: str
    kind: str
    status: str
    seconds: float
    statements: tuple[StatementResult, ...]
    attempts: int
    reconciled: bool = False
    """True when the ledger said that an earlier attempt had done it: nothing was executed now."""
    notes: tuple[str, ...] = ()
    held: tuple[HeldLock, ...] = ()
    """The strong locks of its transactions, as each held them."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the SQL itself raised as WARNING; a person should read these."""
        return tuple(
            notice.message for result in self.statements for notice in result.notices if notice.severity == "WARNING"
        )


@dataclass
class StepHandle:
    """Lets another thread, or a signal handler, stop the step that is running.

    An operator keeps it and calls `cancel` from `on_kill`. The backend is asked to cancel first, so that the server
    cleans up after itself, and is terminated when it does not obey within `grace_seconds`.
    """

    grace_seconds: float = 3.0
    _stopped: threading.Event = field(default_factory=threading.Event, repr=False)
    _backend: tuple[Endpoint, int, datetime] | None = field(default=None, repr=False)

    @property
    def cancelled(self) -> bool:
        return self._stopped.is_set()

    def watch(self, endpoint: Endpoint, pid: int, backend_start: datetime) -> None:
        """The step's code says which backend does its work. A cancel that came earlier takes effect here."""
        self._backend = (endpoint, pid, backend_start)
        self.raise_if_cancelled()

    def release(self) -> None:
        self._backend = None

    def raise_if_cancelled(self) -> None:
        if self.cancelled:
            raise Cancelled()

    def sleep(self, seconds: float) -> None:
        """Wait, but no longer than until a cancel."""
        self._stopped.wait(seconds)
        self.raise_if_cancelled()

    def cancel(self) -> bool:
        """Stop the running statement. Returns whether a backend was there to stop. Never raises for a lost server."""
        self._stopped.set()
        backend = self._backend
        if backend is None:
            return False
        endpoint, pid, backend_start = backend
        try:
            with session.connect(login_of(endpoint), purpose="cancel") as conn:
                return _cancel_backend(conn, pid, backend_start, self.grace_seconds)
        except Exception:
            # Called from a signal handler: the client's death is noticed by client_connection_check_interval anyway.
            LOG.warning("could not cancel backend %s; it ends when the server notices that its client is gone", pid)
            return False


def _cancel_backend(conn: psycopg.Connection[Any], pid: int, backend_start: datetime, grace: float) -> bool:
    parameters = {"pid": pid, "backend_start": backend_start, "grace": grace}
    row = conn.execute(QUERIES["cancel_backend"], parameters).fetchone()
    if row is None or not row[0]:
        return False
    busy = conn.execute(QUERIES["is_busy"], parameters).fetchone()
    while busy is not None and busy[0] and grace > 0:
        conn.execute("select pg_catalog.pg_sleep(0.1)")
        grace -= 0.1
        busy = conn.execute(QUERIES["is_busy"], parameters).fetchone()
    if busy is not None and busy[0]:
        conn.execute(QUERIES["terminate_backend"], parameters)
    return True


def login_of(endpoint: Endpoint) -> Endpoint:
    """The endpoint without SET ROLE: only the role that logged in may signal its own backends."""
    return replace(endpoint, role=None)


@dataclass(frozen=True)
class StepContext:
    """One attempt at one plan on one database. `deadline_seconds` bounds all waiting for locks of one step."""

    endpoint: Endpoint
    ledger: Ledger
    plan: Plan
    run: RunContext
    lock: LockSession | None = None
    tracer: Tracer | None = None
    handle: StepHandle = field(default_factory=StepHandle)
    log: logging.Logger = LOG
    deadline_seconds: float = 600.0
    progress_seconds: float = 1.0
    """How often a long statement is looked at from a second connection."""
    purpose: str = "apply"
    meanwhile: Meanwhile | None = None
    """Since the gates were asked; None: nothing was asked."""
    queue: LockQueue | None = None
    """Of the locks that are wanted now."""
    holding: Holding | None = None
    """Of the transaction that wants them."""
    held: list[HeldLock] = field(default_factory=list)
    """By the step so far."""
    watch: Watch | None = None
    """Of a rehearsal."""
    stops: Callable[[int, int, int | None], object] | None = None
    """Of a rehearsal: asked before each batch is committed, with how many rows were changed before it, how many by it,
    and how many there are to change. It raises where the step is to stop, as if the batch had failed."""
    may_go_on: Callable[[Phase], object] | None = None
    """Asks the calendar, between two parts of a long phase. It raises when the phase must stop for now: it is not done
    then, and has not failed."""
    hears: Callable[[str], bool] = lambda _: True
    """Whether what the server calls so is something that the plan may touch or run."""
    answered: Callable[[Step, datetime], Answer | None] | None = None
    """What a person who may has said to the question of a gate, since it was asked; None: no gate is waited at, as on a
    copy."""
    ends_idle: Idle | None = None
    """Which sessions it ends that hold what a step needs; None: none."""
    limits: Limits | None = None
    """Of the server's load, for steps of many batches; None: nobody else works there, as on a copy."""

    def is_last(self, step: Step) -> bool:
        return step.name == self.plan.steps[-1].name

    def check_lock(self) -> None:
        """Whoever lost the lock must not write: another run may be in charge by now."""
        if self.lock is not None:
            self.lock.check()

    @contextmanager
    def watching(self, statement: Statement, conn: psycopg.Connection[Any]) -> Iterator[None]:
        """Around a statement that takes effect by itself. :raises DriftDetected: see `Meanwhile`."""
        if self.meanwhile is None:
            yield
            return
        self._unless_beside(self.meanwhile.require_unchanged)
        yield
        self._unless_beside(partial(self.meanwhile.went_on, statement.kind))

    def require_unchanged(self) -> None:
        """Of what only reads. :raises DriftDetected: others have changed what it may run since the gates looked."""
        if self.meanwhile is not None:
            self._unless_beside(self.meanwhile.require_unchanged)

    def _unless_beside(self, look: Callable[[], object]) -> None:
        try:
            look()
        except DriftDetected as exc:
            self.go_on_beside(exc)

    def go_on_beside(self, others: DriftDetected) -> None:
        """:raises DriftDetected: what others have changed is what this plan may touch or run."""
        if self.meanwhile is None or any(map(self.hears, others.fields["differences"])):
            raise others
        self.meanwhile.begin_anew()
        told = ", ".join(others.fields["differences"])
        self.log.warning("%s goes on, although others have changed: %s", self.plan.version, told)

    def may_commit(self, before: int, rows: int, of: int | None) -> None:
        """Of a batch. :raises Cancelled: a rehearsal stops before it."""
        if self.stops is not None:
            self.stops(before, rows, of)

    def went_on(self) -> None:
        """A part has taken effect, and the ledger says so."""
        if self.watch is not None:
            self.watch.went_on()

    def trace_before(self, step: Step, statement: Statement, conn: psycopg.Connection[Any]) -> None:
        if self.tracer is not None:
            self.tracer.before(step.name, statement, conn)

    def trace_after(self, step: Step, statement: Statement, conn: psycopg.Connection[Any], rows: int) -> None:
        if self.tracer is not None:
            self.tracer.after(step.name, statement, conn, rows=rows)

    def trace_deferred(self, conn: psycopg.Connection[Any]) -> None:
        if self.tracer is not None:
            self.tracer.deferred(conn)

    def trace_committed(self, conn: psycopg.Connection[Any]) -> None:
        if self.tracer is not None:
            self.tracer.committed(conn)
