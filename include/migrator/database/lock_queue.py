"""Look who holds a table before a strong lock on it is queued for.

Everybody who comes after a queued lock waits behind it, also who would not have waited for those that hold the table.
So an old transaction is waited for outside of the queue, by looking again and again; who queues meets young ones only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

from psycopg.rows import kwargs_row

from migrator.database import queries, session
from migrator.database.activity import Blocker
from migrator.database.backoff import backoff
from migrator.database.lock_sampler import mode_name
from migrator.database.session import Connection, Endpoint
from migrator.errors import LockNotAvailable
from migrator.lock_modes import MODES, blocks_writes, conflicts, strength
from migrator.plan import PredictedLock

FIRST_LOOK_SECONDS = 0.05
LONGEST_LOOK_SECONDS = 1.0
YOUNG_SECONDS = 0.1
"""A transaction that is no older mostly ends before anybody notices that we stand in its queue."""
SHARE = 0.1
"""Of the time for which we have waited: a transaction of that age is queued behind, too, and for so long. So a table on
which somebody always works for half a second is not waited for without end."""

Told = Callable[[float, tuple[Blocker, ...]], object]
Ends = Callable[[Callable[[], Connection], tuple[Blocker, ...]], bool]


class LockQueue:
    """One wait for the locks of a step, tries included. A context manager, because it keeps a session once it looks."""

    def __init__(
        self,
        endpoint: Endpoint,
        pid_of: Callable[[], int],
        *,
        deadline_seconds: float,
        told: Told = lambda seconds, blockers: None,
        ends: Ends = lambda connect, blockers: False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """
        :param pid_of: the session that will queue.
        :param told: after each look that found somebody old, with the seconds since the first one; at the end with
            nobody.
        :param ends: some of these sessions, if it may; it says whether it has.
        """
        self._endpoint, self._pid_of, self._deadline = endpoint, pid_of, deadline_seconds
        self._told, self._ends, self._clock, self._sleep = told, ends, clock, sleep
        self._started = clock()
        self._seen: dict[str, float] = {}
        self._yielding = self._young = False
        self._connection: Connection | None = None

    def __enter__(self) -> LockQueue:
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def wait(self, locks: Collection[PredictedLock]) -> None:
        """Until no old transaction holds what these locks would wait for; at once where none of them is strong.

        :raises LockNotAvailable: at the deadline, with `blockers`. Nobody has waited for us.
        """
        began, look = self._clock(), 0
        if not self.old(locks) and self._young:  # is it over in a moment, or at its beginning?
            self._sleep(YOUNG_SECONDS)
        while old := self.old(locks):
            waited = self._clock() - began
            self._told(waited, old)
            if self._ends(self._looking, old):
                look = 0  # it lets go in a moment
            pause = backoff(look, first=FIRST_LOOK_SECONDS, longest=LONGEST_LOOK_SECONDS)
            if self._waited + pause > self._deadline:
                names = "; ".join(map(str, old))
                total = f"no lock after {self._waited:.1f} s, the last {waited:.1f} s"
                raise LockNotAvailable(f"{total} without standing in its queue: {names}", blockers=tuple(map(str, old)))
            self._sleep(pause)
            look += 1
        if look:
            self._told(self._clock() - began, ())

    def require_clear(self, locks: Collection[PredictedLock]) -> None:
        """Where locks are held already, with which nobody waits for an old transaction.

        :raises LockNotAvailable: there is one; take back what is done, and `wait`.
        """
        if old := self.old(locks):
            names = "; ".join(map(str, old))
            raise LockNotAvailable(f"not waited for while other locks are held: {names}", blockers=tuple(map(str, old)))

    def old(self, locks: Collection[PredictedLock]) -> tuple[Blocker, ...]:
        """Who holds what a strong one of these locks conflicts with, the oldest transaction first."""
        pairs = [
            (lock.relation, _in_catalog(held))
            for lock in locks
            if lock.mode in MODES and blocks_writes(lock.mode)
            for held in MODES
            if conflicts(lock.mode, held)
        ]
        self._yielding = self._young = False
        if not pairs:
            return ()
        patience, now = self._patience, self._clock()
        found = []
        for transaction, yields, blocker in self._holders(pairs):
            since = self._seen.setdefault(transaction, now)  # of others' transactions we may not see the age
            self._yielding = self._yielding or yields
            age = now - since if blocker.xact_age_seconds is None else blocker.xact_age_seconds
            if age > patience and not yields:
                found.append(blocker)
            self._young = self._young or (age <= patience and not yields)
        return tuple({blocker.pid: blocker for blocker in found}.values())

    def patience_ms(self, most: int) -> int:
        """For how long to stand in the queue now. An autovacuum makes way for who stands there long enough only.

        :param most: what the session's lock_timeout is; 0: none.
        """
        patience = round(self._patience * 1000)
        return most if self._yielding or 0 < most < patience else patience

    def held(self) -> tuple[tuple[str, str], ...]:
        """The strong locks that the session itself has now: relation and mode, the strongest of each. Told apart from
        what it has made itself, which this other session does not see."""
        with session.translated():
            query = queries.load(__package__, "activity")["held"]
            found = self._looking().execute(query, {"pid": self._pid_of()}).fetchall()
        modes: dict[str, str] = {}
        for relation, written in found:
            mode = mode_name(written)
            if relation not in modes or strength(mode) > strength(modes[relation]):
                modes[relation] = mode
        return tuple(modes.items())

    @property
    def _waited(self) -> float:
        return self._clock() - self._started

    @property
    def _patience(self) -> float:
        return max(YOUNG_SECONDS, SHARE * self._waited)

    def _looking(self) -> Connection:
        if self._connection is None:
            self._connection = session.connect(self._endpoint, purpose="observe", statement_timeout_ms=5000)
        return self._connection

    def _holders(self, pairs: Collection[tuple[str, str]]) -> list[tuple[str, bool, Blocker]]:
        relations, modes = zip(*pairs, strict=True)
        named = {"relations": list(relations), "modes": list(modes), "pid": self._pid_of()}
        with session.translated(), self._looking().cursor(row_factory=kwargs_row(_holder)) as cursor:
            return cursor.execute(queries.load(__package__, "activity")["holders"], named).fetchall()


def _in_catalog(mode: str) -> str:
    """The documentation says "ACCESS EXCLUSIVE", pg_locks "AccessExclusiveLock"."""
    return f"{mode.title().replace(' ', '')}Lock"


def _holder(**row: Any) -> tuple[str, bool, Blocker]:
    transaction, yields = row.pop("transaction"), row.pop("yields")
    return transaction, yields, Blocker(user=row.pop("user_name"), **row)
