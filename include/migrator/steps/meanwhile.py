"""Has anybody changed what a step's statements may run, since the gates have looked?

A statement may wait for a lock for as long as its time-outs allow. Whoever keeps it waiting sees in pg_locks that the
gates are passed, and could exchange a function or a trigger now, and put it back afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from migrator.database import queries, session
from migrator.database.session import Connection, Endpoint
from migrator.errors import DriftDetected

SHOWN = 5


class Meanwhile:
    """From the moment on in which it is made, which is before the gates look."""

    def __init__(self, endpoint: Endpoint, look: Callable[[], None] = lambda: None) -> None:
        """
        :param look: compares what the migration may run with what was rehearsed, and raises.
        """
        self._endpoint = endpoint
        self._look = look
        self._moment = _now(endpoint)

    def require_unchanged(self, conn: Connection | None = None) -> None:
        """In the open transaction of `conn`, right before its end; without it, before a statement that takes effect by
        itself, from a session whose path the migration has not set.

        :raises DriftDetected: somebody else has.
        """
        with ExitStack() as stack:
            conn = conn or stack.enter_context(session.connect(self._endpoint, purpose="observe"))
            stack.enter_context(session.translated())
            found = conn.execute(queries.load(__package__, "meanwhile")["changed"], {"moment": self._moment}).fetchall()
        changed = tuple(str(what) for (what,) in found)
        if not changed:
            return
        more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
        raise DriftDetected(
            "while this step was being executed somebody else has changed what it may run, so it goes no further:"
            f" {', '.join(changed[:SHOWN])}{more}. find out who did it, then clear this task with Downstream",
            differences=changed,
        )

    def go_on(self, *, watched: bool = True) -> None:
        """The migration has committed something itself: from now on it counts as there.

        :param watched: False: nobody has looked right before it took effect, so what others did meanwhile is not known.
        :raises DriftDetected: see `look`.
        """
        self._moment = _now(self._endpoint)
        if not watched:
            self._look()


def _now(endpoint: Endpoint) -> str:
    with session.connect(endpoint, purpose="observe") as conn, session.translated():
        row = conn.execute(queries.load(__package__, "meanwhile")["now"]).fetchone()
    assert row is not None
    return str(row[0])
