"""How long a step holds the strong locks that keep others waiting, as it is measured.

Read once, before COMMIT, from another session: it sees no table that the transaction itself has made, on which nobody
waits. A lock counts from the moment before its statement queued for it, so that a hold is never told too short.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from migrator.database.lock_queue import LockQueue
from migrator.database.vocabulary import told_name
from migrator.errors import MigratorError
from migrator.evidence import HeldLock
from migrator.lock_modes import MODES, blocks_writes, strength
from migrator.plan import PredictedLock, Statement

LOG = logging.getLogger(__name__)


class Holding:
    """Of the transactions of one step, one after the other."""

    def __init__(self, step: str, queue: LockQueue, kept: list[HeldLock]) -> None:
        self._step, self._queue, self._kept = step, queue, kept
        self._began = 0.0
        self._since: dict[str, float] = {}
        self._wanted = False
        self._held: tuple[tuple[str, str], ...] = ()

    def begin(self) -> None:
        self._began, self._since, self._wanted, self._held = time.monotonic(), {}, False, ()

    def wants(self, statement: Statement) -> None:
        """It is about to queue for its locks."""
        now, locks = time.monotonic(), strong(statement.locks)
        for lock in locks:
            self._since.setdefault(lock.relation, now)
        if locks or not statement.known:
            self._wanted = True

    def look(self) -> None:
        """Right before COMMIT. What keeps us from looking fails no step."""
        if not self._wanted:
            return
        try:
            self._held = self._queue.held()
        except MigratorError as exc:
            LOG.warning("nobody could look which locks step %s holds: %s", self._step, exc)

    def ended(self) -> None:
        """Right after COMMIT."""
        now = time.monotonic()
        for relation, mode in self._held:
            held = now - self._since.get(relation, self._began)
            self._kept.append(HeldLock(self._step, told_name(relation), mode, round(held, 4)))
        self._held = ()


def alone(statement: Statement, step: str, seconds: float) -> tuple[HeldLock, ...]:
    """What a statement outside of a transaction holds by its prediction, for at most as long as it took. Pure."""
    return tuple(HeldLock(step, lock.relation, lock.mode, round(seconds, 4)) for lock in strong(statement.locks))


def longest(held: Iterable[HeldLock]) -> tuple[HeldLock, ...]:
    """Of each step, object and mode the longest hold, in the order of the first ones. Pure."""
    found: dict[tuple[str, str, str], HeldLock] = {}
    for one in held:
        key = (one.step, one.relation, one.mode)
        if key not in found or one.seconds > found[key].seconds:
            found[key] = one
    return tuple(found.values())


def strong(locks: Iterable[PredictedLock]) -> tuple[PredictedLock, ...]:
    """The strongest of each object of those that keep writers waiting, by name."""
    found: dict[str, str] = {}
    for lock in locks:
        if lock.mode in MODES and blocks_writes(lock.mode):
            old = found.get(lock.relation)
            if old is None or strength(lock.mode) > strength(old):
                found[lock.relation] = lock.mode
    return tuple(PredictedLock(relation, mode) for relation, mode in sorted(found.items()))
