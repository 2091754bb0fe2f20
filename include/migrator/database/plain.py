"""Reading tables that others own without running what they have made: no view, no policy, no cast, no operator.

Their functions would run with our privileges: those of a view's query and of a policy, and a cast from the row's type
or from a type of theirs. What is left is what the server brings: the output functions of types.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
from psycopg import sql as quoting

from migrator.database import naming, queries
from migrator.database.session import OWN_PATH
from migrator.errors import UsageError

SETTINGS: Mapping[str, str] = {"search_path": OWN_PATH, "row_security": "off"}
"""row_security off: where a policy would choose the rows, the server refuses."""


@contextmanager
def as_they_lie(conn: psycopg.Connection[Any], settings: Mapping[str, str] = SETTINGS) -> Iterator[None]:
    """Within the caller's transaction, or within one of its own; the settings are gone afterwards in both cases."""
    with conn.transaction(force_rollback=True):
        calls = quoting.SQL(", ").join(
            quoting.SQL("pg_catalog.set_config({}, {}, true)").format(key, value) for key, value in settings.items()
        )
        conn.execute(quoting.SQL("SELECT {}").format(calls))
        conn.execute(queries.load(__package__, "plain")["no_views"])
        yield


class Table(NamedTuple):
    schema: str
    name: str

    @property
    def sql(self) -> quoting.Identifier:
        return quoting.Identifier(self.schema, self.name)


def table(conn: psycopg.Connection[Any], name: str) -> Table | None:
    """The table of this name, as the target's search path finds it; None: there is none.

    :raises UsageError: it is a view, or something else that is no table.
    """
    found = naming.ask(conn, queries.load(__package__, "plain")["table"], {"name": name}).named
    if not found:
        return None
    there = Table(found[0]["schema_name"], found[0]["table_name"])
    if not found[0]["is_table"]:
        raise UsageError(f'"{there.schema}.{there.name}" is no table: a view would run functions of others to be read')
    return there


def require_builtin_types(conn: psycopg.Connection[Any], relation: Table) -> None:
    """:raises UsageError: a column has a type that somebody has made: a query with it might run functions of theirs."""
    schema, name = relation
    query = queries.load(__package__, "plain")["foreign_types"]
    rows = conn.execute(query, {"schema": schema, "table": name}).fetchall()
    if rows:
        column, of_type = rows[0]
        raise UsageError(
            f'column "{column}" of "{schema}.{name}" is of type {of_type}, which is not one of PostgreSQL\'s own: a'
            " query that converts it may run functions of others; name the versions on the command line instead"
        )


def texts(conn: psycopg.Connection[Any], relation: Table) -> list[dict[str, str | None]]:
    """All rows, each value as its type's output function writes it, by column; NULL is None."""
    with as_they_lie(conn):
        cursor = conn.execute(quoting.SQL("SELECT * FROM {}").format(relation.sql))
        result = cursor.pgresult
        columns = [column.name for column in cursor.description or ()]
        if result is None:
            return []
        values = ([result.get_value(row, place) for place in range(result.nfields)] for row in range(result.ntuples))
        return [
            {name: None if value is None else value.decode() for name, value in zip(columns, row, strict=True)}
            for row in values
        ]
