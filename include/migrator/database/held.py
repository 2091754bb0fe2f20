"""The door to rows of tables that others own: the tables are held, then asked for their owners' code, then planned.

Who asks first and plans afterwards is not safe: an owner makes an index in a transaction that is open still, and
commits it while the plan waits for a lock of his. So the lock comes first. SHARE UPDATE EXCLUSIVE, which ANALYZE takes
too, lets everybody read and write, but nobody make an index, statistics or a rule, rename or exchange the table. Our
own tables and those of superusers need none: nobody else can hang anything onto them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from types import TracebackType
from typing import Any

import psycopg
from psycopg import errors as server
from psycopg import sql as quoting

from migrator.database import naming, owners_code, queries, session
from migrator.database.session import Endpoint
from migrator.errors import Refused

UNABLE = (server.LockNotAvailable, server.InsufficientPrivilege)
WAIT_MS = 3000
"""Longer than deadlock_timeout: an autovacuum that is in the way is cancelled by then."""
UNLOCKABLE = "somebody else owns the table, and it may not be locked: that takes UPDATE, DELETE or TRUNCATE on it"
_LOCKABLE = ("r", "p")


def hold(conn: psycopg.Connection[Any], names: Collection[str]) -> None:
    """Until the caller's transaction ends, a statement on these tables, as the target's path finds them, runs no code
    of their owners when it is planned. Not in REPEATABLE READ, which does not see what is there by now.

    :raises Refused: it does already, or somebody else owns one that we may not lock.
    :raises psycopg.errors.LockNotAvailable: somebody keeps it.
    """
    found = _family(conn, names)
    foreign = [one for one in found if not one["ours"]]
    if foreign:
        if any(one["kind"] not in _LOCKABLE for one in foreign):
            raise Refused("it reads what is no table: to plan it would run functions of its owner")
        try:
            _lock(conn, foreign)
        except server.InsufficientPrivilege:
            raise Refused(UNLOCKABLE) from None
        if _family(conn, names) != found:
            raise Refused("somebody else changes the table at this moment")
    if owners_code.planned_with(conn, [one["relation"] for one in found]):
        raise Refused("to plan it would run functions of the table's owner, of an index or the like")


class Beside:
    """A session of its own that holds a table for no longer than another one plans to read it: the reading itself may
    take hours. It is opened when it is needed first."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._conn: psycopg.Connection[Any] | None = None

    def __enter__(self) -> Beside:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        if self._conn is not None:
            self._conn.close()

    def plan(self, name: str, plan: Callable[[], object]) -> bool:
        """Whether `plan` was called: not if planning a query on this table alone would run its owner's code, or nobody
        can be kept from adding some."""
        if self._conn is None:
            self._conn = session.connect(self._endpoint, purpose="validate", lock_timeout_ms=WAIT_MS)
        text = queries.load(__package__, "held")["table"]
        with self._conn.transaction(force_rollback=True):
            found = naming.ask(self._conn, text, {"name": name}).named
            if not found or found[0]["kind"] != "r":
                return False
            try:
                with self._conn.transaction():
                    _lock(self._conn, found)
            except UNABLE:
                return False
            oid = found[0]["relation"]
            if naming.ask(self._conn, text, {"name": name}).named != found:
                return False
            if oid in owners_code.read_by_planning(self._conn, [oid]):
                return False
            plan()
        return True


def _family(conn: psycopg.Connection[Any], names: Collection[str]) -> list[dict[str, Any]]:
    if not names:
        return []
    return naming.ask(conn, queries.load(__package__, "held")["family"], {"names": sorted(names)}).named


def _lock(conn: psycopg.Connection[Any], tables: Collection[dict[str, Any]]) -> None:
    listed = quoting.SQL(", ").join(
        quoting.SQL("only {}").format(quoting.Identifier(one["schema_name"], one["table_name"])) for one in tables
    )
    conn.execute(quoting.SQL("lock table {} in share update exclusive mode").format(listed))
