"""The content of a database in a few numbers: per table the row count and an order-free hash of all rows.

`sum(hashtextextended(ROW(t.*)::text))` is equal over PostgreSQL 14 to 18, needs constant memory, runs in parallel and
reads every heap page, which a bare count does not (it may be answered from an index). A sum, not an xor: xor cancels
pairs. ROW(), because nobody but a superuser can make a cast of its type: a cast of the table's own row type to text is
whatever function the table's owner likes, and the hash whatever that function gives.

A query on a table whose index or statistics call functions of its owner has them called while it is planned. So such a
table is read by COPY, which plans nothing, and hashed here: the same numbers, slower. So is one of which it cannot be
said, because somebody else owns it and cannot be kept from making an index right now. COPY leaves generated columns
out, and so do all that do not ask for them: a restore computes them anew.

Materialized views are left out: what they hold is derived, and stale or of another moment (`now()`) than the same view
of a restored copy, which pg_restore has just filled.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import psycopg
from psycopg import sql as pgsql

from migrator.database import owners_code, plain, queries, row_hash
from migrator.database.held import Beside
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

_CURSOR = pgsql.Identifier("migrator_rows")
_COLUMN = pgsql.SQL("coalesce(pg_catalog.sum(pg_catalog.hashtextextended(row({})::text, 0)::numeric), 0)::text")
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
    stored: bool = False,
    beside: Beside | None = None,
    observe: Callable[[TableFingerprint], None] | None = None,
) -> tuple[TableFingerprint, ...]:
    """Fingerprint every table, sorted by name. Reads everything: time grows with the size of the database.

    Run it inside a REPEATABLE READ transaction to have all tables of one moment. `exclude` names schemas, `only`
    the tables to read. `by_name` takes the columns in the order of their names: equal for tables that differ in the
    order of columns alone; so does `columns`, which names by table those that count, of tables that are not to be read
    in full. `stored` takes what generated columns store, too: by a query in any case, so as a role as which the owners'
    functions may run. `beside` holds the tables of others; without it nobody else must be in the database. `observe` is
    called after each table, largest first.
    """
    found = []
    with plain.as_they_lie(conn, SETTINGS):
        known = conn.execute(queries.load(__package__, "fingerprint")["tables"], {"exclude": list(exclude)}).fetchall()
        known = [one for one in known if only is None or one[0] in only]
        code = owners_code.read_by_planning(conn, [oid for _, _, _, oid, _, _ in known])
        for name, nspname, relname, oid, generated, ours in known:
            relation = pgsql.Identifier(nspname, relname)
            chosen = None if columns is None else columns.get(name)
            named = by_name or chosen is not None
            columns_of = partial(_columns, conn, name, chosen, by_name=named)
            row = _row(columns_of(stored=stored)) if named or generated else pgsql.SQL("row(t.*)")
            query = _ROWS.format(row, relation)
            copied = oid in code and not (stored and generated)
            rows = None if copied else _planned(conn, name, query, None if ours else beside)
            if rows is None:
                count, total = row_hash.total(_copied(conn, relation, columns_of()))
                found.append(TableFingerprint(name, count, str(total)))
            else:
                found.append(TableFingerprint(name, int(rows[0][0]), str(rows[0][1])))
            if observe is not None:
                observe(found[-1])
    return tuple(sorted(found, key=lambda table: table.table))


def by_column(conn: psycopg.Connection[Any], table: str, columns: Collection[str]) -> dict[str, str] | None:
    """The hash of each of these columns by itself, in one look at the table; None: no query may read it."""
    with plain.as_they_lie(conn, SETTINGS):
        known = conn.execute(queries.load(__package__, "fingerprint")["tables"], {"exclude": []}).fetchall()
        found = next((row for row in known if row[0] == table), None)
        if found is None or found[3] in owners_code.read_by_planning(conn, [found[3]]):
            return None
        sums = pgsql.SQL(", ").join(_COLUMN.format(pgsql.Identifier("t", name)) for name in columns)
        relation = pgsql.Identifier(found[1], found[2])
        row = conn.execute(pgsql.SQL("select {} from only {} as t").format(sums, relation)).fetchone()
    return dict(zip(columns, row or (), strict=True))


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


def _planned(
    conn: psycopg.Connection[Any], name: str, query: pgsql.Composed, beside: Beside | None
) -> list[tuple[Any, ...]] | None:
    """None: nobody should plan it. A cursor is planned when it is declared, so the table is held no longer."""
    if beside is None:
        return conn.execute(query).fetchall()
    declare = pgsql.SQL("declare {} no scroll cursor for {}").format(_CURSOR, query)
    if not beside.plan(name, lambda: conn.execute(declare)):
        return None
    rows = conn.execute(pgsql.SQL("fetch all from {}").format(_CURSOR)).fetchall()
    conn.execute(pgsql.SQL("close {}").format(_CURSOR))
    return rows


def _row(columns: Collection[str]) -> pgsql.Composable:
    return pgsql.SQL("row({})").format(pgsql.SQL(", ").join(pgsql.Identifier("t", name) for name in columns))


def _copied(conn: psycopg.Connection[Any], relation: pgsql.Identifier, columns: Sequence[str]) -> Iterator[bytes]:
    """The texts of its rows, in the server's encoding."""
    encoding = conn.info.parameter_status("server_encoding") or "UTF8"
    return map(row_hash.row_text, plain.copied(conn, relation, columns, encoding=encoding))


def _columns(
    conn: psycopg.Connection[Any], table: str, chosen: Collection[str] | None, *, by_name: bool, stored: bool = False
) -> list[str]:
    """Those that are not generated, or are `stored`; in the order of their names, or else in the table's. `chosen`
    None: all."""
    found = conn.execute(queries.load(__package__, "fingerprint")["columns"], {"table": table}).fetchall()
    if not by_name:
        found.sort(key=lambda one: one[1])
    kinds = ("", "s") if stored else ("",)
    return [name for name, _, generated in found if generated in kinds and (chosen is None or name in chosen)]
