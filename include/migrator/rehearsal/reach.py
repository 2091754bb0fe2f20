"""What the rights on one object open of others: what a parent, a view, a rule, a policy, a trigger or a function with
its owner's rights leads to, for whoever may use it.

PostgreSQL asks for the rights on what a statement names; what that reads it reads as its owner (ExecCheckPermissions in
src/backend/executor/execMain.c). So rows change hands without any GRANT.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import dict_row

from migrator.database import plain, queries
from migrator.parsing.nodes import find, strings
from migrator.parsing.routines import body_of, contents_of
from migrator.parsing.statements import parse

QUERIES = queries.load(__package__, "reach")


class Key(NamedTuple):
    kind: str
    """relation, function, rule, policy."""
    oid: int


@dataclass(frozen=True)
class Node:
    key: Key
    name: str
    schema: str | None = None
    bare: str | None = None
    is_rows: bool = False
    """A table, or what keeps rows as one does."""
    own_rights: bool = False
    saved: str | None = None
    shown: str | None = None
    code: str | None = field(default=None, repr=False)
    """CREATE FUNCTION of a body that is a text."""
    roles: tuple[str, ...] = ()
    """Of a policy: whom it is for."""
    widens: bool = False
    """It is a permissive one."""

    def does_as(self, other: Node) -> bool:
        return self.saved == other.saved or self.shown == other.shown


@dataclass(frozen=True)
class Reached:
    """By one kind of access to one object."""

    rows: frozenset[Key]
    """Tables that the rights on them are not asked for."""
    touched: frozenset[Key]
    """The same, by code: whether it reads or writes them is not looked at."""
    ways: frozenset[Key]
    """What says which rows of them: views, policies, functions that these call."""
    code: frozenset[Key]
    """What runs with the rights of an owner: functions, and what they call and read; rules."""


@dataclass(frozen=True)
class Reach:
    nodes: Mapping[Key, Node]
    edges: Mapping[Key, frozenset[tuple[Key, str | None]]]
    _calls: dict[Key, frozenset[Key]] = field(default_factory=dict, repr=False, compare=False)

    def of(self, start: Key, by: str) -> Reached:
        """
        :param by: "read", "write", or "call".
        """
        rows: set[Key] = set()
        touched: set[Key] = set()
        ways: set[Key] = set()
        code: set[Key] = set()
        seen: set[tuple[Key, str, bool]] = set()
        todo = [(start, by, False)]
        while todo:
            key, by, lent = todo.pop()
            node = self.nodes.get(key)
            if node is None or (key, by, lent) in seen:
                continue
            seen.add((key, by, lent))
            if key.kind == "function":
                lent = lent or node.own_rights
            if node.saved is not None:
                (code if lent or key.kind == "rule" else ways).add(key)
            if node.is_rows and key != start:
                (touched if by == "call" else rows).add(key)
            inside = by if key.kind == "relation" else "call"
            todo += [
                (after, inside, lent)
                for after, needed in self._next(node)
                if (needed in (None, by) or (by, needed) == ("call", "read"))
                and (after.kind != "policy" or key == start)  # it binds whoever names the table
                and (after.kind != "relation" or lent or node.own_rights)  # else rights are asked for
            ]
        return Reached(*map(frozenset, (rows, touched, ways, code)))

    def _next(self, node: Node) -> Iterator[tuple[Key, str | None]]:
        yield from self.edges.get(node.key, ())
        if node.code is not None:
            if node.key not in self._calls:
                self._calls[node.key] = frozenset(self._named(node.code))
            for key in self._calls[node.key]:
                yield key, None

    def _named(self, code: str) -> Iterator[Key]:
        """Of a text only the names are known: where several things have one, it may be each of them."""
        for statement in parse(code, file="catalog").statements:
            body = body_of(statement)
            if body is None or body.standard:
                continue
            for piece in contents_of(body).pieces:
                for inner in parse(piece.sql, file="").statements:
                    for one in find(inner.node, "RangeVar"):
                        yield from self._found("relation", one.schemaname, one.relname)
                    for call in find(inner.node, "FuncCall"):
                        parts = strings(call.funcname)
                        yield from self._found("function", parts[-2] if len(parts) > 1 else "", parts[-1])

    def _found(self, kind: str, schema: str, bare: str) -> Iterator[Key]:
        for node in self._by_name.get((kind, bare), ()):
            if schema in ("", node.schema):
                yield node.key

    @cached_property
    def _by_name(self) -> Mapping[tuple[str, str], tuple[Node, ...]]:
        found: dict[tuple[str, str], tuple[Node, ...]] = {}
        for node in self.nodes.values():
            if node.bare is not None:
                name = (node.key.kind, node.bare)
                found[name] = (*found.get(name, ()), node)
        return found


def read(conn: psycopg.Connection[Any], *, exclude: Collection[str] = ()) -> Reach:
    with plain.as_they_lie(conn):
        cursor = conn.cursor(row_factory=dict_row)
        nodes = {}
        for row in cursor.execute(QUERIES["nodes"], {"exclude": list(exclude)}).fetchall():
            key = Key(row["kind"], row["oid"])
            nodes[key] = Node(
                key,
                row["name"],
                row["schema_name"],
                row["bare"],
                is_rows=row["is_rows"],
                own_rights=row["own_rights"],
                saved=row["saved"],
                shown=row["shown"],
                code=row["code"],
                roles=tuple(row["roles"] or ()),
                widens=bool(row["widens"]),
            )
        edges: dict[Key, set[tuple[Key, str | None]]] = {}
        for row in cursor.execute(QUERIES["edges"]).fetchall():
            to = (Key(row["to_kind"], row["to_oid"]), row["by"])
            edges.setdefault(Key(row["kind"], row["oid"]), set()).add(to)
    return Reach(nodes, {key: frozenset(to) for key, to in edges.items()})
