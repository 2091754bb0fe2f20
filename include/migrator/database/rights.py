"""Who may do what with which object, and with whose rights a function or view does its work."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from migrator.database import plain, queries

EVERYBODY = "PUBLIC"
"""A role of that name would be written in quotes."""


@dataclass(frozen=True)
class Grant:
    role: str
    privilege: str
    column: str | None = None


@dataclass(frozen=True)
class Guarded:
    """One object. `words`: what its statement says beside the definition, as "SECURITY DEFINER"."""

    kind: str
    name: str
    oid: int
    owner: str
    words: frozenset[str]
    grants: frozenset[Grant]

    @property
    def key(self) -> str:
        """As `schema.read` names what owners and grants are of."""
        return f"{self.kind} {self.name}"


def read(conn: psycopg.Connection[Any], *, exclude: Collection[str] = ()) -> Mapping[str, Guarded]:
    texts = queries.load(__package__, "rights")
    with plain.as_they_lie(conn):
        rows = conn.cursor(row_factory=dict_row).execute(texts["objects"], {"exclude": list(exclude)}).fetchall()
        oids = [row["oid"] for row in rows]
        given = conn.cursor(row_factory=dict_row).execute(texts["grants"], {"oids": oids}).fetchall()
    grants: dict[int, set[Grant]] = defaultdict(set)
    for row in given:
        grants[row["oid"]].add(Grant(row["role"], row["privilege"], row["attname"]))
    found = [
        Guarded(
            row["kind"],
            row["name"],
            row["oid"],
            row["owner"],
            frozenset(row["words"]),
            frozenset(grants.get(row["oid"], ())),
        )
        for row in rows
    ]
    return {one.key: one for one in found}
