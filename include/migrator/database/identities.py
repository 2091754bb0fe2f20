"""Tables, columns and sequences by what no ALTER changes: the oid, and the number of a column in its table.

A clone has those of the database that it was made of. So what has another name there is not taken for gone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

from migrator.database import plain, queries


@dataclass(frozen=True)
class Table:
    oid: int
    name: str
    """Quoted, with its schema."""
    columns: Mapping[int, str]
    """By number, not quoted."""


@dataclass(frozen=True)
class Identities:
    tables: Mapping[int, Table] = field(default_factory=dict)
    """By oid."""
    sequences: frozenset[int] = frozenset()

    @property
    def by_name(self) -> Mapping[str, Table]:
        return {table.name: table for table in self.tables.values()}


def read(conn: psycopg.Connection[Any], *, exclude: Collection[str] = ()) -> Identities:
    """Of the catalog alone. `exclude` names schemas."""
    texts = queries.load(__package__, "identities")
    with plain.as_they_lie(conn):
        rows = conn.execute(texts["tables"], {"exclude": list(exclude)}).fetchall()
        found = conn.execute(texts["sequences"]).fetchall()
    tables = {
        oid: Table(oid, name, dict(zip(numbers or (), columns or (), strict=True)))
        for oid, name, numbers, columns in rows
    }
    return Identities(tables, frozenset(oid for (oid,) in found))
