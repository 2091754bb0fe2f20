"""Asks a server what goes on at tables: how many queries, which, and who has locks now."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql as pgsql
from psycopg.rows import dict_row

from migrator.analysis.estimate.model import Family, Holder, Traffic
from migrator.database import queries, session
from migrator.database.lock_sampler import mode_name
from migrator.database.session import Connection
from migrator.database.vocabulary import told_program
from migrator.parsing.without_values import without_values

LEAST_SECONDS = 1.0
"""Statistics of a shorter time tell no rate."""


def traffic_of(conn: Connection, relations: Sequence[str]) -> Mapping[str, Traffic]:
    """What goes on at these tables, by qualified name. On a standby: what goes on at the standby."""
    if not relations:
        return {}
    names = {"relations": sorted(relations)}
    holders: dict[str, list[Holder]] = defaultdict(list)
    for found in _rows(conn, "holders", **names):
        who = f"pid {found['pid']}" if found["pid"] else "a prepared transaction"
        name = told_program(found["application_name"])
        application = f" ({name})" if name else ""
        holder = Holder(f"{who}{application}, {found['state']}", mode_name(found["mode"]), found["seconds"] or 0.0)
        holders[found["relation"]].append(holder)
    counted = {row["relation"]: row for row in _rows(conn, "tables", **names)}
    schema = next((row["schema"] for row in _rows(conn, "statements")), None)
    result = {}
    for name in relations:
        row = counted.get(name)
        since = max(row["since"], LEAST_SECONDS) if row else LEAST_SECONDS
        result[name] = Traffic(
            reads=row["reads"] / since if row else 0.0,
            writes=row["writes"] / since if row else 0.0,
            holders=tuple(holders[name]),
            families=_families(conn, schema, name) if schema and row else (),
        )
    return result


def _families(conn: Connection, schema: str, relation: str) -> tuple[Family, ...]:
    """Without the right to read them, or with an extension of a server before 14, there are none."""
    query = pgsql.SQL(queries.load(__package__, "traffic")["families"]).format(schema=pgsql.Identifier(schema))
    pattern = r"\m" + re.escape(relation.rpartition(".")[2]) + r"\M"
    try:
        with conn.transaction(), conn.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(query, {"pattern": pattern}).fetchall()
    except psycopg.Error:
        return ()
    return tuple(
        Family(without_values(row["query"]), row["calls"] / max(row["since"], LEAST_SECONDS), row["mean_ms"])
        for row in rows
    )


def _rows(conn: Connection, query: str, **values: Any) -> list[dict[str, Any]]:
    with session.translated(), conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(queries.load(__package__, "traffic")[query], values or None).fetchall()
