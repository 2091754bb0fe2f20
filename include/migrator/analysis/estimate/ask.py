"""What estimates need of a server beside the catalog: its settings, pg_stats, and the planner's row counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from migrator.analysis.estimate.model import DISK_READ, Basis, ColumnStatistics, Profile, Statistics
from migrator.analysis.estimate.planner import FILTERED, calls_others, planned
from migrator.analysis.estimate.replication import replication_of
from migrator.analysis.estimate.traffic import traffic_of
from migrator.database import queries, session
from migrator.database.session import Connection
from migrator.facts.facts import CatalogFacts
from migrator.facts.query import collect_facts
from migrator.parsing.statements import ParsedFile, ParsedStatement

OPAQUE = ("do_stmt", "call_stmt", "select_stmt")
"""Statements in which others may run."""


def profile_of(conn: Connection) -> Profile:
    """The server's settings, with the default costs."""
    with session.translated():
        row = conn.execute(queries.load(__package__, "estimate")["settings"]).fetchone()
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
    statements = [item for file in files for item in file.statements]
    with session.translated():
        rows = _columns(conn, names, _filtered(statements, facts)) if names else []
    columns = {(row[0], row[1]): _column(row) for row in rows}
    ours = [item for item in statements if not calls_others(item, facts.functions)]
    plans = {item.digest: found for item in ours if (found := planned(conn, item)) is not None}
    return Statistics(
        columns=columns,
        rows={digest: found.rows for digest, found in plans.items()},
        widths={digest: found.width for digest, found in plans.items()},
        workers={digest: found.workers for digest, found in plans.items()},
        bases={digest: found.basis for digest, found in plans.items()},
        by_index=frozenset(digest for digest, found in plans.items() if found.by_index),
    )


def _columns(conn: Connection, names: Sequence[str], filtered: Sequence[str]) -> list[Any]:
    return conn.execute(
        queries.load(__package__, "estimate")["columns"], {"relations": names, "filtered": filtered}
    ).fetchall()


def _column(row: Sequence[Any]) -> ColumnStatistics:
    _, _, width, correlation, null_fraction, distinct, values, frequencies, bounds = row
    common = tuple(zip(values or (), map(float, frequencies or ()), strict=False))
    return ColumnStatistics(
        int(width), correlation, float(null_fraction or 0.0), float(distinct), common, tuple(bounds or ())
    )


def _filtered(statements: Sequence[ParsedStatement], facts: CatalogFacts) -> list[str]:
    """Tables of which an UPDATE or DELETE changes a part; what runs inside of a block may be about any."""
    found = set()
    for statement in statements:
        if statement.name in OPAQUE:
            return sorted(facts.relations)
        if statement.name in FILTERED:
            relation = statement.tree.relation
            name = f"{relation.schemaname}.{relation.relname}" if relation.schemaname else ""
            found.add(name or facts.resolved.get(relation.relname, relation.relname))
    return sorted(found)
