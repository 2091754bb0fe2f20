"""In which order transactions lock tables: two that lock the same ones in opposite orders wait for each other for ever.

PostgreSQL ends one of them after deadlock_timeout with 40P01; with an application that may be the application's.
https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-DEADLOCKS
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING

from migrator.frozen import frozen
from migrator.lock_modes import blocks_writes

if TYPE_CHECKING:
    from migrator.analysis.walk.timeline import Moment, Timeline


@frozen
class Taken:
    relation: str
    mode: str
    statement: int
    line: int


@frozen
class LockOrder:
    """One transaction that locks several relations against writers, statement after statement."""

    file: str
    transaction: int
    taken: tuple[Taken, ...]
    """In the order in which they are locked, each relation once."""

    def pairs(self) -> Iterator[tuple[Taken, Taken]]:
        """Earlier and later, of different statements: what one statement locks cannot be put in another order."""
        for first, second in combinations(self.taken, 2):
            if first.statement != second.statement:
                yield first, second


def orders(file: str, timeline: Timeline) -> tuple[LockOrder, ...]:
    """The transactions of a file in which at least two statements lock different relations against writers."""
    found = (LockOrder(file, group[0].transaction, _taken(group)) for group in timeline.transactions)
    return tuple(order for order in found if len({item.statement for item in order.taken}) > 1)


def _taken(group: tuple[Moment, ...]) -> tuple[Taken, ...]:
    """Without indexes: whoever locks one has locked its table before."""
    taken: dict[str, Taken] = {}
    for moment in group:
        indexes = frozenset(moment.indexes)
        for lock in moment.takes:
            if blocks_writes(lock.mode) and lock.relation not in indexes:
                taken.setdefault(lock.relation, Taken(lock.relation, lock.mode, moment.statement, moment.line))
    return tuple(taken.values())


def opposite(mine: LockOrder, theirs: LockOrder) -> tuple[Taken, Taken] | None:
    """The first two relations that both lock, in opposite orders."""
    there = {item.relation: (index, item.statement) for index, item in enumerate(theirs.taken)}
    for first, second in mine.pairs():
        if first.relation in there and second.relation in there:
            (place, statement), (other_place, other_statement) = there[first.relation], there[second.relation]
            if place > other_place and statement != other_statement:
                return first, second
    return None
