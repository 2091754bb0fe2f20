"""Has anybody changed what a step's statements may run, since the gates have looked?

A statement may wait for a lock for as long as its time-outs allow. Whoever keeps it waiting sees in pg_locks that the
gates are passed, and could exchange a function or a trigger now, and put it back afterwards.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg
from psycopg import sql as quoting

from migrator.database import queries, session
from migrator.database.session import Endpoint
from migrator.errors import CommitUnknown, DriftDetected, NeedsHuman
from migrator.lock_modes import MODES, blocks_writes, strength
from migrator.plan import PredictedLock

SHOWN = 5
_OF_TOAST = re.compile(r"(pg_toast_)\d+")
"""Named by numbers of a database, which its copy does not have."""
PREPARED_AFTER = 3
"""Planning takes longer than the rest. Not in the step's own session: there, others could exchange what is prepared."""
QUERIES = queries.load(__package__, "meanwhile")
_RELATIONS = "pg_class"
_BEFORE = "migrator_before_lock"

_INDEX = "pg_index"
_MAKES = {"CREATE INDEX CONCURRENTLY": frozenset({_INDEX}), "DROP INDEX CONCURRENTLY": frozenset[str]()}
"""Where a statement that commits by itself makes rows, by its kind. Indexes run nothing: any of them may drop some."""
_OF_TABLES = frozenset(
    {_INDEX, "pg_attribute", "pg_class", "pg_constraint", "pg_inherits", "pg_partitioned_table", "pg_trigger"}
)
"""Where all others do: VACUUM, REINDEX, DETACH PARTITION CONCURRENTLY. None makes a function, or a type."""


