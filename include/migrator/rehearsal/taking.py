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


def overwritten(statement: Statement, relations: Mapping[int, Relation], held: Locks) -> dict[int, frozenset[str]]:
    """Columns by the table's oid; where the statement names a view, all that it sets. Pure."""
    columns = overwriting.overwritten(statement) if statement.kind.startswith(KEEPING) else None
    tables = {oid: one for oid, one in relations.items() if one.kind in TABLES}
    found: dict[int, frozenset[str]] = {}
    for oid in {oid for oid, mode in held if mode == RX and oid in tables} if columns else ():
        own = {name for name in columns or () if any(one.endswith(f".{name}") for one in _names(oid, tables))}
        found[oid] = frozenset[str]().union(*((columns or {})[name] for name in own or columns or ()))
    return {oid: names for oid, names in found.items() if names}


def noted(
    applied: Identities,
    left: Identities,
    taken: Collection[int],
    overwritten: Mapping[int, Collection[str]],
    schemas: Iterable[str],
) -> list[str]:
    """For the evidence: tables and whole schemas, by digests, since names may be made of rows. What is overwritten and
    then dropped is not missed. Pure.

    :param applied: what was there before the way back. :param left: after it. :param schemas: those that it dropped.
    """
    names = {
        table.name
        for oid, table in applied.tables.items()
        if oid in taken or oid not in left.tables or overwriting.stay(overwritten.get(oid, ()), table, left)
    }
    return sorted(map(documents.digest, {*names, *schemas}))


def schemas_gone(before: Schema, after: Schema) -> set[str]:
    return {*before.objects.get("schema", {})} - {*after.objects.get("schema", {})}
