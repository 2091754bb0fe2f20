"""Reading tables that others own without running what they have made: view, policy, cast, operator, index.

Their functions would run with our privileges: those of a view's query and of a policy, a cast from the row's type or
from a type of theirs, and those of an index when a query is planned. What is left is what the server brings: the output
functions of types.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from psycopg import sql as quoting

from migrator.database import naming, queries, row_hash
from migrator.database.session import OWN_PATH
from migrator.errors import UsageError

if TYPE_CHECKING:
    from typing_extensions import LiteralString

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

    :raises UsageError: it is a view, or something else that COPY does not read.
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


def copied(
    conn: psycopg.Connection[Any], relation: quoting.Identifier, columns: Sequence[str], *, encoding: str
) -> Iterator[list[bytes | None]]:
    """The rows of a table, each value as its type's output function writes it. COPY plans nothing, so nothing runs that
    hangs on the table."""
    names = quoting.SQL(", ").join(map(quoting.Identifier, columns))
    listed = quoting.SQL("({})").format(names) if columns else quoting.SQL("")
    command = quoting.SQL("copy {} {} to stdout (encoding {})").format(relation, listed, quoting.Literal(encoding))
    with conn.cursor() as cursor, cursor.copy(command) as copy:
        for line in copy:
            yield row_hash.fields(bytes(line)[:-1]) if columns else []


def texts(conn: psycopg.Connection[Any], relation: Table) -> list[dict[str, str | None]]:
    """All rows, each value as its type's output function writes it, by column; NULL is None.

    :raises UsageError: a column is generated: it is not read without being computed.
    """
    with as_they_lie(conn):
        return _texts(conn, relation, [column.name for column in _columns(conn, relation)])


def rows_of(conn: psycopg.Connection[Any], relation: Table) -> tuple[quoting.Composable, str]:
    """What stands after FROM in place of the table, and the value of its parameter `rows`: a query on the table itself
    would be planned with its indexes. Without columns that are arrays.

    :raises UsageError: see `require_builtin_types`, and `texts`.
    """
    require_builtin_types(conn, relation)
    columns = [column for column in _columns(conn, relation) if not column.is_array]
    listed = quoting.SQL(", ").join(
        quoting.SQL("{} {}").format(quoting.Identifier(column.name), quoting.SQL(column.type)) for column in columns
    )
    source = quoting.SQL("(SELECT * FROM pg_catalog.jsonb_to_recordset({}::pg_catalog.jsonb) AS given ({}))")
    rows = json.dumps(_texts(conn, relation, [column.name for column in columns]))
    return source.format(quoting.Placeholder("rows"), listed), rows


class _Column(NamedTuple):
    name: str
    type: LiteralString
    is_array: bool
    is_generated: bool


def _columns(conn: psycopg.Connection[Any], relation: Table) -> list[_Column]:
    values = {"schema": relation.schema, "table": relation.name}
    found = [_Column(*row) for row in conn.execute(queries.load(__package__, "plain")["columns"], values).fetchall()]
    for column in found:
        if column.is_generated:
            raise UsageError(
                f'column "{column.name}" of "{relation.schema}.{relation.name}" is generated, and is not computed for'
                " this; name the versions on the command line instead"
            )
    return found


def _texts(conn: psycopg.Connection[Any], relation: Table, columns: Sequence[str]) -> list[dict[str, str | None]]:
    return [
        {name: None if value is None else value.decode() for name, value in zip(columns, row, strict=True)}
        for row in copied(conn, relation.sql, columns, encoding="UTF8")
    ]
