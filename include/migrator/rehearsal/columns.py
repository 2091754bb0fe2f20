"""Which columns of a table are others after the rollback, and the triggers that set them. Names only."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import psycopg

from migrator.database import fingerprint, queries

QUERIES = queries.load(__package__, "columns")

_SETS = (
    r"(?:;|\bbegin\b|\bthen\b|\belse\b|\bloop\b)\s*new\s*\.\s*\"?{0}\"?\s*:?="
    r"|\binto\s+(?:strict\s+)?new\s*\.\s*\"?{0}\b"
)
"""A statement of PL/pgSQL; a comparison stands in the middle of one."""
MADE_ANEW = ": a row names things by their oids, and what is made anew has another one; let the rollback write it again"
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


def differing(
    before: psycopg.Connection[Any], now: psycopg.Connection[Any], table: str, columns: Collection[str]
) -> tuple[str, ...] | None:
    """None: no query may read it."""
    wanted, found = (fingerprint.by_column(conn, table, columns) for conn in (before, now))
    if wanted is None or found is None:
        return None
    return tuple(name for name in columns if wanted[name] != found[name])


def setters(conn: psycopg.Connection[Any], table: str, columns: Collection[str]) -> Mapping[str, str]:
    """The trigger that sets a column before each update, where its text or its arguments say so."""
    found: dict[str, str] = {}
    for trigger, source, arguments in conn.execute(QUERIES["before_update"], {"table": table}).fetchall():
        written = _COMMENT.sub(" ", source)
        given = str(arguments).split("\\000")
        for column in columns:
            sets = re.search(_SETS.format(re.escape(column)), written, re.IGNORECASE)
            if sets or column in given:
                found.setdefault(column, str(trigger))
    return found


def sentence(table: str, columns: Sequence[str], by: Mapping[str, str], tell: Callable[[str], str]) -> str:
    """:param by: as `setters` gives it. :param tell: what may be told of a name that came at run time."""
    if not columns:
        return "each column has the same values, in other rows"
    named = [f"{tell(one)}, which trigger {tell(by[one])} sets" if one in by else tell(one) for one in columns]
    verb = "differs" if len(columns) == 1 else "differ"
    text = f"column {', '.join(named)}{',' if columns[-1] in by else ''} {verb}"
    if not by:
        return text
    off = " and ".join(f"ALTER TABLE {table} DISABLE TRIGGER {tell(one)}" for one in dict.fromkeys(by.values()))
    return (
        f"{text}. write {off} before the change and ENABLE TRIGGER after it, or keep the old values and let the"
        " rollback give them back with the trigger disabled"
    )
