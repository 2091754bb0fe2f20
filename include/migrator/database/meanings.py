"""Settings that change what a text means, or what a value is written or stored as.

A database and a role may have any of them (ALTER DATABASE ... SET), and a restored copy has none of those. So what is
no business of a target's is the same in every session of ours; what it means on purpose is rehearsed with its own
value; and what only superusers may set keeps the SQL of migrations out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
from psycopg import sql as quoting

from migrator.database import queries
from migrator.errors import Refused

PINNED: Mapping[str, str] = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "timezone_abbreviations": "Default",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "xmloption": "content",
    "array_nulls": "on",
    "transform_null_equals": "off",
    "standard_conforming_strings": "on",
    "backslash_quote": "safe_encoding",
    "gin_fuzzy_search_limit": "0",
    "row_security": "on",
    "check_function_bodies": "on",
    # Placeholders until PL/pgSQL is loaded, which takes their values over.
    "plpgsql.check_asserts": "on",
    "plpgsql.extra_errors": "none",
    # Definitions as the server writes them are compared between servers.
    "quote_all_identifiers": "off",
    # What the server says is read, and an error of a statement's is no lost connection.
    "client_min_messages": "notice",
    "exit_on_error": "off",
}
"""PostgreSQL's defaults, but for the time zone and the order of a date's parts."""

PINNED_SINCE_16: Mapping[str, str] = {"createrole_self_grant": ""}

TARGETS_OWN = (
    "default_text_search_config",
    "default_table_access_method",
    "default_tablespace",
    "default_toast_compression",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
)
"""By which a target stores on purpose."""

SUPERUSERS: Mapping[str, str] = {
    "session_replication_role": "origin",
    "lo_compat_privileges": "off",
    "event_triggers": "on",
    "plpgsql.variable_conflict": "error",
    "ignore_system_indexes": "off",
    "ignore_checksum_failure": "off",
    "zero_damaged_pages": "off",
}
"""Those that decide which triggers fire, which rights hold, what a name in a function means, and which rows are read,
with their defaults. NULL for one that the release does not have, or of a language that nobody has loaded."""

ROLE = "role"
LOOKED_AT = (ROLE, *SUPERUSERS)
"""Before anything is set."""


def of_target(conn: psycopg.Connection[Any]) -> dict[str, str]:
    """Its own values, as a session of ours has them."""
    rows = conn.execute(queries.load(__package__, "meanings")["values"], {"names": list(TARGETS_OWN)}).fetchall()
    return dict(rows)


def taken(conn: psycopg.Connection[Any], wanted: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Which of a target's values this database can have, and about each other one a sentence."""
    fitting, told = {}, []
    for name, value in wanted.items():
        try:
            with conn.transaction(force_rollback=True):
                conn.execute("SELECT pg_catalog.set_config(%s, %s, true)", (name, value))
        except psycopg.errors.Error as exc:
            if exc.sqlstate is None:
                raise
            told.append(f"{name} is {value!r} on the target, which the server for restored copies cannot have")
            continue
        fitting[name] = value
    return fitting, tuple(told)


def changed(conn: psycopg.Connection[Any], rehearsed: Mapping[str, str]) -> tuple[str, ...]:
    """What the target has otherwise than when its snapshot was taken."""
    now = of_target(conn)
    return tuple(
        f"{name} was {value!r}, is {now[name]!r}"
        for name, value in rehearsed.items()
        if name in now and now[name] != value
    )


def require_usual(
    conn: psycopg.Connection[Any], given: Mapping[str, str | None], *, role: str | None, label: str
) -> None:
    """:param given: what the session had of `LOOKED_AT` before anything was set. :param role: whom the target's
    configuration names.

    :raises Refused: with the statements that end it.
    """
    wanted = {**SUPERUSERS, **({} if role or given.get(ROLE) == conn.info.user else {ROLE: "none"})}
    odd = {name: value for name, value in given.items() if name in wanted and value not in (None, wanted[name])}
    if not odd:
        return
    lines = []
    for name, value in odd.items():
        why = (
            'say "role" in the target\'s configuration if it is meant, and in any case'
            if name == ROLE
            else f"only superusers may set it, and rehearsed was {wanted[name]!r}; let one run"
        )
        lines.append(f"- {name} is {value!r}: {why} {'; '.join(_ends(conn, name))}")
    raise Refused("\n".join([f"SQL would mean something else on {label} than on a copy:", *lines]))


def _ends(conn: psycopg.Connection[Any], name: str) -> Iterable[str]:
    rows = conn.execute(queries.load(__package__, "meanings")["set_at"], {"name": name}).fetchall()
    for database, role in rows:
        who = f"ROLE {quoting.Identifier(role).as_string(conn)}" if role else "ROLE ALL"
        where = quoting.Identifier(database).as_string(conn) if database else ""
        if where and role:
            yield f"ALTER {who} IN DATABASE {where} RESET {name}"
        else:
            yield f"ALTER DATABASE {where} RESET {name}" if where else f"ALTER {who} RESET {name}"
    if not rows:
        yield f"ALTER SYSTEM RESET {name}, or take it out of postgresql.conf or the options of the connection"
