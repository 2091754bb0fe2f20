"""What one statement does to the objects of a database: the answer of the effect tables."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from migrator.frozen import frozen
from migrator.lock_modes import strength
from migrator.plan import PredictedLock

T = TypeVar("T")


@frozen
class Failure:
    """Why a statement cannot succeed, or may not, with the SQLSTATE that the server answers."""

    sqlstate: str
    message: str


@frozen
class Touched:
    """Relations that a statement locks, rewrites and reads in full."""

    locks: tuple[PredictedLock, ...] = ()
    rewrites: tuple[str, ...] = ()
    scans: tuple[str, ...] = ()
    indexes_rebuilt: tuple[str, ...] = ()


UNTOUCHED = Touched()


@frozen
class Effects:
    """Relations are qualified ("public.messages"). Objects that the same migration creates are not listed: hardly
    anybody waits for them. `locks` has the strongest mode per relation."""

    locks: tuple[PredictedLock, ...] = ()
    rewrites: tuple[str, ...] = ()
    scans: tuple[str, ...] = ()
    """Relations read in full, by a check of every row or an index build, and not rewritten."""
    waits_for_old_transactions: bool = False
    fails: Failure | None = None
    assumptions: tuple[str, ...] = ()
    """What was taken for granted because there was no catalog to ask."""
    known: bool = True
    """False: nothing is known about this statement; never read it as harmless."""
    indexes_rebuilt: tuple[str, ...] = ()
    """Existing indexes that get a new file. A rewritten table's are among them."""
    transactional: bool = True
    """Whether PostgreSQL takes the statement inside a transaction block."""
    may_fail: tuple[Failure, ...] = ()
    """What the rows, or sessions at the same time, may make of it: a duplicate, a NULL, an orphan."""
    versions: tuple[str, ...] = ()
    """Where other majors do it differently, one sentence each: "before 14 the partition is locked ..."."""
    own: Touched = UNTOUCHED
    """Of the objects that the same migration has created, those that an earlier transaction of it did: the server shows
    what is done with them, so it belongs to the prediction."""

    def mode_on(self, relation: str) -> str | None:
        return next((lock.mode for lock in self.locks if lock.relation == relation), None)

    @property
    def strongest(self) -> str | None:
        return max((lock.mode for lock in self.locks), key=strength, default=None)


