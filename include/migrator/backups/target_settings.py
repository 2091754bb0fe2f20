"""What the target's database and role give each session of the migration: `ALTER DATABASE ... SET app.tenant = 'acme'`.

No dump has them, and SQL that asks for them does something else without them. They may be secrets, so their values lie
beside the dump, in `settings.json` with its rights, and documents have the names only. The rehearsal's sessions begin
with them, as parameters of the connection: then RESET and SET ... TO DEFAULT lead back to them as on the target, and
who may not give a database custom settings (ALTER DATABASE wants SET on the parameter) may still begin with them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from migrator.database import queries, session
from migrator.database.session import Connection, Endpoint

NAME = "settings.json"

PATH = "search_path"
DEFAULT_PATH = '"$user", public'
OWN = re.compile(r'"\$user"')

NEVER = frozenset({"role", "session_authorization"})
"""The copy's role stands for whoever the target's is."""

MEANS_NOTHING = re.compile(
    r"(log|track|vacuum|autovacuum|auto_explain|pg_stat_statements|pgaudit|pg_qualstats)([._]|\Z)"
)
"""What is only written down, or counted: where it cannot be set, nothing is another."""


def read(conn: Connection) -> dict[str, str]:
    """Of a session with the target as the migration's role; all but the search path."""
    with session.translated():
        found = conn.execute(_query("of_target")).fetchall()
    return {str(name): str(value) for name, value in found if name.lower() != PATH}


def path_of(conn: Connection) -> str:
    """What RESET search_path leads to, "" where that is what it leads to everywhere. It is names, so no secret."""
    with session.translated():
        ((path, own),) = conn.execute(_query("path")).fetchall()
    resolved = str(path) if own is None else OWN.sub(lambda _: str(own), path)
    return "" if resolved == DEFAULT_PATH else resolved


def write(settings: Mapping[str, str], folder: Path) -> None:
    """Beside the dump, before its manifest is made."""
    if not settings:
        return
    path = folder / NAME
    path.touch(mode=0o600)
    path.write_text(json.dumps(dict(settings), sort_keys=True), encoding="utf-8")


def parse(text: bytes) -> dict[str, str]:
    return {str(name): str(value) for name, value in json.loads(text).items()}


def settable(settings: Mapping[str, str], copies: Endpoint) -> dict[str, str]:
    """Those with which a role of the copies' server may begin a session."""
    with session.connect(copies, purpose="dry_run") as conn:
        return {name: value for name, value in settings.items() if _can_be_set(name, value, conn)}


def missing(names: tuple[str, ...], given: Mapping[str, str]) -> tuple[str, ...]:
    """Those that may mean something, and are not given."""
    return tuple(name for name in names if name not in given and not MEANS_NOTHING.match(name.lower()))


def beginning_with(settings: Mapping[str, str], endpoint: Endpoint) -> Endpoint:
    """Its sessions have them from the start."""
    if not settings:
        return endpoint
    before = conninfo_to_dict(endpoint.conninfo).get("options")
    options = [str(before)] if before else []
    options += [f"-c {_escaped(f'{name}={value}')}" for name, value in settings.items()]
    return replace(endpoint, conninfo=make_conninfo(endpoint.conninfo, options=" ".join(options)))


def _escaped(text: str) -> str:
    """https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-OPTIONS"""
    return re.sub(r"([\\\s])", r"\\\1", text)


def _can_be_set(name: str, value: str, conn: Connection) -> bool:
    if name.lower() in NEVER:
        return False
    with session.translated():
        known = conn.execute(_query("context"), {"name": name}).fetchone()
    if known is not None and known[0] != "user":
        return False
    try:
        conn.execute(_query("try"), {"name": name, "value": value})
    except psycopg.Error:
        if conn.closed:
            raise
        return False
    return known is not None or "." in name


def _query(name: str) -> str:
    return queries.load(__package__, "target_settings")[name]
