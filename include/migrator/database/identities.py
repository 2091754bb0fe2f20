"""Tables, columns, row types and sequences by what no ALTER changes: the oid, and the number of a column in its table.

A clone has those of the database that it was made of. So what has another name there is not taken for gone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

from migrator.database import plain, queries

_NAMED = 0
"""In place of a row type: regclass and its like."""


@dataclass(frozen=True)
class Table:
    oid: int
    name: str
    """Quoted, with its schema."""
    columns: Mapping[int, str]
    """By number, not quoted."""
    holds: Mapping[int, frozenset[str]] = field(default_factory=dict)
    """By the oid of a row type, the columns that have values of it: as such, or in arrays, ranges and other types."""
    generated: bool = False
    """Whether it stores what it generates."""
    refers: frozenset[str] = frozenset()
    """Columns that have oids of what has a name, as regclass does: as such, or in other types."""


@dataclass(frozen=True)
class Identities:
    tables: Mapping[int, Table] = field(default_factory=dict)
    """By oid."""
    types: Mapping[int, Table] = field(default_factory=dict)
    """Row types that columns have values of, by the oid of their relation: composite types, and those of tables."""
    sequences: frozenset[int] = frozenset()
    named: str = ""
    """A digest of all that has a name, with its oid."""

    @property
    def by_name(self) -> Mapping[str, Table]:
        return {table.name: table for table in self.tables.values()}


def read(conn: psycopg.Connection[Any], *, exclude: Collection[str] = ()) -> Identities:
    """Of the catalog alone. `exclude` names schemas."""
    texts, parameters = queries.load(__package__, "identities"), {"exclude": list(exclude)}
    with plain.as_they_lie(conn):
        rows = conn.execute(texts["tables"], parameters).fetchall()
        held = conn.execute(texts["held"], parameters).fetchall()
        sequences = conn.execute(texts["sequences"]).fetchall()
        types = conn.execute(texts["types"], {"types": list({kind for _, kind, _ in held})}).fetchall()
        ((named,),) = conn.execute(texts["named"], parameters).fetchall()
    holds: dict[int, dict[int, frozenset[str]]] = defaultdict(dict)
    for oid, kind, columns in held:
        holds[oid][kind] = frozenset(columns)
    refers = {oid: kinds.pop(_NAMED, frozenset()) for oid, kinds in holds.items()}
    tables = {
        oid: Table(oid, name, _columns(numbers, columns), holds[oid], generated, refers.get(oid, frozenset()))
        for oid, name, numbers, columns, generated in rows
    }
    kinds = {oid: Table(oid, name, _columns(numbers, columns)) for oid, name, numbers, columns in types}
    return Identities(tables, kinds, frozenset(oid for (oid,) in sequences), named)


def _columns(numbers: Collection[int] | None, names: Collection[str] | None) -> dict[int, str]:
    return dict(zip(numbers or (), names or (), strict=True))