@dataclass
class Recorder:
    """Collects the effects of one statement; the only mutable thing in here, dropped after `done`."""

    locks: dict[str, str] = field(default_factory=dict)
    rewrites: list[str] = field(default_factory=list)
    scans: list[str] = field(default_factory=list)
    assumptions: list[str] = field(default_factory=list)
    fails: Failure | None = None
    waits: bool = False
    known: bool = True
    indexes_rebuilt: list[str] = field(default_factory=list)
    transactional: bool = True
    may_fail: list[Failure] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)

    def lock(self, relation: str | None, mode: str) -> None:
        if relation is None:
            return
        held = self.locks.get(relation)
        if held is None or strength(mode) > strength(held):
            self.locks[relation] = mode

    def rewrite(self, relation: str) -> None:
        if relation not in self.rewrites:
            self.rewrites.append(relation)

    def scan(self, relation: str) -> None:
        if relation not in self.scans:
            self.scans.append(relation)

    def rebuild(self, index: str) -> None:
        """An index gets a new file."""
        if index not in self.indexes_rebuilt:
            self.indexes_rebuilt.append(index)

    def assume(self, text: str) -> None:
        if text not in self.assumptions:
            self.assumptions.append(text)

    def fail(self, sqlstate: str, message: str) -> None:
        self.fails = self.fails or Failure(sqlstate, message)

    def risk(self, sqlstate: str, message: str) -> None:
        """It fails when the rows are not as they should be."""
        failure = Failure(sqlstate, message)
        if failure not in self.may_fail:
            self.may_fail.append(failure)

    def differs(self, text: str) -> None:
        """What another major does."""
        if text not in self.versions:
            self.versions.append(text)

    def include(self, effects: Effects) -> None:
        """Those of a part of the statement."""
        for part in (effects, effects.own):
            for lock in part.locks:
                self.lock(lock.relation, lock.mode)
            for name in part.rewrites:
                self.rewrite(name)
            for name in part.scans:
                self.scan(name)
        for text in effects.assumptions:
            self.assume(text)
        for failure in effects.may_fail:
            self.risk(failure.sqlstate, failure.message)
        self.fails = self.fails or effects.fails
        self.known = self.known and effects.known

    def done(self, *, without: Container[str] = (), unseen: Container[str] = ()) -> Effects:
        """The result.

        :param without: the relations that the migration itself created. :param unseen: those that its present
        transaction did.
        """
        hidden = without
        locks, rewrites, scans, rebuilt = self.locks, self.rewrites, self.scans, self.indexes_rebuilt
        return Effects(
            locks=tuple([PredictedLock(name, mode) for name, mode in locks.items() if name not in hidden]),
            rewrites=tuple([name for name in rewrites if name not in hidden]) if rewrites else (),
            scans=tuple([name for name in scans if name not in hidden and name not in rewrites]) if scans else (),
            waits_for_old_transactions=self.waits,
            fails=self.fails,
            assumptions=tuple(self.assumptions),
            known=self.known,
            indexes_rebuilt=tuple([name for name in rebuilt if name not in hidden]) if rebuilt else (),
            transactional=self.transactional,
            may_fail=tuple(self.may_fail),
            versions=tuple(self.versions),
            own=self._of([name for name in self._names() if name in hidden and name not in unseen]),
        )

    def _names(self) -> Iterable[str]:
        return dict.fromkeys([*self.locks, *self.rewrites, *self.scans, *self.indexes_rebuilt])

    def _of(self, own: Collection[str]) -> Touched:
        if not own:
            return UNTOUCHED
        return Touched(
            locks=tuple(PredictedLock(name, mode) for name, mode in self.locks.items() if name in own),
            rewrites=tuple(name for name in self.rewrites if name in own),
            scans=tuple(name for name in self.scans if name in own and name not in self.rewrites),
            indexes_rebuilt=tuple(name for name in self.indexes_rebuilt if name in own),
        )


NOTHING = Effects()


def merged(first: Effects, second: Effects) -> Effects:
    """Both effects at once, as for the parts of one statement."""
    return Effects(
        locks=_strongest(first.locks, second.locks),
        rewrites=_both(first.rewrites, second.rewrites),
        scans=_both(first.scans, second.scans),
        waits_for_old_transactions=first.waits_for_old_transactions or second.waits_for_old_transactions,
        fails=first.fails or second.fails,
        assumptions=_both(first.assumptions, second.assumptions),
        known=first.known and second.known,
        indexes_rebuilt=_both(first.indexes_rebuilt, second.indexes_rebuilt),
        transactional=first.transactional and second.transactional,
        may_fail=_both(first.may_fail, second.may_fail),
        versions=_both(first.versions, second.versions),
        own=_all(first.own, second.own),
    )


def _all(first: Touched, second: Touched) -> Touched:
    if UNTOUCHED in (first, second):
        return second if first == UNTOUCHED else first
    return Touched(
        locks=_strongest(first.locks, second.locks),
        rewrites=_both(first.rewrites, second.rewrites),
        scans=_both(first.scans, second.scans),
        indexes_rebuilt=_both(first.indexes_rebuilt, second.indexes_rebuilt),
    )


def _strongest(first: tuple[PredictedLock, ...], second: tuple[PredictedLock, ...]) -> tuple[PredictedLock, ...]:
    recorder = Recorder()
    for lock in (*first, *second):
        recorder.lock(lock.relation, lock.mode)
    return recorder.done().locks


def _both(first: tuple[T, ...], second: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(first + second))
