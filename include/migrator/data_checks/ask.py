"""Counts the rows that would make statements fail, and names a few of them by their keys."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from migrator import wording
from migrator.data_checks.catalogue import row, rows
from migrator.data_checks.conversions import misfits
from migrator.data_checks.domains import domain_suspects
from migrator.data_checks.partitions import partition_suspects
from migrator.data_checks.suspects import Suspect, orphans, suspects_of, written_by
from migrator.errors import MigratorError
from migrator.session import Connection
from migrator.statements import ParsedStatement

logger = logging.getLogger(__name__)

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
        for suspect in (*suspects_of(statement), *_elsewhere(conn, statement)):
            if changed is None or _touched(conn, suspect, changed):
                reason = "statements before it may change the rows"
                found.append(_unknown(suspect, reason))
            else:
                found.extend(_look(conn, suspect, timeout_ms))
        written = written_by(statement)
        changed = None if changed is None or written is None else changed | written
    return tuple(found)


def _elsewhere(conn: Connection, statement: ParsedStatement) -> tuple[Suspect, ...]:
    """What the statement insists on in tables that it does not name: only the catalog knows which these are."""
    try:
        with conn.transaction(force_rollback=True):
            return (*domain_suspects(conn, statement), *partition_suspects(conn, statement))
    except (MigratorError, psycopg.Error):
        logger.debug("the catalog could not be asked about %s", statement.sql, exc_info=True)
        return ()  # such as a type that no one has made yet, or that may not be read


def _touched(conn: Connection, suspect: Suspect, changed: frozenset[str]) -> bool:
    if suspect.table in changed:
        return True
    return bool(changed) and bool(rows(conn, "touched", name=suspect.table, changed=sorted(changed)))


def _look(conn: Connection, suspect: Suspect, timeout_ms: int) -> Iterator[Violation]:
    try:
        with conn.transaction(force_rollback=True):
            conn.execute("SET TRANSACTION READ ONLY")
            conn.execute(f"SET LOCAL statement_timeout = {int(timeout_ms)}")
            table = row(conn, "table", name=suspect.table)
            if table is None:
                return  # the migration makes it: no rows to look at
            known = _completed(conn, suspect, table)
            if known is None:
                return
            number, samples, sqlstate = _found(conn, known, table)
    except (MigratorError, psycopg.Error) as exc:
        yield _unknown(suspect, str(exc).partition("\n")[0])
        return
    if number:
        labels = [key.strip('"').partition("::")[0] for key in _keys(table)]
        names = tuple(", ".join(f"{key}={value}" for key, value in zip(labels, one, strict=True)) for one in samples)
        yield Violation(known.statement, known.table, known.what, sqlstate, number, names)


def _found(conn: Connection, suspect: Suspect, table: dict[str, Any]) -> tuple[int, Sequence[Sequence[Any]], str]:
    """How many rows, the keys of a few of them, the SQLSTATE of the failure."""
    alone = suspect.only or (table["kind"] == "r" and (suspect.duplicates or suspect.overlaps or suspect.columns))
    source = f"ONLY {suspect.table}" if alone else suspect.table
    keys = _keys(table)
    if suspect.value:
        return misfits(conn, suspect, source, keys, SAMPLES)
    asked = query_for(suspect, source, keys)
    count = conn.execute(f"SELECT count(*) FROM ({asked}) AS found".encode()).fetchone()  # noqa: S608
    number = int(count[0]) if count else 0
    samples = conn.execute(f"{asked} ORDER BY 1 LIMIT {SAMPLES}".encode()).fetchall() if number else []
    return number, samples, suspect.sqlstate


def _keys(table: dict[str, Any]) -> list[str]:
    """What names a row: the primary key, or its place."""
    return table["keys"] or (["tableoid::regclass", "ctid"] if table["kind"] == "p" else ["ctid"])


def query_for(suspect: Suspect, source: str, keys: Sequence[str]) -> str:
    """SQL for the keys of the rows. :param source: the table, as it stands after FROM."""
    listed = ", ".join(keys)
    if not suspect.duplicates and not suspect.overlaps:
        return f"SELECT {listed} FROM {source} WHERE {suspect.where}"  # noqa: S608 - quoted by `suspects`
    inner = [f"{key} AS migrator_key_{number}" for number, key in enumerate(keys)]
    outer = ", ".join(f"one.migrator_key_{number}" for number in range(len(keys)))
    if suspect.duplicates:
        inner.append(f"count(*) OVER (PARTITION BY {suspect.duplicates}) AS migrator_count")
        rest = "WHERE one.migrator_count > 1"
    else:
        inner += ["tableoid AS migrator_table", "ctid AS migrator_place"]
        inner += [f"{key} AS migrator_value_{number}" for number, (key, _) in enumerate(suspect.overlaps)]
        pairs = [
            f"one.migrator_value_{number} {operator} other.migrator_value_{number}"
            for number, (_, operator) in enumerate(suspect.overlaps)
        ]
        apart = "(one.migrator_table, one.migrator_place) <> (other.migrator_table, other.migrator_place)"
        rest = f"WHERE EXISTS (SELECT FROM migrator_rows AS other WHERE {' AND '.join([apart, *pairs])})"
    rows_in_question = f"SELECT {', '.join(inner)} FROM {source} WHERE {suspect.where}"  # noqa: S608
    return f"WITH migrator_rows AS ({rows_in_question}) SELECT {outer} FROM migrator_rows AS one {rest}"  # noqa: S608


def _completed(conn: Connection, suspect: Suspect, table: dict[str, Any]) -> Suspect | None:
    """With what only the catalog knows: the constraint that is to be validated, the key that is referred to."""
    if suspect.domain is not None:
        domain = row(conn, "domain", name=suspect.domain)
        if domain is not None and (domain["filled"] or not (domain["required"] or suspect.where)):
            return None
        return replace(suspect, where="true") if domain or suspect.where else None
    if suspect.where:
        return suspect
    if suspect.referenced is not None:
        other = row(conn, "table", name=suspect.referenced)
        if other is None or not other["keys"]:
            return None
        there = tuple(key.strip('"').replace('""', '"') for key in other["keys"])
        return orphans(suspect.statement, suspect.table, suspect.columns, suspect.referenced, there)
    constraint = row(conn, "constraint", oid=table["oid"], name=suspect.constraint)
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
