"""Has anybody changed what a step's statements may run, since the gates have looked?

A statement may wait for a lock for as long as its time-outs allow. Whoever keeps it waiting sees in pg_locks that the
gates are passed, and could exchange a function or a trigger now, and put it back afterwards.
"""

from __future__ import annotations

from migrator.database import queries, session
from migrator.database.session import Connection, Endpoint
from migrator.errors import DriftDetected

SHOWN = 5


def now(endpoint: Endpoint) -> str:
    """To be asked before the gates look."""
    with session.connect(endpoint, purpose="observe") as conn, session.translated():
        row = conn.execute(queries.load(__package__, "meanwhile")["now"]).fetchone()
    assert row is not None
    return str(row[0])


def require_unchanged(conn: Connection, moment: str) -> None:
    """In the open transaction, right before its end.

    :raises DriftDetected: somebody else has.
    """
    with session.translated():
        rows = conn.execute(queries.load(__package__, "meanwhile")["changed"], {"moment": moment}).fetchall()
    changed = tuple(str(what) for (what,) in rows)
    if not changed:
        return
    more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
    raise DriftDetected(
        "while this step was being executed somebody else has changed what it may run, so it is rolled back:"
        f" {', '.join(changed[:SHOWN])}{more}. find out who did it, then clear this task with Downstream",
        differences=changed,
    )
