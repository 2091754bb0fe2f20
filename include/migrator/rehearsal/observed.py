"""What was noted around a statement, and what it says about it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from migrator.evidence import ObservedLock
from migrator.lock_modes import AX, MODES, RX, SUX, X, strength
from migrator.plan import Statement
from migrator.rehearsal import skipped, usage
from migrator.rehearsal.overwriting import Column
from migrator.rehearsal.taking import TABLES

WRITING_MODES = frozenset({RX, X, AX})
"""Whoever changes rows holds one of these."""

COMMITS_BY_ITSELF = ("CALL", "DO")
"""Outside a transaction these have many of their own: what they write may be over between two samples."""

INDEXES = ("i", "I")
MOST_HELD = 50
"""Where nothing is predicted, all tables are held for a moment, unless they are this many."""
Lock = tuple[int, str]
"""OID of the relation, and mode as MODES names it."""


@dataclass(frozen=True)
class Relation:
    oid: int
    name: str
    """Quoted, as SQL wants it."""
    plain: str
    """Not quoted, as predictions have it."""
    kind: str
    file: int
    table_oid: int | None
    root_oid: int | None
    """Of a partition: the table that statements name."""


@dataclass(frozen=True)
class Before:
    """What was noted just before a statement was sent."""

    pid: int
    transactional: bool
    relations: Mapping[int, Relation]
    """Those that existed before the transaction, with their files as of now."""
    locks: frozenset[Lock]
    use: Mapping[int, usage.Use]
    wal: int
    started: float
    columns: Collection[Column] = ()
    """Of the tables whose columns it may write over."""
    notices: list[str] = field(default_factory=list)
    noticed: list[skipped.Notice] = field(default_factory=list)


def observed(statement: Statement, before: Before, held: frozenset[Lock]) -> tuple[ObservedLock, ...]:
    """The strongest lock per relation that this statement took, and those that it needs and an earlier one had taken.

    An index is mentioned from SHARE UPDATE EXCLUSIVE on: whoever reads or writes a table locks its indexes alike.
    """
    relations = before.relations
    most = strongest(held, relations)
    new = strongest(held - before.locks, relations)
    predicted = {lock.relation: lock.mode for lock in statement.locks}
    found = []
    for oid, mode in most.items():
        relation = relations[oid]
        shown = new.get(oid)
        wanted = predicted.get(relation.plain)
        if wanted in MODES and (shown is None or strength(shown) < strength(wanted) <= strength(mode)):
            shown = wanted if strength(wanted) <= strength(mode) else shown
        if shown is None or (relation.kind in INDEXES and strength(shown) < strength(SUX)):
            continue
        found.append(ObservedLock(relation.plain, shown))
    return by_strength(found)


def by_strength(locks: Iterable[ObservedLock]) -> tuple[ObservedLock, ...]:
    return tuple(sorted(locks, key=lambda lock: (-strength(lock.mode), lock.relation)))


def joined(locks: tuple[ObservedLock, ...], more: ObservedLock) -> tuple[ObservedLock, ...]:
    there = next((lock for lock in locks if lock.relation == more.relation), None)
    if there is not None and strength(there.mode) >= strength(more.mode):
        return locks
    return by_strength([*(lock for lock in locks if lock is not there), more])


def predicts(statement: Statement, names: Collection[str], mode: str) -> bool:
    return any(lock.relation in names and strength(lock.mode) >= strength(mode) for lock in statement.locks)


def written_by(statement: Statement, before: Before, held: frozenset[Lock], changed: set[int]) -> set[int]:
    if not before.transactional and statement.kind in COMMITS_BY_ITSELF:
        return {*before.relations}
    found = changed | {oid for oid, mode in held if mode in WRITING_MODES}
    return found & before.relations.keys()


def to_hold(statement: Statement, relations: Mapping[int, Relation]) -> dict[int, str]:
    """The tables that a statement outside a transaction is expected to lock; with an index, its table."""
    tables = {oid: relation.name for oid, relation in relations.items() if relation.kind in TABLES}
    predicted = {lock.relation for lock in statement.locks}
    expected = {oid for oid, relation in relations.items() if relation.plain in predicted}
    expected |= {relations[oid].table_oid or oid for oid in expected}
    found = {oid: name for oid, name in tables.items() if oid in expected}
    return found or (tables if len(tables) <= MOST_HELD else {})


def strongest(locks: Iterable[Lock], relations: Mapping[int, Relation]) -> dict[int, str]:
    found: dict[int, str] = {}
    for oid, mode in locks:
        if oid in relations and mode in MODES and (oid not in found or strength(mode) > strength(found[oid])):
            found[oid] = mode
    return found


def rewritten(before: Mapping[int, Relation], now: Mapping[int, Relation]) -> tuple[str, ...]:
    """Tables and materialized views that are still there with another file. A sequence has but one row."""
    changed = (old for oid, old in before.items() if oid in now and now[oid].file != old.file)
    return tuple(sorted(old.plain for old in changed if old.kind not in (*INDEXES, "S")))


def rebuilt(before: Mapping[int, Relation], now: Mapping[int, Relation]) -> tuple[str, ...]:
    """Indexes with another file. A change of type drops an index and makes it anew, with the old file if it can."""
    files = {index.plain: index.file for index in now.values() if index.kind in INDEXES}
    old = (index for index in before.values() if index.kind in INDEXES and index.table_oid in now)
    return tuple(sorted(index.plain for index in old if files.get(index.plain, index.file) != index.file))


def names_of(before: Before, oids: Iterable[int]) -> tuple[str, ...]:
    return tuple(sorted(before.relations[oid].plain for oid in oids if oid in before.relations))


def changed_by(statement: Statement, relations: Mapping[int, Relation], oids: Iterable[int]) -> tuple[str, ...]:
    """The tables as the prediction names them: a partition, or its root."""
    predicted = {lock.relation for lock in statement.locks}
    found = set()
    for one in (relations[oid] for oid in oids if oid in relations):
        root = relations.get(one.root_oid or one.oid, one)
        found.add(one.plain if one.plain in predicted else root.plain)
    return tuple(sorted(found))
