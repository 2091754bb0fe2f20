"""What the planner expects of a statement: EXPLAIN without ANALYZE, in a read-only transaction; nothing is executed.

Planning itself runs functions that are immutable or, to estimate, stable. So what calls functions that are not
PostgreSQL's own is not planned, nor what reads a view or is subject to a policy: these are their owners' code. Nor is
what names a table with such functions in its indexes, statistics, constraints, defaults or rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from migrator.analysis import others_code
from migrator.analysis.estimate.selectivity import conjuncts
from migrator.database import held, plain
from migrator.database.door import send
from migrator.database.naming import names_of_target
from migrator.database.session import Connection
from migrator.errors import MigratorError
from migrator.facts.facts import FunctionFacts
from migrator.parsing.nodes import Node, assign, find, strings
from migrator.parsing.statements import ParsedStatement, deparse, parse

PLANNED = ("insert_stmt", "update_stmt", "delete_stmt", "merge_stmt", "create_table_as_stmt")
FILTERED = ("update_stmt", "delete_stmt")
TIMEOUT_MS = 2000
LOCK_TIMEOUT_MS = 200
"""EXPLAIN locks the tables that it plans for; an estimate is not worth a queue."""
BY_INDEX = ("Index Scan", "Index Only Scan", "Bitmap Heap Scan", "Tid Scan", "Tid Range Scan")


@dataclass(frozen=True)
class Planned:
    rows: int
    width: int
    workers: int
    basis: str = "the planner's estimate"
    by_index: bool = False
    """Of UPDATE and DELETE: the table's other rows are not read."""


def calls_others(statement: ParsedStatement, functions: Mapping[str, Sequence[FunctionFacts]]) -> bool:
    """Whether it calls by name what is not PostgreSQL's own. Pure."""
    names = {strings(call.funcname)[-1] for call in find(statement.node, "FuncCall")}
    return any(known.schema != "pg_catalog" for name in names for known in functions.get(name, ()))


def planned(conn: Connection, statement: ParsedStatement) -> Planned | None:
    """None: it cannot be planned, such as for a table that the file itself creates, or without the privilege."""
    if statement.name not in (*PLANNED, "index_stmt"):
        return None
    nodes = (statement.node,)
    try:
        with conn.transaction(force_rollback=True):
            conn.execute("SET TRANSACTION READ ONLY")
            conn.execute(f"SET LOCAL statement_timeout = {TIMEOUT_MS}; SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
            found = others_code.named(conn, nodes)
            if (found and not found[1]) or others_code.hung_on(conn, nodes) is not None:
                return None
            held.hold(conn, others_code.tables_of(nodes))
            return _expected(conn, statement)
    except (psycopg.Error, MigratorError):
        return None


def _expected(conn: Connection, statement: ParsedStatement) -> Planned | None:
    """While its tables are held."""
    if statement.name == "index_stmt":
        plan = _plan(conn, deparse(_select(statement.tree))) if statement.tree.HasField("where_clause") else None
        return None if plan is None else _found(plan)
    plan = _plan(conn, statement.sql)
    if plan is not None:
        return _found(plan, statement)
    if statement.name == "insert_stmt" and statement.tree.select_stmt.select_stmt.target_list:
        plan = _plan(conn, deparse(statement.tree.select_stmt))  # into a table that the file itself makes
        return None if plan is None else _found(plan)
    filtered = statement.name in FILTERED and statement.tree.HasField("where_clause")
    return _by_where(conn, statement) if filtered else None


def _by_where(conn: Connection, statement: ParsedStatement) -> Planned | None:
    """Of the rows that it changes alone: a column that the file itself adds, or a missing privilege, does not matter
    for conditions on others. What cannot be planned leaves all rows."""
    parts = tuple(conjuncts(statement.tree.where_clause))
    known = [part for part in parts if _plan(conn, deparse(_select(statement.tree, (part,)))) is not None]
    plan = _plan(conn, deparse(_select(statement.tree, known))) if known else None
    if plan is None:
        return None
    part_of = "" if len(known) == len(parts) else f" of {len(known)} of {len(parts)} conditions"
    return _found(plan, statement, basis=f"the planner's estimate{part_of}")


def _select(tree: Node, conditions: Sequence[Node] = ()) -> Node:
    """SELECT FROM the statement's tables WHERE these conditions; its own when there are none."""
    node: Node = parse("SELECT FROM t WHERE true", file="").statements[0].node
    select = type(node)()
    assign(select, node)
    query = select.select_stmt
    assign(query.from_clause[0].range_var, tree.relation)
    for field in ("from_clause", "using_clause"):
        if field in tree.DESCRIPTOR.fields_by_name:
            query.from_clause.extend(getattr(tree, field))
    if len(conditions) > 1:
        query.where_clause.Clear()
        query.where_clause.bool_expr.boolop = 1  # AND_EXPR
        query.where_clause.bool_expr.args.extend(conditions)
    else:
        assign(query.where_clause, conditions[0] if conditions else tree.where_clause)
    return select


def _plan(conn: Connection, query: str) -> dict[str, Any] | None:
    try:
        with plain.as_they_lie(conn), names_of_target(conn):
            row = send(conn, f"EXPLAIN (FORMAT JSON) {query}").fetchone()
    except (psycopg.Error, MigratorError):
        return None
    return dict(row[0][0]["Plan"]) if row is not None else None


def _found(plan: dict[str, Any], statement: ParsedStatement | None = None, **more: Any) -> Planned:
    by_index = statement is not None and statement.name in FILTERED and _only_index(plan, statement.tree.relation)
    return Planned(_rows(plan), int(plan.get("Plan Width", 0)), _workers(plan), by_index=by_index, **more)


def _rows(plan: dict[str, Any]) -> int:
    """Of a data statement the plan below ModifyTable tells how many rows it gets."""
    below: Iterable[dict[str, Any]] = plan.get("Plans", ()) if plan.get("Node Type") == "ModifyTable" else ()
    return sum(int(item.get("Plan Rows", 0)) for item in below) or int(plan.get("Plan Rows", 0))


def _workers(plan: dict[str, Any]) -> int:
    """Of the Gather node with the most; only queries, CREATE TABLE AS among them, have any."""
    below: Iterable[dict[str, Any]] = plan.get("Plans", ())
    return max(int(plan.get("Workers Planned", 0)), *(_workers(item) for item in below), 0)


def _only_index(plan: dict[str, Any], relation: Node) -> bool:
    """Whether the table, under its own name or its alias, is never read as a whole."""
    alias = relation.alias.aliasname or relation.relname
    scans = [item for item in _nodes(plan) if item.get("Alias") == alias and "Scan" in item["Node Type"]]
    return bool(scans) and all(item["Node Type"] in BY_INDEX for item in scans)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for item in plan.get("Plans", ()):
        yield from _nodes(item)
