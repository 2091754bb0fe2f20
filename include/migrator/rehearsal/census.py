"""What a migration's texts must leave alone on the server for restored copies: everything that is not in the copy."""

from __future__ import annotations

from collections.abc import Collection

from migrator.analysis.estimate.calibrate import DATABASE as CALIBRATION
from migrator.backups.copies import SUFFIXES
from migrator.database import queries, session
from migrator.database.session import Connection

Census = frozenset[tuple[str, str, str]]
"""Kind, name and description of each role, membership, database, setting, comment and tablespace."""


def take(conn: Connection, own: Collection[str]) -> Census:
    """As it is now, without the copies of others.

    :param own: the databases of the copy that is tried, its role is called like one of them; and its stand-ins.
    """
    parameters = {"own": list(own), "suffixes": list(SUFFIXES), "calibration": CALIBRATION}
    with session.translated():
        rows = conn.execute(queries.load(__package__, "census")["census"], parameters).fetchall()
    return frozenset((str(kind), str(name), str(text)) for kind, name, text in rows)


def differences(before: Census, after: Census) -> tuple[str, ...]:
    """In words, without the descriptions: settings may hold secrets. Pure."""
    were, are = ({(kind, name) for kind, name, _ in census} for census in (before, after))
    changed = {(kind, name) for kind, name, _ in before ^ after}
    return tuple(
        f"{kind} {name} {'is new' if key not in were else 'is gone' if key not in are else 'has changed'}"
        for key in sorted(changed)
        for kind, name in [key]
    )
