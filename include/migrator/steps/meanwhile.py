"""Has anybody changed what a step's statements may run, since the gates have looked?

A statement may wait for a lock for as long as its time-outs allow. Whoever keeps it waiting sees in pg_locks that the
gates are passed, and could exchange a function or a trigger now, and put it back afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from migrator.database import queries, session
from migrator.database.session import Endpoint
from migrator.errors import DriftDetected

SHOWN = 5
QUERIES = queries.load(__package__, "meanwhile")
_RELATIONS = "pg_class"


class Meanwhile:
    """From the moment on in which it is entered, which is before the gates look."""

    def __init__(self, endpoint: Endpoint, look: Callable[[], None] = lambda: None) -> None:
        """
        :param look: compares what the migration may run with what was rehearsed, and raises.
        """
        self._endpoint = endpoint
        self._look = look

    def __enter__(self) -> Meanwhile:
        """A session of its own, so that nobody waits for one while locks are held."""
        self._conn = session.connect(self._endpoint, purpose="observe")
        self._moment = self._now()
        return self

    def __exit__(self, *exc: object) -> None:
        self._conn.close()

    def require_unchanged(self, pid: int) -> None:
        """Right before the end of a transaction, or before a statement that takes effect by itself.

        :param pid: of the session that executes the step.
        :raises DriftDetected: somebody else has.
        """
        with session.translated():
            changed = self._changes(pid)
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
        self._moment = self._now()
        if not watched:
            self._look()

    def _now(self) -> _Moment:
        with session.translated(), self._conn.transaction(force_rollback=True):
            self._conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            ((oldest,),) = self._conn.execute(QUERIES["now"]).fetchall()
            rows = self._written(str(oldest), None)
            return _Moment(str(oldest), frozenset(rows), self._relations())

    def _changes(self, pid: int) -> tuple[str, ...]:
        before = self._moment
        counts = {row.catalog: row.number for row in before.rows if row.key is None}
        found = [
            row
            for row in self._written(before.oldest, pid)
            if row not in before.rows and (row.key is not None or row.number < counts.get(row.catalog, 0))
        ]
        relations = self._relations() if any(row.catalog == _RELATIONS for row in found) else {}
        changed = [
            f"{row.what}{row.catalog}" if row.key is None else row.what
            for row in found
            if row.catalog != _RELATIONS or row.key is None or relations.get(row.key) != before.relations.get(row.key)
        ]
        return tuple(dict.fromkeys(changed))

    def _written(self, oldest: str, pid: int | None) -> list[_Row]:
        rows = self._conn.execute(QUERIES["written"], {"oldest": oldest, "pid": pid}).fetchall()
        return [_Row(str(catalog), key, int(number), str(what)) for catalog, key, number, what in rows]

    def _relations(self) -> dict[int, str]:
        return dict(self._conn.execute(QUERIES["relations"]).fetchall())


class _Row(NamedTuple):
    catalog: str
    key: int | None
    """None: of all rows there."""
    number: int
    """Of the transaction; or how many rows there are."""
    what: str


@dataclass(frozen=True)
class _Moment:
    oldest: str
    """The oldest transaction under way, whose number and all later ones may be of something that comes afterwards."""
    rows: frozenset[_Row]
    """Of such transactions, which are there already; and how many there are of each catalog."""
    relations: Mapping[int, str]
