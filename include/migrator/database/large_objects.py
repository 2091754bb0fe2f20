"""The large objects of a database in two numbers: one for their content, one for who may do what with them."""

from __future__ import annotations

from typing import Any

import psycopg

from migrator.database import plain, queries
from migrator.evidence import TableFingerprint

NAME = "large objects"


def content(conn: psycopg.Connection[Any]) -> TableFingerprint:
    """Their count, and an order-free hash of their numbers and bytes. Reads everything that the role may read; what it
    may not is there by its number alone."""
    with plain.as_they_lie(conn):
        count, found = conn.execute(queries.load(__package__, "large_objects")["content"]).fetchall()[0]
    return TableFingerprint(NAME, int(count), str(found))


def rights(conn: psycopg.Connection[Any]) -> str:
    """A hash of their owners, grants and comments."""
    with plain.as_they_lie(conn):
        return str(conn.execute(queries.load(__package__, "large_objects")["rights"]).fetchall()[0][0])
