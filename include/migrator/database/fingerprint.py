"""The content of a database in a few numbers: per table the row count and an order-free hash of all rows.

`sum(hashtextextended(row::text))` is equal over PostgreSQL 14 to 18, needs constant memory, runs in parallel and reads
every heap page, which a bare count does not (it may be answered from an index). A sum, not an xor: xor cancels pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql as pgsql

from migrator.database import queries
from migrator.errors import EnvironmentFault
from migrator.evidence import TableFingerprint

SETTINGS: Mapping[str, str] = {
    "search_path": "",
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "3",
    "lc_monetary": "C",
    "row_security": "off",
    "lock_timeout": "60s",
    "statement_timeout": "0",
}
"""The text of a value must not depend on who asks. row_security off: refuse rather than silently read a part."""

_ROWS = pgsql.SQL("select count(*), coalesce(sum(hashtextextended({}::text, 0)::numeric), 0)::text from only {} as t")


def tables(
    conn: psycopg.Connection[Any],
    *,
    exclude: Collection[str] = (),
    only: Collection[str] | None = None,
    by_name: bool = False,
    observe: Callable[[TableFingerprint], None] | None = None,
) -> tuple[TableFingerprint, ...]:
    """Fingerprint every table, sorted by name. Reads everything: time grows with the size of the database.

    Run it inside a REPEATABLE READ transaction to have all tables of one moment. `exclude` names schemas, `only`
    the tables to read. `by_name` takes the columns in the order of their names: equal for tables that differ in the
    order of columns alone. `observe` is called after each table, largest first.
    """
    found = []
    with _settings(conn):
        known = conn.execute(queries.load(__package__, "fingerprint")["tables"], {"exclude": list(exclude)}).fetchall()
        for name, nspname, relname in known:
            if only is not None and name not in only:
                continue
            relation = pgsql.Identifier(nspname, relname)
            row = _row_by_name(conn, name) if by_name else pgsql.SQL("t")
            rows = conn.execute(_ROWS.format(row, relation)).fetchall()
            found.append(TableFingerprint(name, int(rows[0][0]), str(rows[0][1])))
            if observe is not None:
                observe(found[-1])
    return tuple(sorted(found, key=lambda table: table.table))


def sequences(conn: psycopg.Connection[Any], *, exclude: Collection[str] = ()) -> dict[str, int | None]:
    """Last value of every sequence, None for one that was never used.

    :raises EnvironmentFault: when the role may not read one of them: a position that nobody saw is not a proof.
    """
    with _settings(conn):
        rows = conn.execute(
            queries.load(__package__, "fingerprint")["sequences"], {"exclude": list(exclude)}
        ).fetchall()
    hidden = [name for name, _, readable in rows if not readable]
    if hidden:
        raise EnvironmentFault(f"the role may not read sequence {hidden[0]}: GRANT SELECT ON ALL SEQUENCES to it")
    return {str(name): value for name, value, _ in rows}


def large_objects(conn: psycopg.Connection[Any]) -> int:
    row = conn.execute(queries.load(__package__, "fingerprint")["large_objects"]).fetchone()
    return int(row[0]) if row else 0


def _row_by_name(conn: psycopg.Connection[Any], table: str) -> pgsql.Composable:
    columns = conn.execute(queries.load(__package__, "fingerprint")["columns"], {"table": table}).fetchall()
    return pgsql.SQL("row({})").format(pgsql.SQL(", ").join(pgsql.Identifier("t", name) for (name,) in columns))


@contextmanager
def _settings(conn: psycopg.Connection[Any]) -> Iterator[None]:
    """SET LOCAL inside the caller's transaction, or inside one of our own; gone afterwards in both cases."""
    with conn.transaction(force_rollback=True):
        calls = pgsql.SQL(", ").join(
            pgsql.SQL("pg_catalog.set_config({}, {}, true)").format(key, value) for key, value in SETTINGS.items()
        )
        conn.execute(pgsql.SQL("select {}").format(calls))
        yield
