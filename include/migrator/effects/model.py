"""What one statement does to the objects of a database: the answer of the effect tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from migrator.plan import PredictedLock

# The eight table-level modes, weakest first: https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES
MODES = (
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)
AS, RS, RX, SUX, S, SRX, X, AX = MODES

_CONFLICTS = {
    AS: {AX},
    RS: {X, AX},
    RX: {S, SRX, X, AX},
    SUX: {SUX, S, SRX, X, AX},
    S: {RX, SUX, SRX, X, AX},
    SRX: {RX, SUX, S, SRX, X, AX},
    X: {RS, RX, SUX, S, SRX, X, AX},
    AX: set(MODES),
}


def conflicts(mode: str, other: str) -> bool:
    return other in _CONFLICTS[mode]


def strength(mode: str) -> int:
    return MODES.index(mode)


def blocks_reads(mode: str) -> bool:
    return conflicts(mode, AS)


def blocks_writes(mode: str) -> bool:
    return conflicts(mode, RX)


@dataclass(frozen=True)
class Failure:
    """The statement cannot succeed."""

    sqlstate: str
    message: str


@dataclass(frozen=True)
class Effects:
    """Relations are qualified ("public.messages"). Objects that the same migration creates are not listed: nobody else
    can wait for them. `locks` has the strongest mode per relation."""

    locks: tuple[PredictedLock, ...] = ()
    rewrites: tuple[str, ...] = ()
    scans: tuple[str, ...] = ()
    """Relations read in full, by a check of every row or an index build."""
    waits_for_old_transactions: bool = False
    fails: Failure | None = None
    assumptions: tuple[str, ...] = ()
    """What was taken for granted because there was no catalog to ask."""
    known: bool = True
    """False: nothing is known about this statement; never read it as harmless."""

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

    def assume(self, text: str) -> None:
        if text not in self.assumptions:
            self.assumptions.append(text)

    def fail(self, sqlstate: str, message: str) -> None:
        self.fails = self.fails or Failure(sqlstate, message)

    def done(self, *, without: Iterable[str] = ()) -> Effects:
        """The result, without the relations that the migration itself created."""
        hidden = frozenset(without)
        return Effects(
            locks=tuple(PredictedLock(name, mode) for name, mode in self.locks.items() if name not in hidden),
            rewrites=tuple(name for name in self.rewrites if name not in hidden),
            scans=tuple(name for name in self.scans if name not in hidden),
            waits_for_old_transactions=self.waits,
            fails=self.fails,
            assumptions=tuple(self.assumptions),
            known=self.known,
        )


NOTHING = Effects()


def merged(first: Effects, second: Effects) -> Effects:
    """Both effects at once, as for the parts of one statement."""
    recorder = Recorder()
    for lock in (*first.locks, *second.locks):
        recorder.lock(lock.relation, lock.mode)
    combined = recorder.done()
    return replace(
        combined,
        rewrites=tuple(dict.fromkeys(first.rewrites + second.rewrites)),
        scans=tuple(dict.fromkeys(first.scans + second.scans)),
        waits_for_old_transactions=first.waits_for_old_transactions or second.waits_for_old_transactions,
        fails=first.fails or second.fails,
        assumptions=tuple(dict.fromkeys(first.assumptions + second.assumptions)),
        known=first.known and second.known,
    )
