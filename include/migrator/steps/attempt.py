"""One attempt at a plan: the database's migration lock, and what the steps work with while it is held."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from migrator.database.locking import migration_lock
from migrator.database.session import Endpoint
from migrator.ledger.ledger import Ledger
from migrator.plan import Plan
from migrator.run import RunContext
from migrator.steps.context import LOG, StepContext, StepHandle
from migrator.steps.tracing import Tracer


@dataclass(frozen=True)
class Attempt:
    """`deadline_seconds` bounds the waiting for the migration lock, and again all waiting for locks of tables."""

    plan: Plan
    endpoint: Endpoint
    ledger: Ledger
    run: RunContext
    purpose: str = "apply"
    deadline_seconds: float = 600.0
    handle: StepHandle = field(default_factory=StepHandle)
    tracer: Tracer | None = None
    log: logging.Logger = LOG
    patience_seconds: float | None = None
    """For the migration lock alone, where that is not `deadline_seconds`."""
    asks: Callable[[], bool] = lambda: True
    """Whether a holder of the lock that rests is asked to let it go for a while."""

    @contextmanager
    def locked(self) -> Iterator[StepContext]:
        """:raises LockNotAvailable: another migration works on this database."""
        patience = self.deadline_seconds if self.patience_seconds is None else self.patience_seconds
        sleep = self.handle.sleep
        with migration_lock(
            self.endpoint, run=self.run, deadline_seconds=patience, asks=self.asks, sleep=sleep
        ) as lock:
            yield StepContext(
                endpoint=self.endpoint,
                ledger=self.ledger,
                plan=self.plan,
                run=self.run,
                lock=lock,
                tracer=self.tracer,
                handle=self.handle,
                log=self.log,
                deadline_seconds=self.deadline_seconds,
                purpose=self.purpose,
            )
