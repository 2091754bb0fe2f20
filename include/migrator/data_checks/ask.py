"""Counts the rows that would make statements fail, and names a few of them by their keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg.rows import dict_row

from migrator import session, sql, wording
from migrator.data_checks.suspects import Suspect, orphans, suspects_of, written_by
from migrator.errors import MigratorError
from migrator.session import Connection
from migrator.statements import ParsedStatement

SAMPLES = 5
TIMEOUT_MS = 60_000


@dataclass(frozen=True)
class Violation:
    """Rows that make a statement fail, or the reason why nobody could look for them."""

    statement: int
    table: str
    what: str
    sqlstate: str
    rows: int | None
    """None: not looked for, see `reason`."""
    samples: tuple[str, ...] = ()
    """Keys of some of the rows: "id=42"; without a primary key their place, "ctid=(0,7)"."""
    reason: str = ""

    def __str__(self) -> str:
        table = self.table.replace('"', "")
        if self.rows is None:
            return f"{table}: whether {self.what} is not known: {self.reason}"
        shown = "; ".join(self.samples)
        more = f": {shown}" + (", ..." if self.rows > len(self.samples) else "")
        return f"{wording.count(self.rows, 'row')} of {table} where {self.what}{more}"


def violations(found: Iterable[Violation]) -> tuple[Violation, ...]:
    """Those of which rows were found."""
    return tuple(item for item in found if item.rows)


def look_for(
    conn: Connection, statements: Sequence[ParsedStatement], *, timeout_ms: int = TIMEOUT_MS
) -> tuple[Violation, ...]:
    """Look for the rows of each statement, in a read-only transaction of its own. In the statements' order.

    Rows that an earlier statement changes are not judged: what they will be is not known.
    """
    found: list[Violation] = []
    changed: frozenset[str] | None = frozenset()
    for statement in statements:
        for suspect in suspects_of(statement):
            if changed is None or suspect.table in changed:
                reason = "statements before it may change the rows"
                found.append(_unknown(suspect, reason))
            else:
                found.extend(_look(conn, suspect, timeout_ms))
        written = written_by(statement)
        changed = None if changed is None or written is None else changed | written
    return tuple(found)


def _look(conn: Connection, suspect: Suspect, timeout_ms: int) -> Iterator[Violation]:
    try:
        with conn.transaction(force_rollback=True):
            conn.execute("SET TRANSACTION READ ONLY")
            conn.execute(f"SET LOCAL statement_timeout = {int(timeout_ms)}")
            table = _row(conn, "table", name=suspect.table)
            if table is None:
                return  # the migration makes it: no rows to look at
            known = _completed(conn, suspect, table)
            if known is None:
                return
            if conn.info.server_version < known.least_version:
                yield _unknown(known, f"PostgreSQL {known.least_version // 10000} is the first that can tell")
                return
            rows = _rows_of(known, table["keys"] or ["ctid"])
            count = conn.execute(f"SELECT count(*) FROM ({rows}) AS found".encode()).fetchone()  # noqa: S608
            number = int(count[0]) if count else 0
            samples: list[tuple[Any, ...]] = []
            if number:
                samples = conn.execute(f"{rows} ORDER BY 1 LIMIT {SAMPLES}".encode()).fetchall()
            keys = [key.strip('"') for key in table["keys"] or ["ctid"]]
    except (MigratorError, psycopg.Error) as exc:
        yield _unknown(suspect, str(exc).partition("\n")[0])
        return
    names = tuple(", ".join(f"{key}={value}" for key, value in zip(keys, values, strict=True)) for values in samples)
    if number:
        yield Violation(known.statement, known.table, known.what, known.sqlstate, number, names)


def _rows_of(suspect: Suspect, keys: Sequence[str]) -> str:
    """SQL for the keys of the rows."""
    listed = ", ".join(keys)
    if not suspect.duplicates:
        return f"SELECT {listed} FROM {suspect.table} WHERE {suspect.where}"  # noqa: S608 - quoted by `suspects`
    inner = (
        f"SELECT {listed}, count(*) OVER (PARTITION BY {suspect.duplicates}) AS migrator_count"  # noqa: S608
        f" FROM {suspect.table} WHERE {suspect.where}"
    )
    return f"SELECT {listed} FROM ({inner}) AS counted WHERE migrator_count > 1"  # noqa: S608


def _completed(conn: Connection, suspect: Suspect, table: dict[str, Any]) -> Suspect | None:
    """With what only the catalog knows: the constraint that is to be validated, the key that is referred to."""
    if suspect.where:
        return suspect
    if suspect.referenced is not None:
        other = _row(conn, "table", name=suspect.referenced)
        if other is None or not other["keys"]:
            return None
        there = tuple(key.strip('"').replace('""', '"') for key in other["keys"])
        return orphans(suspect.statement, suspect.table, suspect.columns, suspect.referenced, there)
    constraint = _row(conn, "constraint", oid=table["oid"], name=suspect.constraint)
    if constraint is None:
        return None
    if constraint["kind"] == "f":
        found = orphans(
            suspect.statement,
            suspect.table,
            tuple(constraint["columns"]),
            constraint["referenced"],
            tuple(constraint["referenced_columns"]),
        )
        return replace(found, what=f"{found.what} ({suspect.constraint})")
    if constraint["kind"] == "n":
        column = constraint["columns"][0].replace('"', '""')
        return replace(suspect, where=f'"{column}" IS NULL', sqlstate="23502")
    return replace(suspect, where=f"NOT ({constraint['expression']})") if constraint["expression"] else None


def _unknown(suspect: Suspect, reason: str) -> Violation:
    return Violation(suspect.statement, suspect.table, suspect.what, suspect.sqlstate, None, reason=reason)


def _row(conn: Connection, query: str, **values: Any) -> dict[str, Any] | None:
    with session.translated(), conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(sql.load("data_checks")[query], values).fetchone()
