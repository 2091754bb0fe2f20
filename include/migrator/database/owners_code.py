"""Which tables have code of their owners that PostgreSQL runs when a statement on them is only planned.

The planner computes what is constant and immutable in the expressions and predicates of a table's indexes and
statistics (get_relation_info in src/backend/optimizer/util/plancat.c), in the CHECKs by which it would leave a table
out, in defaults, and in the CHECKs of domains: as whoever plans. COPY of a table plans nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import psycopg

from migrator.database import naming, queries
from migrator.database.type_parts import with_parts
from migrator.parsing import running_functions

ALWAYS = frozenset({"index", "statistics"})
"""Where they are computed whatever the statement does with the table."""


def read_by_planning(conn: psycopg.Connection[Any], tables: Collection[int]) -> frozenset[int]:
    """Which of these cannot be read by a query without it. The same on the target and on its copy: it does not matter
    whose functions they are."""
    return frozenset(oid for oid, place, _ in _called(conn, tables) if place in ALWAYS)


def planned_with(conn: psycopg.Connection[Any], tables: Collection[int]) -> bool:
    """Whether a statement on these tables, which are with their parents and children, has functions called that are
    neither ours nor a superuser's. Who is going to plan one asks `held.hold`."""
    return bool(tables) and any(not trusted for _, _, trusted in _called(conn, tables))


def hung_on_types(
    conn: psycopg.Connection[Any], tables: Collection[str], types: Collection[str], operators: Collection[str]
) -> str | None:
    """An operator, or a cast, a domain and the like that an expression on these tables and types may call as somebody's
    own function, though no call of it is written there.

    :param tables: and `types`: as the target's path finds them.
    :param operators: names without a schema.
    """
    texts = queries.load(__package__, "owners_code")
    named = naming.ask(conn, texts["types_named"], {"names": sorted(types)}).named if types else []
    values = {
        "relations": sorted(_family(conn, tables)),
        "types": sorted({row["type"] for row in named if row["type"] is not None}),
        "operators": sorted(operators),
    }
    row = conn.execute(texts["of_types"], values).fetchone()
    return str(row[0]) if row else None


def _family(conn: psycopg.Connection[Any], names: Collection[str]) -> set[int]:
    if not names:
        return set()
    query = queries.load(__package__, "owners_code")["inherited"]
    return {row["relation"] for row in naming.ask(conn, query, {"names": sorted(names)}).named}


def _called(conn: psycopg.Connection[Any], tables: Collection[int]) -> list[tuple[int, str, bool]]:
    query = with_parts(queries.load(__package__, "owners_code")["called"])
    return conn.execute(query, {"tables": list(tables)}).fetchall()


def named(conn: psycopg.Connection[Any], names: Collection[str], fields: Collection[str]) -> tuple[str, bool] | None:
    """A function of these names, or one that looks like these fields, which is not PostgreSQL's own, or does more than
    compute; whether it is PostgreSQL's own."""
    if not names and not fields:
        return None
    query = queries.load(__package__, "owners_code")["others_functions"]
    row = conn.execute(
        query, {"names": sorted(names), "fields": sorted(fields), "running": sorted(running_functions.EVERY)}
    ).fetchone()
    return (str(row[0]), bool(row[1])) if row else None
