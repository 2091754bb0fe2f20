"""How often tables were read in full and how many of their rows were changed, as the server's statistics count it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from migrator.database import queries

QUERIES = queries.load("migrator.database", "observe")

FLUSH_SECONDS = 1.5
"""PostgreSQL 14 reports statistics through a process of its own: after so long it has told all."""

EXACT_FROM = 150000
"""Sessions share their statistics, and report them when they are told to."""


@dataclass(frozen=True)
class Use:
    """What was done with a table so far: how often it was read in full, how many of its rows were changed, and how many
    of those deleted."""

    scans: int = 0
    changed: int = 0
    deleted: int = 0


UNUSED = Use()


def flush(conn: psycopg.Connection[Any]) -> None:
    """At the end of this transaction, at once, so that nobody takes its changes for a later one's."""
    if conn.info.server_version >= EXACT_FROM:
        conn.execute(QUERIES["flush_statistics"])


def before_commit(conn: psycopg.Connection[Any]) -> dict[int, Use] | None:
    """What all transactions before this one have done; None: this server tells it too late."""
    return _counts(conn, "use_so_far") if conn.info.server_version >= EXACT_FROM else None


def read(conn: psycopg.Connection[Any], transactional: bool) -> dict[int, Use]:
    """Of this transaction, or of all that have ended. A first difference may be of one that ended long before the last
    did, so 14 is given its time in any case."""
    if transactional:
        return _counts(conn, "use_of_transaction")
    if conn.info.server_version >= EXACT_FROM:
        flush(conn)
    else:
        time.sleep(FLUSH_SECONDS / 2)  # a session sends what it counted at most twice a second,
        conn.execute("SELECT 1")  # and only when one of its transactions ends,
        time.sleep(FLUSH_SECONDS / 2)  # and the answer to who asks may be half a second old
    return _counts(conn, "use_so_far")


def _counts(conn: psycopg.Connection[Any], query: str) -> dict[int, Use]:
    return {int(oid): Use(*counts) for oid, *counts in conn.execute(QUERIES[query]).fetchall()}


def more(use: Mapping[int, Use], before: Mapping[int, Use]) -> set[int]:
    """Tables of which rows have been changed since."""
    return {oid for oid, one in use.items() if one.changed > before.get(oid, UNUSED).changed}


def deleted(use: Mapping[int, Use], before: Mapping[int, Use]) -> set[int]:
    """Tables of which rows have been deleted since."""
    return {oid for oid, one in use.items() if one.deleted > before.get(oid, UNUSED).deleted}


def together(oid: int, *counted: Mapping[int, Use]) -> Use:
    found = [one.get(oid, UNUSED) for one in counted]
    return Use(changed=sum(one.changed for one in found), deleted=sum(one.deleted for one in found))
