"""The schema of a database as a value: what drift, restored copies, rollbacks and expected changes are compared by.

Read from the catalogs, not by pg_dump: no client program, a few dozen milliseconds, and each object by itself, so that
a difference has a name. Owners, grants and comments belong to it; data, and the position of sequences, do not.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from migrator import documents
from migrator.database import queries
from migrator.database.session import OWN_PATH

LEDGER_SCHEMA = "migrator"

ROLE_KINDS = ("owner", "owner_grant", "default_privileges")
"""Kinds that tell which role made an object. On another server another role makes it."""
OF_ROLES = (*ROLE_KINDS, "grant")
"""Who owns what and who may do what; a name is that of the thing with its kind: "table public.t"."""
MEMBER = "extension_member"
"""What a role that is no superuser has in an extension; its query's name, too."""
EXECUTOR = "CURRENT_USER"
"""The role that executes, among the roles of a policy. A role of that name would stand in quotes."""
_ROLE = r'(?:"(?:[^"]|"")+"|[a-z0-9_]+)'
_POLICY = re.compile(rf"(?P<head>(?:permissive|restrictive) for [a-z]+ to )(?P<roles>{_ROLE}(?:, {_ROLE})*)")
"""How the query `policy` of schema.sql begins a definition."""


@dataclass(frozen=True)
class Schema:
    """`objects` maps kind ("table", "column", "index", ...) to name ("public.t.c") to definition.

    `part_of` maps "<kind> <name>" to the "<kind> <name>" of the object it goes with: a column to its table.
    """

    objects: Mapping[str, Mapping[str, str]]
    part_of: Mapping[str, str] = field(default_factory=dict)
    role: str = ""
    """The one that executes migrations there; empty when nobody has said so."""

    @functools.cached_property
    def fingerprint(self) -> str:
        """Equal only when everything is, the order of columns too."""
        return documents.digest(self.objects)

    @functools.cached_property
    def tolerant_fingerprint(self) -> str:
        """As `fingerprint`, but blind to the order of columns: a column dropped and added again comes last."""
        return documents.digest(self.without("column_order").objects)

    @functools.cached_property
    def portable(self) -> Schema:
        """What the same migration must produce on every server, whichever role executes it. Where default privileges
        are set, grants are those of the creating role too. In policies the role that executes is one word everywhere,
        since TO CURRENT_USER is that role; others are named."""
        kept = self.without(*ROLE_KINDS, *(("grant",) if self.objects.get("default_privileges") else ()))
        policies = kept.objects.get("policy")
        if not self.role or not policies:
            return kept
        told = MappingProxyType({name: _portable_policy(text, self.role) for name, text in policies.items()})
        return replace(kept, objects=MappingProxyType({**kept.objects, "policy": told}))

    @functools.cached_property
    def of_roles(self) -> Schema:
        """The kinds `OF_ROLES` alone."""
        return self.without(*(kind for kind in self.objects if kind not in OF_ROLES))

    def without(self, *kinds: str) -> Schema:
        objects = MappingProxyType({kind: names for kind, names in self.objects.items() if kind not in kinds})
        return replace(self, objects=objects)

    def names(self, kind: str) -> tuple[str, ...]:
        return tuple(self.objects.get(kind, ()))

    def to_dict(self) -> dict[str, Any]:
        return {
            "objects": documents.to_dict(self.objects),
            "part_of": documents.to_dict(self.part_of),
            "role": self.role,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Schema:
        """:raises ValueError: when `data` is not what `to_dict` gave."""
        try:
            objects = {str(kind): {str(n): str(d) for n, d in names.items()} for kind, names in data["objects"].items()}
            part_of = MappingProxyType(dict(data.get("part_of", {})))
            return cls(MappingProxyType(objects), part_of, str(data.get("role", "")))
        except (KeyError, AttributeError, TypeError) as exc:
            raise ValueError(f"not a schema document: {exc}") from exc


def read(
    conn: psycopg.Connection[Any], *, exclude: Collection[str] = (LEDGER_SCHEMA,), role: str | None = None
) -> Schema:
    """Read the schema that `conn` sees, without the schemas in `exclude` and without system and temporary ones.

    :param role: the one that executes migrations there; None: the one that reads.

    Inside an open transaction it sees that transaction's own changes; otherwise all is read from one snapshot. Search
    path and transaction are as before afterwards.
    """
    texts = queries.load(__package__, "schema")
    old = conn.info.server_version < 150000
    others = {"publication" if old else "publication_14", MEMBER}
    names = [name for name in texts if name not in others]
    idle = conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    with conn.transaction(force_rollback=True):
        if idle:
            conn.execute("set transaction isolation level repeatable read read only")
        conn.execute(f"set local search_path = {OWN_PATH}")
        with conn.pipeline():
            cursors = [conn.cursor(row_factory=tuple_row).execute(texts[name]) for name in names]
            cursors.append(conn.cursor(row_factory=tuple_row).execute(texts[MEMBER], {"names": None}))
        rows = [row for cursor in cursors for row in cursor.fetchall()]
        if role is None:
            ((role,),) = conn.cursor(row_factory=tuple_row).execute("select current_user::text").fetchall()
    return _build(rows, frozenset(exclude), str(role))


def members(conn: psycopg.Connection[Any], names: Collection[str]) -> Mapping[str, str]:
    """Those of these members of extensions that are there, whoever owns them, with their definitions. Search path: ours
    alone."""
    text = queries.load(__package__, "schema")[MEMBER]
    rows = conn.cursor(row_factory=tuple_row).execute(text, {"names": list(names)}).fetchall()
    return {name: definition or "" for _, _, name, definition, _ in rows}


def _build(rows: list[tuple[Any, ...]], exclude: frozenset[str], role: str) -> Schema:
    objects: dict[str, dict[str, str]] = {}
    part_of: dict[str, str] = {}
    for kind, nspname, name, definition, parent in rows:
        if name is None or (nspname is not None and nspname.strip('"') in exclude):
            continue  # without a name: dropped since the snapshot in which it was found
        objects.setdefault(kind, {})[name] = definition or ""
        if parent:
            part_of[f"{kind} {name}"] = parent
    return Schema(
        MappingProxyType({kind: MappingProxyType(dict(sorted(objects[kind].items()))) for kind in sorted(objects)}),
        MappingProxyType(dict(sorted(part_of.items()))),
        role,
    )


def _portable_policy(definition: str, role: str) -> str:
    """With the role that executes as one word, among the roles that it is for. Its expressions are as they were."""
    match = _POLICY.match(definition)
    if match is None:
        return definition
    roles: list[str] = re.findall(_ROLE, match["roles"])
    told = [EXECUTOR if _name(one) == role else one for one in roles]
    return match["head"] + ", ".join(sorted(told)) + definition[match.end() :]


def _name(quoted: str) -> str:
    return quoted[1:-1].replace('""', '"') if quoted.startswith('"') else quoted