class Meanwhile:
    """From the moment on in which it is entered, which is before the gates look.

    What the migration writes itself counts as there once it is committed, and nothing else does: there is no moment in
    which somebody could change anything without being compared.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        look: Callable[[], None] = lambda: None,
        written: Callable[[str, int], Collection[str] | None] = lambda step, done: None,
    ) -> None:
        """
        :param look: compares what the migration may run with what was rehearsed, and raises.
        :param written: digests of what a step's leading statements, so many, have written last when they were
            rehearsed; None: nobody knows.
        """
        self._endpoint = endpoint
        self.look = look
        self._rehearsed = written

    def __enter__(self) -> Meanwhile:
        """A session of its own, so that nobody waits for one while locks are held."""
        self._conn = session.connect(self._endpoint, purpose="observe")
        self._conn.prepare_threshold = PREPARED_AFTER
        with session.translated(), self._conn.transaction(force_rollback=True):
            self._conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            ((oldest,),) = self._conn.execute(QUERIES["now"]).fetchall()
            self._oldest = str(oldest)
            self._base = _Moment(*self._seen(self._conn), _relations(self._conn))
        return self

    def __exit__(self, *exc: object) -> None:
        self._conn.close()

    def ready(self, conn: psycopg.Connection[Any]) -> None:
        """Before a transaction that takes locks: see `GuardedLedger.ready`."""
        with session.translated():
            self._seen(conn)

    def require_unchanged(self) -> None:
        """Before a statement that takes effect by itself, and in a transaction that has written to no catalog.

        :raises DriftDetected: somebody else has.
        """
        with session.translated():
            self._refuse(self._changed(self._seen(self._conn)))

    def lock_first(
        self,
        conn: psycopg.Connection[Any],
        locks: Collection[PredictedLock],
        patience_ms: Callable[[int], int] = lambda most: most,
    ) -> None:
        """Before a statement of a step's transaction: what it is known to lock is locked now, so that it runs what is
        looked at here. Else it would wait for its lock with the code that it will find then.

        What may not be locked so, or is no table, is left to the statement; it is looked at before COMMIT.

        :param patience_ms: for how long to wait for each, given the session's lock_timeout.

        :raises DriftDetected: somebody else has changed something.
        """
        if not locks:
            return
        named = {"relations": [lock.relation for lock in locks], "modes": [lock.mode for lock in locks]}
        found = self._conn.execute(QUERIES["lockable"], named).fetchall()
        if found:
            ((usual,),) = conn.execute(QUERIES["lock_timeout"]).fetchall()
        locked: set[str] = set()
        for name, modes in _by_table(found).items():
            for mode in modes:
                patience = patience_ms(usual) if blocks_writes(mode) else usual
                if name not in locked and _lock(conn, name, mode, patience, usual):
                    locked.add(name)
        self.require_unchanged()

    @contextmanager
    def committing(self, conn: psycopg.Connection[Any]) -> Iterator[None]:
        """Around the COMMIT of a step's transaction. It runs deferred triggers that others defer, which may wait.

        :raises DriftDetected: somebody else has; nothing is committed. :raises NeedsHuman: while it was committed.
        """
        with session.translated():
            after = self._within(conn)
        self.require_unchanged()
        try:
            yield
        except CommitUnknown:  # if it took effect, it is there
            self._base = after
            raise
        self._base = after
        with session.translated():
            changed = self._changed(self._seen(self._conn))
        if changed:
            raise NeedsHuman(
                "while this was committed somebody else has changed what COMMIT may run, in a deferred trigger:"
                f" {_shown(changed)}. what it has committed stays: find out who did it and what it did, then clear the"
                " task with Downstream, or roll the migration back"
            )

    def went_on(self, kind: str) -> None:
        """A statement has taken effect by itself: what only it can have written counts as there.

        :raises DriftDetected: somebody else has changed something while it ran.
        """
        with session.translated():
            now = self._seen(self._conn)
            self._refuse(self._changed(now, besides=_MAKES.get(kind, _OF_TABLES)))
            self._base = self._moment(now, self._conn)

    def begin_anew(self) -> tuple[str, ...]:
        """Whatever is there now counts as there; only states are compared. So where a procedure has committed by
        itself, whose rows nobody can tell from others'; and where others have changed what long work cannot reach.

        :returns: what was written since, put back or not.
        :raises DriftDetected: see `look`.
        """
        with session.translated():
            now = self._seen(self._conn)
            written = self._written(now)
            self._base = self._moment(now, self._conn)
        self.look()
        return written

    def committed_by_itself(self, step: str, done: int, hears: Callable[[str], bool]) -> None:
        """A procedure has committed, of the migration's rows and of who knows whose.

        :raises NeedsHuman: something was written that it did not write when it was rehearsed. It may be put back.
        """
        written = self.begin_anew()
        known = self._rehearsed(step, done)
        strange = tuple(one for one in written if known is not None and hears(one) and digests([one])[0] not in known)
        if strange:
            raise NeedsHuman(
                "while this committed by itself somebody else has changed what it may run, and may have put it back:"
                f" {_shown(strange)}. what it has committed stays: find out who did it and what it did, then clear the"
                " task with Downstream, or roll the migration back"
            )

    def _within(self, conn: psycopg.Connection[Any]) -> _Moment:
        """As it will be after COMMIT, read as the login role, as by the observing session."""
        if self._endpoint.role is None:
            return self._moment(self._seen(conn), conn)
        conn.execute("SET LOCAL ROLE NONE")
        found = self._moment(self._seen(conn), conn)
        conn.execute(quoting.SQL("SET LOCAL ROLE {}").format(quoting.Identifier(self._endpoint.role)))
        return found

    def _moment(self, seen: _Seen, conn: psycopg.Connection[Any]) -> _Moment:
        same = all(row.catalog != _RELATIONS for row in seen.rows - self._base.rows)
        return _Moment(*seen, self._base.relations if same else _relations(conn))

    def _seen(self, conn: psycopg.Connection[Any]) -> _Seen:
        found = conn.execute(QUERIES["written"], {"oldest": self._oldest}).fetchall()
        rows = frozenset(_Row(*row) for row in found if row[1] is not None)
        return _Seen(rows, {catalog: int(number) for catalog, kind, _, number in found if kind is None})

    def _changed(self, now: _Seen, *, besides: frozenset[str] | None = None) -> tuple[str, ...]:
        """
        :param besides: where the statement that has just committed by itself makes rows.
        """
        dropped = [
            f"something was dropped: fewer rows in {catalog}"
            for catalog, number in self._base.counts.items()
            if now.counts.get(catalog, 0) < number and (besides is None or catalog not in besides | {_INDEX})
        ]
        return (*self._written(now, besides or ()), *dropped)

    def _written(self, now: _Seen, besides: Collection[str] = ()) -> tuple[str, ...]:
        before = self._base
        rows = [row for row in now.rows - before.rows if row.catalog not in besides]
        if any(row.catalog == _RELATIONS for row in rows):
            relations = _relations(self._conn)
            rows = [
                row
                for row in rows
                if row.catalog != _RELATIONS or relations.get(row.object) != before.relations.get(row.object)
            ]
        return self._told(rows)

    def _told(self, rows: Collection[_Row]) -> tuple[str, ...]:
        if not rows:
            return ()
        catalogs, kinds, objects, _ = zip(*rows, strict=True)
        named = {"catalogs": list(catalogs), "classes": list(kinds), "objects": list(objects)}
        return tuple(dict.fromkeys(str(what) for (what,) in self._conn.execute(QUERIES["told"], named).fetchall()))

    def _refuse(self, changed: tuple[str, ...]) -> None:
        if changed:
            raise DriftDetected(
                "while this step was being executed somebody else has changed what it may run, so it goes no further:"
                f" {_shown(changed)}. find out who did it, then clear this task with Downstream",
                differences=changed,
            )


def digests(written: Collection[str]) -> tuple[str, ...]:
    """What is called so, in every database; names may be made of rows."""
    return tuple(sorted({hashlib.sha256(_OF_TOAST.sub(r"\1", one).encode()).hexdigest()[:16] for one in written}))


def _shown(changed: tuple[str, ...]) -> str:
    more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
    return f"{', '.join(changed[:SHOWN])}{more}"


def _by_table(found: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """In the same order, the strongest mode first: who takes a weaker one before meets another who does the same."""
    modes: dict[str, list[str]] = {}
    for name, mode in found:
        if mode in MODES:
            modes.setdefault(name, []).append(mode)
    return {name: sorted(wanted, key=strength, reverse=True) for name, wanted in modes.items()}


def _lock(conn: psycopg.Connection[Any], table: str, mode: str, patience_ms: int, usual_ms: int) -> bool:
    lock = f"LOCK TABLE ONLY {table} IN {mode} MODE"
    if patience_ms != usual_ms:
        lock = f"SET LOCAL lock_timeout = {patience_ms}; {lock}; SET LOCAL lock_timeout = {usual_ms}"
    try:
        conn.execute(f"SAVEPOINT {_BEFORE}; {lock}; RELEASE {_BEFORE}".encode())
    except psycopg.ProgrammingError:  # no right to, or the transaction has dropped it
        conn.execute(f"ROLLBACK TO {_BEFORE}; RELEASE {_BEFORE}".encode())
        return False
    return True


def _relations(conn: psycopg.Connection[Any]) -> dict[int, str]:
    return dict(conn.execute(QUERIES["relations"]).fetchall())


class _Row(NamedTuple):
    catalog: str
    kind: int
    """The catalog of the object that it is about."""
    object: int
    writer: str
    """Its transaction; or a digest of what it says."""


class _Seen(NamedTuple):
    rows: frozenset[_Row]
    """Of transactions that may be of something that came after the gates."""
    counts: Mapping[str, int]
    """How many rows there are of each catalog."""


@dataclass(frozen=True)
class _Moment:
    rows: frozenset[_Row]
    counts: Mapping[str, int]
    relations: Mapping[int, str]
