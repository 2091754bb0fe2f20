"""From which tables a way back has taken rows, or would if there were more of them, as its rehearsal shows. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Protocol

from migrator import documents
from migrator.database.identities import Identities
from migrator.database.schema import Schema
from migrator.lock_modes import RX
from migrator.plan import Statement

TABLES = ("r", "p")
KEEPING = ("INSERT", "UPDATE", "COPY")
"""They delete nothing from the tables that they name."""
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
    for oid in {oid for oid, mode in held if mode == RX and oid in tables}:
        one = tables[oid]
        named = bool(names & {one.plain, tables.get(one.root_oid or oid, one).plain})
        if kind.startswith(KEEPING):
            is_taken = not named and (oid, RX) not in before
        else:
            is_taken = named or kind in ANYTHING or not statement.known or (oid, RX) not in before
        if is_taken:
            yield oid


def noted(applied: Identities, left: Identities, taken: Collection[int], schemas: Iterable[str]) -> list[str]:
    """For the evidence: tables and whole schemas, by digests, since names may be made of rows. Pure.

    :param applied: what was there before the way back. :param left: after it. :param schemas: those that it dropped.
    """
    names = {table.name for oid, table in applied.tables.items() if oid in taken or oid not in left.tables}
    return sorted(map(documents.digest, {*names, *schemas}))


def schemas_gone(before: Schema, after: Schema) -> set[str]:
    return {*before.objects.get("schema", {})} - {*after.objects.get("schema", {})}
