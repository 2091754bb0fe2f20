"""The catalog's answers to the checks of data: the queries of `data_checks.sql`."""

from __future__ import annotations

from typing import Any

from migrator.database import naming, queries, session
from migrator.database.session import Connection


def rows(conn: Connection, query: str, **values: Any) -> list[dict[str, Any]]:
    with session.translated():
        return naming.ask(conn, queries.load(__package__, "data_checks")[query], values).named


def row(conn: Connection, query: str, **values: Any) -> dict[str, Any] | None:
    found = rows(conn, query, **values)
    return found[0] if found else None
