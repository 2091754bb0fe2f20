"""Is what lies in the ledger's schema what the engine has made there, and does nothing reach into it from elsewhere?

Snapshot, drift and verify leave the ledger's schema out, so a trigger, a rule or a child table there would be seen by
nobody. What has to be there comes from the engine: `ledger_shape_<layout>.json`, which a test compares with a fresh
ledger on every major. Nothing is ever learnt from the database that is looked at.

Owners and grants are described by policy: relations and functions have one owner, whichever that is; others may read
and nothing more.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from importlib import resources
from typing import Any

import psycopg

from migrator.database import queries
from migrator.database.session import Connection
from migrator.ledger.connection import fetch

Line = tuple[str, str, str]
"""Kind, name and description of one object."""

SHOWN = 5


@functools.cache
def expected(layout: int) -> tuple[Line, ...]:
    """What a ledger of this layout consists of."""
    text = (resources.files(__package__) / f"ledger_shape_{layout}.json").read_text(encoding="utf-8")
    return tuple((kind, name, text) for kind, name, text in json.loads(text))


def read(connection: Connection, schema: str) -> tuple[Line, ...]:
    """What there is now, as this connection's transaction sees it, its own uncommitted changes included. Sets the path
    of the transaction: whatever was in it before could change how definitions are printed."""
    connection.execute("SET LOCAL search_path = pg_catalog, pg_temp")
    return tuple((row["kind"], row["name"], row["text"]) for row in ask(connection, "shape", schema=schema))


def is_there(connection: Connection, schema: str, layout: int) -> bool:
    """Whether this connection's transaction sees every relation of a ledger of this layout, of whatever shape."""
    wanted = {name for kind, name, _ in expected(layout) if kind == "relation"}
    return wanted <= {row["name"] for row in ask(connection, "relations", schema=schema)}


def problems(found: Iterable[Line], layout: int) -> tuple[str, ...]:
    """Every object that is missing, altered or too many. Pure."""
    wanted, there = set(expected(layout)), set(found)
    if not there:
        return ("the ledger's schema is gone, or empty",)
    missing = {(kind, name): text for kind, name, text in wanted - there}
    result = []
    for kind, name, text in sorted(there - wanted):
        before = missing.pop((kind, name), None)
        told = f"{kind} {name} is not the engine's ({text})" if before is None else f"{kind} {name} was altered: {text}"
        result.append(told if before is None else f"{told}, instead of {before}")
    result += [f"{kind} {name} is gone ({text})" for (kind, name), text in sorted(missing.items())]
    return tuple(result)


def told(found: tuple[str, ...]) -> str:
    """The first few, for a message."""
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return "; ".join(found[:SHOWN]) + more


def ask(connection: Connection, name: str, *, schema: str) -> list[dict[str, Any]]:
    """Rows of a query of shape.sql. Its texts hold braces, so no name is put in: all of them take the schema's."""
    query = psycopg.sql.SQL(queries.load(__package__, "shape")[name])
    return fetch(connection, psycopg.sql.Composed([query]), {"schema": schema})
