"""What an interrupted statement really did, read from the catalog.

Only for statements that PostgreSQL refuses inside a transaction: all others commit together with their cursor.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import psycopg

from migrator.database import naming, queries, session
from migrator.database.vocabulary import told_name
from migrator.documents import StrEnum
from migrator.parsing import statements
from migrator.parsing.nodes import Node, enum, strings
from migrator.plan import Statement

QUERIES = queries.load(__package__, "real_state")

Connection = psycopg.Connection[Any]

OF_TOAST = re.compile(
    r'DROP INDEX CONCURRENTLY IF EXISTS "pg_toast"\."pg_toast_[0-9]+_index_cc(?:new|old)[0-9]*"', re.ASCII
)
"""As SQL quotes it, so no name of anybody's own reads like that."""


class State(StrEnum):
    DONE = "done"
    REPEAT = "repeat"
    """It did not happen, or doing it again gives the same result."""
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Evidence:
    state: State
    text: str
    cleanup: tuple[str, ...] = ()
    """Statements that remove what the interrupted attempt left behind."""
    instead: str | None = None
    """What to run in place of the statement itself."""


IDEMPOTENT = (
    "VACUUM",
    "VACUUM FULL",
    "ANALYZE",
    "CLUSTER",
    "CHECKPOINT",
    "ALTER SYSTEM",
    "DISCARD ALL",
    "REINDEX SCHEMA",
    "REINDEX DATABASE",
    "REINDEX SYSTEM",
)
"""Twice is the same as once."""


def look(statement: Statement, conn: Connection, known: Collection[int] = ()) -> Evidence:
    """Decide from the catalog what the interrupted `statement` did.

    :param known: oids of leftovers that were there before it.
    """
    if is_gentle_reindex(statement):
        return _reindex(statement, conn, known)
    if statement.kind in IDEMPOTENT:
        return Evidence(State.REPEAT, f"{statement.kind} may be repeated")
    reader = _READERS.get(statement.kind)
    if reader is None:
        return Evidence(State.UNKNOWN, f"the catalog does not show the effect of {statement.kind}")
    with session.translated(statement=statement):
        return reader(tree_of(statement), conn)


def tree_of(statement: Statement) -> Node:
    """The parse tree of a statement that analyze has accepted."""
    return statements.parse(statement.sql, file=statement.file).statements[0].tree


