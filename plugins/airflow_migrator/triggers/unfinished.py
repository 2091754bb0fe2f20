"""Watch the ledgers of all targets for what a run has left unfinished, without a worker: one watcher in the triggerer,
however many schedulers there are, and again after a restart.

It only looks. Each target has a thread and a connection of its own, so that one that is down hides no other; what it
finds becomes an event of an asset, on which the DAG `custodian` runs.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

if TYPE_CHECKING:
    from migrator.ledger.rows import LedgerMigration

LOG = logging.getLogger(__name__)

EVERY_SECONDS = 5.0
TARGETS_EVERY_SECONDS = 30.0
"""How often targets.yaml is read again."""
PATIENCE_SECONDS = 8.0
"""So long nobody must have worked on it: the scheduler needs a moment between two tasks."""
DUE_PATIENCE_SECONDS = 60.0
"""The same where a task is due: what is left of a pause between two tries."""
AGAIN_SECONDS = 300.0
"""When it is still so, it is told once more."""
LONGEST_PAUSE_SECONDS = 60.0
"""Between two tries to reach a database that is down."""


class UnfinishedTrigger(BaseEventTrigger):
    """Yields {"target", "version", "run_id"} of each row that says running and on which nobody works. Never ends."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return ("airflow_migrator.triggers.unfinished.UnfinishedTrigger", {})

    async def run(self) -> AsyncIterator[TriggerEvent]:
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        stop = threading.Event()
        watched: dict[str, threading.Thread] = {}
        try:
            while True:
                for target in await asyncio.to_thread(_targets):
                    if target not in watched or not watched[target].is_alive():
                        watcher = Watcher(
                            target, stop, lambda event: loop.call_soon_threadsafe(events.put_nowait, event)
                        )
                        watched[target] = threading.Thread(
                            target=watcher.watch, name=f"custodian {target}", daemon=True
                        )
                        watched[target].start()
                with suppress(asyncio.TimeoutError):
                    yield TriggerEvent(await asyncio.wait_for(events.get(), TARGETS_EVERY_SECONDS))
        finally:
            stop.set()


def _targets() -> list[str]:
    """Those that have a ledger of ours to look after; a file that cannot be read is told by the DAGs."""
    from airflow_migrator.settings import read_settings
    from migrator.errors import InvalidInput
    from migrator.targets.targets_model import load_targets

    try:
        return list(load_targets(read_settings().targets).targets)
    except InvalidInput as exc:
        LOG.warning("targets.yaml cannot be read, so no new target is watched: %s", exc)
        return []


@dataclass
class Watcher:
    """One target, in a thread of its own."""

    target: str
    stop: threading.Event
    tell: Any
    _idle: dict[tuple[str, str], float] = field(default_factory=dict)
    """Since when nobody works on a version of a run (time.monotonic)."""
    _told: dict[tuple[str, str], float] = field(default_factory=dict)

    def watch(self) -> None:
        """Until it is stopped, or targets.yaml has no such target any more; whoever lists it again starts anew."""
        from migrator.errors import UsageError

        pause = EVERY_SECONDS
        while not self.stop.is_set():
            try:
                self._while_connected()
                pause = EVERY_SECONDS
            except UsageError as exc:
                LOG.warning("%s is not watched any more: %s", self.target, exc)
                return
            except Exception as exc:  # whatever it is: a custodian that ends is none
                LOG.warning("the ledger of %s cannot be watched now: %s", self.target, str(exc).partition("\n")[0])
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            self.stop.wait(pause)

    def _while_connected(self) -> None:
        from airflow_migrator.hooks.pg_migration import PgMigrationHook

        with PgMigrationHook(self.target).ledger(purpose="custodian") as ledger:
            while not self.stop.wait(EVERY_SECONDS):
                self.see(ledger.all_running() if ledger.exists() else ())

    def see(self, rows: Sequence[LedgerMigration]) -> None:
        """One look: whether somebody works on each row, and since when nobody does."""
        keys = {(row.version, row.run_id) for row in rows}
        for known in (self._idle, self._told):
            for key in set(known) - keys:
                del known[key]
        for row in rows:
            self.see_one(row)

    def see_one(self, row: LedgerMigration) -> None:
        from airflow_migrator.run_state import look
        from migrator.operations.reconcile import ENDED

        key, now = (row.version, row.run_id), time.monotonic()
        found = look(row)
        if found.state not in ENDED:
            self._idle.pop(key, None)
            return
        since = self._idle.setdefault(key, now)
        if now - since < (DUE_PATIENCE_SECONDS if found.due else PATIENCE_SECONDS):
            return
        if key not in self._told or now - self._told[key] >= AGAIN_SECONDS:
            self._told[key] = now
            LOG.warning("%s: nobody works on %s of run %s any more", self.target, row.version, row.run_id)
            self.tell({"target": self.target, "version": row.version, "run_id": row.run_id})
