"""Counts the rows that would make statements fail, and names a few of them by their keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from migrator import wording
from migrator.analysis.data_checks.catalogue import row, rows
from migrator.analysis.data_checks.conversions import misfits
from migrator.analysis.data_checks.domains import domain_named, domain_suspects
from migrator.analysis.data_checks.others import refuse_others_functions
from migrator.analysis.data_checks.partitions import partition_suspects, partitioned_named
from migrator.analysis.data_checks.queries import overlapping, query_for
from migrator.analysis.data_checks.references import with_condition
from migrator.analysis.data_checks.suspects import Suspect, orphans, suspects_of, written_by
from migrator.database import plain, withheld
from migrator.database.door import send
from migrator.database.naming import names_of_target
from migrator.database.session import Connection
from migrator.database.told import words
from migrator.errors import MigratorError
from migrator.parsing.statements import ParsedStatement

SAMPLES = 5
TIMEOUT_MS = 60_000
CHANGED = "statements before it may change the rows"


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
    """Keys of some of the rows: "id=42"; without a primary key their place, "ctid=(0,7)". Never told: they are put
    where the run keeps what only some may read."""
    reason: str = ""

    def __str__(self) -> str:
        table = self.table.replace('"', "")
        if self.rows is None:
            return f"{table}: whether {self.what} is not known: {self.reason}"
        return f"{wording.count(self.rows, 'row')} of {table} where {self.what}"

    def in_full(self) -> str:
        """With the keys."""
        shown = "; ".join(self.samples)
        return f"{self}: {shown}" + (", ..." if self.rows and self.rows > len(self.samples) else "")


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
            if suspect.unknown:
                found.append(_unknown(suspect, suspect.unknown))
            elif changed is None or _touched(conn, suspect.table, changed):
                found.append(_unknown(suspect, CHANGED))
            else:
                found.extend(_look(conn, suspect, changed, timeout_ms))
        written = written_by(statement)
        changed = None if changed is None or written is None else changed | written
    return tuple(found)


def _elsewhere(conn: Connection, statement: ParsedStatement) -> Iterator[Suspect]:
    """What the statement insists on in tables that it does not name: only the catalog knows which these are."""
    for suspects, named in ((domain_suspects, domain_named), (partition_suspects, partitioned_named)):
        try:
            with conn.transaction(force_rollback=True):
                found = tuple(suspects(conn, statement))
        except (MigratorError, psycopg.Error) as exc:
            table, what = named(statement)
            reason = f"the catalog cannot be asked: {words(exc)}"
            yield Suspect(statement.index, what, table, "", "", unknown=reason)
        else:
            yield from found


def _touched(conn: Connection, table: str, changed: frozenset[str]) -> bool:
    """Also when the server does not tell."""
    if table in changed or not changed:
        return bool(changed)
    try:
        return bool(rows(conn, "touched", name=table, changed=sorted(changed)))
    except MigratorError:
        return True


def _look(conn: Connection, suspect: Suspect, changed: frozenset[str], timeout_ms: int) -> Iterator[Violation]:
    try:
        with conn.transaction(force_rollback=True), plain.as_they_lie(conn):
            conn.execute("SET TRANSACTION READ ONLY")
            conn.execute(f"SET LOCAL statement_timeout = {int(timeout_ms)}")
            table = row(conn, "table", name=suspect.table)
            if table is None:
                return  # the migration makes it: no rows to look at
            known = _completed(conn, suspect, table)
            if known is None:
                return
            if known.against and _touched(conn, known.against, changed):
                yield _unknown(known, CHANGED)
                return
            number, samples, sqlstate = _found(conn, known, table)
    except (MigratorError, psycopg.Error) as exc:
        yield _unknown(suspect, words(exc))
        return
    if number:
        labels = [key.strip('"').partition("::")[0] for key in _keys(table)]
        names = tuple(", ".join(f"{key}={value}" for key, value in zip(labels, one, strict=True)) for one in samples)
        found = Violation(known.statement, known.table, known.what, sqlstate, number, names)
        withheld.keep(found.in_full())
        yield found


def _found(conn: Connection, suspect: Suspect, table: dict[str, Any]) -> tuple[int, Sequence[Sequence[Any]], str]:
    """How many rows, the keys of a few of them, the SQLSTATE of the failure."""
    alone = suspect.only or (table["kind"] == "r" and (suspect.duplicates or suspect.overlaps or suspect.columns))
    source = f"ONLY {suspect.table}" if alone else suspect.table
    keys = _keys(table)
    if suspect.value:
        refuse_others_functions(conn, f"SELECT {suspect.value} FROM {source}")  # noqa: S608
        return misfits(conn, suspect, source, keys, SAMPLES)
    refuse_others_functions(conn, query_for(suspect, source, keys), ours=suspect.ours)
    asked = query_for(suspect, source, keys, sort=_sortable(conn, suspect, source))
    with names_of_target(conn):
        count = send(conn, f"SELECT pg_catalog.count(*) FROM ({asked}) AS found").fetchone()  # noqa: S608
        number = int(count[0]) if count else 0
        samples = conn.execute(f"{asked} ORDER BY 1 LIMIT {SAMPLES}".encode()).fetchall() if number else []
    return number, samples, suspect.sqlstate


def _sortable(conn: Connection, suspect: Suspect, source: str) -> bool:
    """Whether the rows that exclude each other are those whose ranges overlap, so that one sort finds them. What cannot
    be sorted (a range of a type without max(), an equal box) is told by the server."""
    value = overlapping(suspect)
    if value is None:
        return False
    with conn.transaction():
        with names_of_target(conn):
            asked = send(conn, f"SELECT {value} AS value FROM {source} LIMIT 0")  # noqa: S608
        if not asked.description or not row(conn, "is_range", oid=asked.description[0].type_code):
            return False
    try:
        with conn.transaction(), names_of_target(conn):
            send(conn, f"EXPLAIN {query_for(suspect, source, ['ctid'], sort=True)}")
    except psycopg.errors.UndefinedFunction:
        return False
    return True


def _keys(table: dict[str, Any]) -> list[str]:
    """What names a row: the primary key, or its place."""
    return table["keys"] or (["tableoid::pg_catalog.regclass", "ctid"] if table["kind"] == "p" else ["ctid"])


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
        return with_condition(conn, suspect)
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
            period=constraint["period"],
            full=constraint["match_full"],
        )
        noticed = "; 18.4 notices only what nothing overlaps" if constraint["period"] else ""
        return with_condition(conn, replace(found, what=f"{found.what} ({suspect.constraint}){noticed}"))
    if constraint["kind"] == "n":
        column = constraint["columns"][0].replace('"', '""')
        return replace(suspect, where=f'"{column}" IS NULL', sqlstate="23502")
    return replace(suspect, where=f"NOT ({constraint['expression']})") if constraint["expression"] else None


def _unknown(suspect: Suspect, reason: str) -> Violation:
    return Violation(suspect.statement, suspect.table, suspect.what, suspect.sqlstate, None, reason=reason)
