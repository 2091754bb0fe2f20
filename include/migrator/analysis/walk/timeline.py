"""The lock timeline of a file: what is held while what runs, per relation and mode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from migrator.analysis.walk.transactions import Held
from migrator.frozen import frozen
from migrator.lock_modes import strength
from migrator.plan import PredictedLock

if TYPE_CHECKING:
    from migrator.analysis.walk.subject import Subject


INDEX_KINDS = ("DROP INDEX", "ALTER INDEX", "REINDEX INDEX")
"""Statements that lock, of relations that nobody knows, indexes."""


@frozen
class Moment:
    """One statement while it runs."""

    statement: int
    """Index of the statement in its file; what runs inside of it has the same."""
    line: int
    kind: str
    transaction: int
    """Number of the transaction within the file: statements with the same number share one."""
    held: tuple[Held, ...] = ()
    """Locks of earlier statements that are still held, in the order in which they were taken."""
    takes: tuple[PredictedLock, ...] = ()
    rewrites: tuple[str, ...] = ()
    scans: tuple[str, ...] = ()
    known: bool = True
    """False: it may lock more than `takes` says."""
    nested: bool = False
    indexes: tuple[str, ...] = ()
    """Those of `takes` that are locks of indexes."""

    @property
    def works(self) -> bool:
        """Whether it takes time that grows with the number of rows."""
        return bool(self.rewrites or self.scans)


@frozen
class Span:
    """One lock from the statement that takes it to the last one that runs under it."""

    relation: str
    mode: str
    transaction: int
    first: Moment
    last: Moment


@frozen
class Timeline:
    moments: tuple[Moment, ...] = ()

    @property
    def transactions(self) -> tuple[tuple[Moment, ...], ...]:
        """The moments by transaction, in order."""
        groups: dict[int, list[Moment]] = {}
        for moment in self.moments:
            groups.setdefault(moment.transaction, []).append(moment)
        return tuple(tuple(group) for group in groups.values())

    def spans(self) -> Iterator[Span]:
        """Every lock with the time for which it is held, in the order in which they are taken."""
        for group in self.transactions:
            taken: dict[tuple[str, str], tuple[Moment, Moment]] = {}
            for moment in group:
                for lock in moment.takes:
                    taken.setdefault((lock.relation, lock.mode), (moment, moment))
                for item in moment.held:
                    key = (item.relation, item.mode)
                    taken[key] = (taken[key][0] if key in taken else moment, moment)
            for (relation, mode), (first, last) in taken.items():
                yield Span(relation, mode, group[0].transaction, first, last)

    def order(self, transaction: tuple[Moment, ...], *, at_least: str) -> tuple[str, ...]:
        """Relations in the order in which one transaction locks them, `at_least` in this mode."""
        relations: dict[str, None] = {}
        for moment in transaction:
            for lock in moment.takes:
                if strength(lock.mode) >= strength(at_least):
                    relations.setdefault(lock.relation)
        return tuple(relations)


def timeline_of(subjects: Iterable[Subject]) -> Timeline:
    """`subjects` in the order in which they run, those inside of others included."""
    return Timeline(
        tuple(
            Moment(
                statement=subject.statement.index,
                line=subject.statement.line,
                kind=subject.statement.kind,
                transaction=subject.transaction,
                held=subject.held,
                takes=subject.effects.locks,
                indexes=tuple(lock.relation for lock in subject.effects.locks if _is_index(subject, lock.relation)),
                rewrites=subject.effects.rewrites,
                scans=subject.effects.scans,
                known=subject.effects.known,
                nested=subject.nested,
            )
            for subject in subjects
        )
    )


def _is_index(subject: Subject, relation: str) -> bool:
    """What the catalog knows, else what the statement says."""
    facts = subject.world.relation(relation)
    return facts.kind in ("i", "I") if facts is not None else subject.statement.kind.startswith(INDEX_KINDS)
