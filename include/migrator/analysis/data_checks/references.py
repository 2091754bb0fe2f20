"""Rows that refer to nothing, compared as the key itself compares: by the operators of its operator class.

An operator with its schema alone may be another one for other types, so both sides are converted to those of the
operator, which is then the only one that fits exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from migrator.analysis.data_checks.catalogue import row, rows
from migrator.analysis.data_checks.suspects import EQUAL, OVERLAPS, Suspect, quoted
from migrator.database.session import Connection


def with_condition(conn: Connection, suspect: Suspect) -> Suspect | None:
    """The suspect with its condition; None: `referenced` is not there, or has no primary key.

    :param suspect: one of `suspects.orphans`.
    """
    referenced, keys = suspect.referenced or "", suspect.keys
    if not keys:
        other = row(conn, "table", name=referenced)
        if other is None or not other["keys"]:
            return None
        keys = tuple(key.strip('"').replace('""', '"') for key in other["keys"])
    asked = rows(
        conn, "equality", table=suspect.table, columns=list(suspect.columns), referenced=referenced, keys=list(keys)
    )
    here = [f"{suspect.table}.{quoted(column)}" for column in suspect.columns]
    there = [f"referenced.{quoted(column)}" for column in keys]
    equal = [f"{that} {EQUAL} {this}" for that, this in zip(there, here, strict=False)]
    for number, found in enumerate(asked if len(asked) == len(equal) else ()):
        if found["operator"]:
            left, right = f"{there[number]}::{found['key_type']}", f"{here[number]}::{found['type']}"
            equal[number] = f"{left} {found['operator']} {right}"
    return replace(suspect, where=_where(suspect, here, there, equal, keys), referenced=None, ours=True)


def _where(
    suspect: Suspect, here: Sequence[str], there: Sequence[str], equal: Sequence[str], keys: Sequence[str]
) -> str:
    listed, referenced = ", ".join(map(quoted, keys)), suspect.referenced
    both = f"(SELECT {listed} FROM {referenced} UNION ALL SELECT {listed} FROM {suspect.also})"  # noqa: S608
    source = both if suspect.also else str(referenced)
    filled = " AND ".join(f"{column} IS NOT NULL" for column in here)
    where = f"{filled} AND NOT {_referred(here, there, equal, source, period=suspect.period)}"
    if suspect.full and len(here) > 1:
        null = " OR ".join(f"{column} IS NULL" for column in here)
        where = f"({where}) OR (({null}) AND NOT ({null.replace(' OR ', ' AND ')}))"
    return where


def _referred(here: Sequence[str], there: Sequence[str], equal: Sequence[str], source: str, *, period: bool) -> str:
    """Of a PERIOD as the server asks: RI_FKey_check in src/backend/utils/adt/ri_triggers.c."""
    if not period:
        return f"EXISTS (SELECT FROM {source} AS referenced WHERE {' AND '.join(equal)})"
    pairs = [*equal[:-1], f"{there[-1]} {OVERLAPS} {here[-1]}"]
    covering = f"SELECT {there[-1]} AS period FROM {source} AS referenced WHERE {' AND '.join(pairs)}"  # noqa: S608
    inside = f"{here[-1]} OPERATOR(pg_catalog.<@) pg_catalog.range_agg(one.period)"
    return f"EXISTS (SELECT FROM ({covering}) AS one HAVING {inside})"
