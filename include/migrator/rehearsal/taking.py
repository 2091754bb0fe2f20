"""Of which tables a way back takes or overwrites rows, or would if there were more, as its rehearsal shows. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Protocol

from migrator import documents
from migrator.database.identities import Identities
from migrator.database.schema import Schema
from migrator.lock_modes import RX
from migrator.plan import Statement
from migrator.rehearsal import overwriting
from migrator.rehearsal.overwriting import Column, Moved, Numbers
from migrator.steps import newer_values

TABLES = ("r", "p")
KEEPING = ("INSERT", "UPDATE", "COPY")
"""They delete nothing from the tables that they name, unless it is said within."""
ANYTHING = ("DO", "CALL", "SELECT")
"""Nobody can tell by their text what they do to a table on which they hold a lock."""
REWRITING = ("ALTER", "CLUSTER", "VACUUM", "REFRESH")
"""They give a table another file with the same rows."""


class Relation(Protocol):
    @property
    def plain(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def root_oid(self) -> int | None: ...


Locks = Collection[tuple[int, str]]


def taken(
    statement: Statement, relations: Mapping[int, Relation], before: Locks, held: Locks, other_files: Collection[int]
) -> set[int]:
    """By what it locked and emptied, also where there was no row to take. Pure.

    :param relations: those that were there before. :param before: what its transaction had locked already.
    """
    tables = {oid: one for oid, one in relations.items() if one.kind in TABLES}
    found = set(_locked(statement, tables, before, held))
    if not statement.kind.startswith(REWRITING):
        found |= {oid for oid in other_files if oid in tables}
    whole: dict[int, list[int]] = {}
    for oid, one in tables.items():
        if one.root_oid is not None and one.kind == "r":
            whole.setdefault(one.root_oid, []).append(oid)
    return found | {root for root, parts in whole.items() if found.issuperset(parts)}


def _locked(statement: Statement, tables: Mapping[int, Relation], before: Locks, held: Locks) -> Iterator[int]:
    names, kind = {lock.relation for lock in statement.locks if lock.mode == RX}, statement.kind
    keeps = kind.startswith(KEEPING) and overwriting.overwritten(statement) is not None
    for oid in {oid for oid, mode in held if mode == RX and oid in tables}:
        named = bool(names & _names(oid, tables))
        if keeps:
            is_taken = not named and (oid, RX) not in before
        else:
            is_taken = named or kind in ANYTHING or not statement.known or (oid, RX) not in before
        if is_taken:
            yield oid


def _names(oid: int, tables: Mapping[int, Relation]) -> set[str]:
    """Its own, and that of the table of which it is a part."""
    one = tables[oid]
    return {one.plain, tables.get(one.root_oid or oid, one).plain}


def of_names(names: Collection[str], relations: Mapping[int, Relation]) -> set[int]:
    """Tables of these names in whatever schema, and those that are a part of them. Pure."""
    tables = {oid: one for oid, one in relations.items() if one.kind in TABLES}
    return {oid for oid in tables if any(_has_name(oid, name, tables) for name in names)}


def overwritten(
    statement: Statement,
    relations: Mapping[int, Relation],
    before: Locks,
    held: Locks,
    columns: Collection[Column],
) -> dict[int, Numbers]:
    """Columns by the table's oid. Through a view nobody can tell which. Pure.

    :param relations: those that are there now. :param columns: of the tables that it names.
    """
    named = overwriting.overwritten(statement) if statement.kind.startswith(KEEPING) else None
    tables = {oid: one for oid, one in relations.items() if one.kind in TABLES}
    written = {oid for oid, mode in held if mode == RX and oid in tables} if named and any(named.values()) else set()
    own = {oid: {name for name in named or () if _has_name(oid, name, tables)} for oid in written}
    views = {name for name in named or () for one in relations.values() if one.kind == "v" and _ends(one.plain, name)}
    through = bool({*(named or ())} - {name for names in own.values() for name in names} or views)
    found: dict[int, Numbers] = {}
    for oid in written:
        numbers = {column.name: column.number for column in columns if column.table == oid}
        wanted = {column for name in own[oid] for column in (named or {})[name]}
        if through or (not own[oid] and (oid, RX) not in before) or not wanted <= numbers.keys():
            found[oid] = overwriting.ALL
        elif wanted:
            found[oid] = frozenset(numbers[name] for name in wanted)
    return found


def _has_name(oid: int, name: str, tables: Mapping[int, Relation]) -> bool:
    return any(_ends(one, name) for one in _names(oid, tables))


def _ends(plain: str, name: str) -> bool:
    return plain.endswith(f".{name}")


def noted(
    applied: Identities,
    left: Identities,
    taken: Collection[int],
    overwritten: Mapping[int, Collection[int]],
    moved: Mapping[int, Collection[Moved]],
    schemas: Iterable[str],
) -> list[str]:
    """For the evidence: tables, whole schemas and columns, by digests, since names may be made of rows. What is
    overwritten and then dropped is not missed. Pure.

    :param applied: what was there before the way back. :param left: after it. :param moved: what it has taken along
        from one column to another. :param schemas: those that it dropped.
    """
    names = {
        table.name
        for oid, table in applied.tables.items()
        if oid in taken
        or oid not in left.tables
        or overwriting.stay(overwritten.get(oid, ()), table, left)
        or any(_lacks(kind, applied, left) for kind in table.holds)
    }
    columns = {
        newer_values.digest(table.name, name)
        for oid, table in applied.tables.items()
        if oid in left.tables and table.name not in names
        for number, name in table.columns.items()
        if number not in left.tables[oid].columns
        and not any(one.source == number and one.to in left.tables[oid].columns for one in moved.get(oid, ()))
    }
    return sorted({*map(documents.digest, {*names, *schemas}), *columns})


def _lacks(kind: int, applied: Identities, left: Identities) -> bool:
    """Whether a row type that is there still has lost an attribute."""
    return kind in left.types and not left.types[kind].columns.keys() >= applied.types[kind].columns.keys()


def schemas_gone(before: Schema, after: Schema) -> set[str]:
    return {*before.objects.get("schema", {})} - {*after.objects.get("schema", {})}
