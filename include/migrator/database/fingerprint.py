"""The content of a database in a few numbers: per table the row count and an order-free hash of all rows.

`sum(hashtextextended(ROW(t.*)::text))` is equal over PostgreSQL 14 to 18, needs constant memory, runs in parallel and
reads every heap page, which a bare count does not (it may be answered from an index). A sum, not an xor: xor cancels
pairs. ROW(), because nobody but a superuser can make a cast of its type: a cast of the table's own row type to text is
whatever function the table's owner likes, and the hash whatever that function gives.

A query on a table whose index or statistics call functions of its owner has them called while it is planned. So such a
table is read by COPY, which plans nothing, and hashed here: the same numbers, slower, and without generated columns,
which COPY leaves out.

Materialized views are left out: what they hold is derived, and stale or of another moment (`now()`) than the same view
of a restored copy, which pg_restore has just filled.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import psycopg
from psycopg import sql as pgsql

from migrator.database import owners_code, plain, queries, row_hash
from migrator.errors import EnvironmentFault
from migrator.evidence import TableFingerprint

SETTINGS: Mapping[str, str] = {
    **plain.SETTINGS,
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "3",
    "lc_monetary": "C",
    "lock_timeout": "60s",
    "statement_timeout": "0",
    "constraint_exclusion": "off",
}
"""The text of a value must not depend on who asks. Without constraint_exclusion the planner looks at no CHECK."""

_ROWS = pgsql.SQL(
    "select pg_catalog.count(*), coalesce(pg_catalog.sum(pg_catalog.hashtextextended({}::text, 0)::numeric), 0)::text"
    " from only {} as t"
)


def tables(
    conn: psycopg.Connection[Any],
    *,
    exclude: Collection[str] = (),
    only: Collection[str] | None = None,
    by_name: bool = False,
    columns: Mapping[str, Collection[str]] | None = None,
    observe: Callable[[TableFingerprint], None] | None = None,
) -> tuple[TableFingerprint, ...]:
    """Fingerprint every table, sorted by name. Reads everything: time grows with the size of the database.

    Run it inside a REPEATABLE READ transaction to have all tables of one moment. `exclude` names schemas, `only`
    the tables to read. `by_name` takes the columns in the order of their names: equal for tables that differ in the
    order of columns alone; so does `columns`, which names by table those that count, of tables that are not to be read
    in full. `observe` is called after each table, largest first.
    """
    found = []
    with plain.as_they_lie(conn, SETTINGS):
        known = conn.execute(queries.load(__package__, "fingerprint")["tables"], {"exclude": list(exclude)}).fetchall()
        code = owners_code.read_by_planning(conn)
        for name, nspname, relname, oid in known:
            if only is not None and name not in only:
                continue
            relation = pgsql.Identifier(nspname, relname)
            chosen = None if columns is None else columns.get(name)
            named = by_name or chosen is not None
            if oid in code:
                count, total = row_hash.total(_copied(conn, name, relation, by_name=named, chosen=chosen))
                found.append(TableFingerprint(name, count, str(total)))
            else:
                row = _row_by_name(conn, name, chosen) if named else pgsql.SQL("row(t.*)")
                rows = conn.execute(_ROWS.format(row, relation)).fetchall()
                found.append(TableFingerprint(name, int(rows[0][0]), str(rows[0][1])))
            if observe is not None:
                observe(found[-1])
    return tuple(sorted(found, key=lambda table: table.table))


def sequences(conn: psycopg.Connection[Any], *, exclude: Collection[str] = ()) -> dict[str, int | None]:
    """Last value of every sequence, None for one that was never used.

    :raises EnvironmentFault: when the role may not read one of them: a position that nobody saw is not a proof.
    """
    with plain.as_they_lie(conn, SETTINGS):
        rows = conn.execute(
            queries.load(__package__, "fingerprint")["sequences"], {"exclude": list(exclude)}
        ).fetchall()
    hidden = [name for name, _, readable in rows if not readable]
    if hidden:
        raise EnvironmentFault(f"the role may not read sequence {hidden[0]}: GRANT SELECT ON ALL SEQUENCES to it")
    return {str(name): value for name, value, _ in rows}


def _row_by_name(conn: psycopg.Connection[Any], table: str, chosen: Collection[str] | None) -> pgsql.Composable:
    columns = _columns(conn, table, chosen)
    return pgsql.SQL("row({})").format(pgsql.SQL(", ").join(pgsql.Identifier("t", name) for name, *_ in columns))


def _copied(
    conn: psycopg.Connection[Any],
    table: str,
    relation: pgsql.Identifier,
    *,
    by_name: bool,
    chosen: Collection[str] | None,
) -> Iterator[bytes]:
    """The texts of its rows, in the server's encoding."""
    columns = [one for one in _columns(conn, table, chosen) if not one[2]]
    if not by_name:
        columns.sort(key=lambda one: one[1])
    names = pgsql.SQL(", ").join(pgsql.Identifier(name) for name, *_ in columns)
    listed = pgsql.SQL("({})").format(names) if columns else pgsql.SQL("")
    encoding = conn.info.parameter_status("server_encoding")
    command = pgsql.SQL("copy {} {} to stdout (encoding {})").format(relation, listed, pgsql.Literal(encoding))
    with conn.cursor() as cursor, cursor.copy(command) as copy:
        for line in copy:
            yield row_hash.row_text(row_hash.fields(bytes(line)[:-1]) if columns else ())


def _columns(conn: psycopg.Connection[Any], table: str, chosen: Collection[str] | None) -> list[tuple[str, int, bool]]:
    """In the order of their names; `chosen` None: all."""
    found = conn.execute(queries.load(__package__, "fingerprint")["columns"], {"table": table}).fetchall()
    return [one for one in found if chosen is None or one[0] in chosen]
