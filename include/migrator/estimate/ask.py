"""What estimates need of a server beside the catalog: its settings, pg_stats, and the planner's row counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import psycopg

from migrator import session, sql
from migrator.estimate.model import DISK_READ, Basis, ColumnStatistics, Profile, Statistics
from migrator.estimate.replication import replication_of
from migrator.estimate.traffic import traffic_of
from migrator.facts import CatalogFacts
from migrator.facts_query import collect_facts
from migrator.nodes import Node
from migrator.session import Connection
from migrator.statements import ParsedFile, ParsedStatement, deparse, parse

PLANNED = ("insert_stmt", "update_stmt", "delete_stmt", "merge_stmt", "create_table_as_stmt")
PLAN_TIMEOUT_MS = 2000
LOCK_TIMEOUT_MS = 200
"""EXPLAIN locks the tables that it plans for; an estimate is not worth a queue."""


def profile_of(conn: Connection) -> Profile:
    """The server's settings, with the default costs."""
    with session.translated():
        row = conn.execute(sql.load("estimate")["settings"]).fetchone()
    if row is None:
        return Profile()
    shared_buffers, cache, memory, workers, minimal, disk_read = row
    return Profile(
        shared_buffers=int(shared_buffers),
        effective_cache_size=int(cache),
        maintenance_work_mem=int(memory),
        parallel_workers=int(workers),
        wal_minimal=bool(minimal),
        disk_read=DISK_READ if disk_read is None else float(disk_read),
        disk_read_measured=disk_read is not None,
    )


def look(
    conn: Connection,
    files: Sequence[ParsedFile],
    *,
    role: str | None,
    measured: Profile | None = None,
    others: Sequence[ParsedFile] = (),
) -> tuple[CatalogFacts, Basis]:
    """The catalog's facts about these files, and what their estimates rest on. `measured`: another server's costs; the
    settings are this one's. `others`: files of earlier migrations, about which facts are needed, too."""
    facts = collect_facts(conn, [*files, *others], role=role)
    profile = profile_of(conn)
    if measured is not None:
        profile = replace(profile, costs=measured.costs, calibrated_at=measured.calibrated_at, noise=measured.noise)
    tables = [name for name, relation in facts.relations.items() if relation.kind in ("r", "p", "m")]
    return facts, Basis(profile, statistics_of(conn, facts, files), traffic_of(conn, tables), replication_of(conn))


def statistics_of(conn: Connection, facts: CatalogFacts, files: Sequence[ParsedFile]) -> Statistics:
    """What the planner knows about these files. Executes nothing: EXPLAIN without ANALYZE, in read-only transactions.

    What cannot be planned (a table that the file itself creates, a missing privilege, a standby) is left out.
    """
    names = sorted(facts.relations)
    with session.translated():
        rows = conn.execute(sql.load("estimate")["columns"], {"relations": names}).fetchall() if names else []
    columns = {
        (row[0], row[1]): ColumnStatistics(int(row[2]), row[3], float(row[4] or 0.0), float(row[5])) for row in rows
    }
    counts, widths, workers = {}, {}, {}
    for statement in (item for file in files for item in file.statements):
        query = _query(statement)
        plan = None if query is None else _plan(conn, query)
        if plan is not None:
            counts[statement.digest], widths[statement.digest] = _rows(plan), int(plan.get("Plan Width", 0))
            workers[statement.digest] = _workers(plan)
    return Statistics(columns=columns, rows=counts, widths=widths, workers=workers)


def _query(statement: ParsedStatement) -> str | None:
    """What to plan: a data statement itself, and for a partial index the rows that its predicate leaves."""
    if statement.name in PLANNED:
        return statement.sql
    if statement.name != "index_stmt" or not statement.tree.HasField("where_clause"):
        return None
    node: Node = parse("SELECT FROM t WHERE true", file="").statements[0].node
    select = type(node)()
    select.CopyFrom(node)
    select.select_stmt.from_clause[0].range_var.CopyFrom(statement.tree.relation)
    select.select_stmt.where_clause.CopyFrom(statement.tree.where_clause)
    return deparse(select)


def _plan(conn: Connection, query: str) -> dict[str, Any] | None:
    try:
        with conn.transaction(force_rollback=True):
            conn.execute("SET TRANSACTION READ ONLY")
            conn.execute(f"SET LOCAL statement_timeout = {PLAN_TIMEOUT_MS}; SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
            row = conn.execute(b"EXPLAIN (FORMAT JSON) " + query.encode()).fetchone()
    except psycopg.Error:
        return None
    return dict(row[0][0]["Plan"]) if row is not None else None


def _rows(plan: dict[str, Any]) -> int:
    """Of a data statement the plan below ModifyTable tells how many rows it gets."""
    below: Iterable[dict[str, Any]] = plan.get("Plans", ()) if plan.get("Node Type") == "ModifyTable" else ()
    return sum(int(item.get("Plan Rows", 0)) for item in below) or int(plan.get("Plan Rows", 0))


def _workers(plan: dict[str, Any]) -> int:
    """Of the Gather node with the most; only queries, CREATE TABLE AS among them, have any."""
    below: Iterable[dict[str, Any]] = plan.get("Plans", ())
    return max(int(plan.get("Workers Planned", 0)), *(_workers(item) for item in below), 0)
