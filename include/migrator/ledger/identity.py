"""Is this the database that wrote the ledger, or a restored backup or clone of it?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from migrator.database import queries, session
from migrator.database.session import Connection
from migrator.errors import EnvironmentFault
from migrator.ledger.rows import LedgerIdentity


@dataclass(frozen=True)
class DatabaseIdentity:
    """What the server says about itself now."""

    system_identifier: str
    database_oid: int
    database_name: str
    timeline: str | None
    """None where the service does not let us read it; then it is not compared."""


def of_database(connection: Connection) -> DatabaseIdentity:
    """Ask the server. Needs autocommit: a refused question must not break a transaction.

    :raises EnvironmentFault: on a standby, which cannot be migrated.
    """
    texts = queries.load("migrator.database", "session")
    with session.translated():
        row = connection.execute(texts["identity"]).fetchone()
    if row is None or row[2]:
        raise EnvironmentFault("this server is a standby and read-only; point the connection to the primary")
    return DatabaseIdentity(
        system_identifier=session.system_identifier(connection),
        database_oid=row[0],
        database_name=row[1],
        timeline=_timeline(connection, texts["timeline"]),
    )


def differences(ledger: LedgerIdentity, database: DatabaseIdentity) -> tuple[str, ...]:
    """Why `database` is not the one that wrote `ledger`; empty when it is. A rename is no reason."""
    found: list[str] = []
    if ledger.system_identifier != database.system_identifier:
        found.append(
            f"the ledger was written on cluster {ledger.system_identifier}, this is {database.system_identifier}"
        )
    if ledger.database_oid != database.database_oid:
        found.append(
            f'the ledger was written in database "{ledger.database_name}" (oid {ledger.database_oid}), '
            f'this is "{database.database_name}" (oid {database.database_oid})'
        )
    if not found and ledger.timeline and database.timeline and ledger.timeline != database.timeline:
        found.append(
            f"the cluster went from timeline {ledger.timeline} to {database.timeline}: a standby was promoted, or the "
            "database was recovered to an earlier point in time"
        )
    return tuple(found)


def _timeline(connection: Connection, query: str) -> str | None:
    try:
        row: tuple[Any, ...] | None = connection.execute(query).fetchone()
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.FeatureNotSupported):
        return None
    return str(row[0]) if row else None