def qualified(*parts: str) -> str:
    """A quoted, dotted name; empty parts (no schema given) are left out."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts if part)


def relation(node: Node) -> str:
    return qualified(node.schemaname, node.relname)


def _exists(conn: Connection, query: str, **parameters: Any) -> bool:
    rows = naming.ask(conn, QUERIES[query], parameters).rows
    return bool(rows and rows[0][0])


def _drop_index(tree: Node, conn: Connection) -> Evidence:
    names = [qualified(*strings(item.list.items)) for item in tree.objects]
    left = [name for name in names if _exists(conn, "relation_exists", name=name)]
    if not left:
        return Evidence(State.DONE, f"index {', '.join(names)} is gone")
    return Evidence(State.REPEAT, f"index {', '.join(left)} is still there")


def is_gentle_reindex(statement: Statement) -> bool:
    return statement.kind.startswith("REINDEX") and statement.kind.endswith("CONCURRENTLY")


def reindex_leftovers(statement: Statement, conn: Connection, *, reach: bool | None = None) -> dict[int, str]:
    """Invalid copies that interrupted REINDEX CONCURRENTLY of the same indexes have left: names, quoted, by oid.

    :param reach: only those that this login may drop, or only those that it may not; None: all.
    """
    tree = tree_of(statement)
    name = relation(tree.relation) if tree.HasField("relation") else None
    asked = {"name": name, "schema": tree.name or None}
    with session.translated(statement=statement):
        rows = naming.ask(conn, QUERIES["reindex_leftovers"], asked).rows
    return {
        int(oid): qualified(str(schema), str(index))
        for oid, schema, index, reachable in rows
        if reach is None or reach == reachable
    }


def told_removal(command: str) -> str:
    """A statement that removes what is left, as it may be told. What lies in `pg_toast` the server alone names."""
    return command if OF_TOAST.fullmatch(command) else told_name(command)


def reindex_parts(statement: Statement, conn: Connection) -> tuple[str, ...]:
    """The same REINDEX CONCURRENTLY of each partition by itself. Of them all PostgreSQL does it too, but waits for a
    SHARE lock on each before: behind one long transaction the application would wait as well."""
    tree = tree_of(statement)
    kind = {"REINDEX_OBJECT_INDEX": "INDEX", "REINDEX_OBJECT_TABLE": "TABLE"}.get(enum(tree, "kind"))
    if kind is None or any(one.def_elem.defname != "concurrently" for one in tree.params):
        return (statement.sql,)
    with session.translated(statement=statement):
        rows = naming.ask(conn, QUERIES["reindex_leaves"], {"name": relation(tree.relation)}).rows
    return tuple(f"REINDEX {kind} CONCURRENTLY {qualified(*row)}" for row in rows) or (statement.sql,)


def _reindex(statement: Statement, conn: Connection, known: Collection[int]) -> Evidence:
    left = tuple(name for oid, name in reindex_leftovers(statement, conn, reach=True).items() if oid not in known)
    text = f"REINDEX may be repeated; left behind: {', '.join(map(told_name, left)) or 'nothing'}"
    return Evidence(State.REPEAT, text, cleanup=tuple(f"DROP INDEX CONCURRENTLY IF EXISTS {index}" for index in left))


def _detach(tree: Node, conn: Connection) -> Evidence:
    command = next(item.alter_table_cmd for item in tree.cmds if item.HasField("alter_table_cmd"))
    parent, child = relation(tree.relation), relation(getattr(command, "def").partition_cmd.name)
    rows = naming.ask(conn, QUERIES["partition_state"], {"parent": parent, "child": child}).rows
    if not rows:
        return Evidence(State.DONE, f"{child} is no partition of {parent} any more")
    if rows[0][0]:
        finish = f"ALTER TABLE {parent} DETACH PARTITION {child} FINALIZE"
        return Evidence(State.REPEAT, f"the detach of {child} is pending and gets finalized", instead=finish)
    return Evidence(State.REPEAT, f"{child} is still a partition of {parent}")


def _created(query: str, what: str) -> Callable[[Node, Connection], Evidence]:
    def read(tree: Node, conn: Connection) -> Evidence:
        name = _object_name(tree)
        if _exists(conn, query, name=name):
            return Evidence(State.UNKNOWN, f"{what} {name!r} exists, but not whether this statement finished it")
        return Evidence(State.REPEAT, f"{what} {name!r} does not exist")

    return read


def _dropped(query: str, what: str) -> Callable[[Node, Connection], Evidence]:
    def read(tree: Node, conn: Connection) -> Evidence:
        name = _object_name(tree)
        if _exists(conn, query, name=name):
            return Evidence(State.REPEAT, f"{what} {name!r} is still there")
        return Evidence(State.DONE, f"{what} {name!r} is gone")

    return read


def _object_name(tree: Node) -> str:
    for field in ("dbname", "tablespacename", "subname"):
        if field in tree.DESCRIPTOR.fields_by_name:
            return str(getattr(tree, field))
    raise KeyError(tree.DESCRIPTOR.name)


_READERS: dict[str, Callable[[Node, Connection], Evidence]] = {
    "DROP INDEX CONCURRENTLY": _drop_index,
    "ALTER TABLE DETACH PARTITION CONCURRENTLY": _detach,
    "CREATE DATABASE": _created("database_exists", "database"),
    "DROP DATABASE": _dropped("database_exists", "database"),
    "CREATE TABLESPACE": _created("tablespace_exists", "tablespace"),
    "DROP TABLESPACE": _dropped("tablespace_exists", "tablespace"),
    "CREATE SUBSCRIPTION": _created("subscription_exists", "subscription"),
    "DROP SUBSCRIPTION": _dropped("subscription_exists", "subscription"),
}
