"""Of which tables what a statement runs besides itself may take or overwrite rows: bodies, functions, triggers.

Read from their texts, so that a branch is seen that was not taken on the copy, and a trigger that had no row to fire
for. What a text puts together when it runs is not read; of that is seen what it did.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg

from migrator.database import queries
from migrator.parsing.nodes import Node, enum, find, strings
from migrator.parsing.routines import body_of, contents_of
from migrator.parsing.statements import ParsedStatement, parse

QUERIES = queries.load("migrator.database", "observe")
EVENTS = {"InsertStmt": 4, "DeleteStmt": 8, "UpdateStmt": 16, "MergeStmt": 28, "TruncateStmt": 32}
"""By what fires it, the bit of pg_trigger.tgtype."""
RUNNING = ("CALL", "COPY", "CREATE TABLE AS", "DELETE", "DO", "INSERT", "MERGE", "SELECT", "TRUNCATE", "UPDATE")
MOST = 100
"""More functions are not read."""


def taken(kind: str, sql: str, conn: psycopg.Connection[Any]) -> frozenset[str]:
    """Names of tables without their schemas. :param kind: of the statement."""
    if not kind.startswith(RUNNING):
        return frozenset()
    todo, seen, found = [(sql, False)], set[int](), set[str]()
    while todo and len(seen) < MOST:
        text, within = todo.pop()
        for parsed in parse(text, file="hidden").statements:
            if within:
                found |= set(_emptied(parsed))
            if (body := body_of(parsed)) is not None:
                todo += [(piece.sql, True) for piece in contents_of(body).pieces]
                continue
            for oid, definition in _run_by(parsed.node, conn):
                if oid not in seen:
                    seen.add(oid)
                    todo.append((definition, True))
    return frozenset(found)


def _run_by(node: Node, conn: psycopg.Connection[Any]) -> list[tuple[int, str]]:
    """Functions in SQL and PL/pgSQL that it calls, and those of triggers that it fires."""
    fired: dict[str, int] = {}
    for one in find(node, *EVENTS):
        for name in _written(one):
            fired[name] = fired.get(name, 0) | EVENTS[type(one).__name__] | (16 if _upserts(one) else 0)
    called = [name for call in find(node, "FuncCall") for name in strings(call.funcname)[-1:]]
    if not called and not fired:
        return []
    asked = {"called": called, "tables": list(fired), "events": list(fired.values())}
    return [(int(oid), str(text)) for oid, text in conn.execute(QUERIES["routines"], asked).fetchall()]


def _emptied(parsed: ParsedStatement) -> Iterator[str]:
    for one in find(parsed.node, "DeleteStmt", "UpdateStmt", "MergeStmt", "TruncateStmt"):
        yield from _written(one)
    for one in find(parsed.node, "InsertStmt"):
        if _upserts(one):
            yield from _written(one)
    for one in find(parsed.node, "DropStmt"):
        if enum(one, "remove_type") == "OBJECT_TABLE":
            yield from (name for item in one.objects for name in strings(item.list.items)[-1:])


def _written(one: Node) -> list[str]:
    if type(one).__name__ == "TruncateStmt":
        return [str(item.range_var.relname) for item in one.relations]
    return [str(one.relation.relname)]


def _upserts(one: Node) -> bool:
    is_insert = type(one).__name__ == "InsertStmt"
    return is_insert and enum(one.on_conflict_clause, "action") == "ONCONFLICT_UPDATE"
