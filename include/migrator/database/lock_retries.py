"""Short tries for a table's lock instead of one long wait.

A statement that waits for a lock makes everybody queue behind it. So `lock_timeout` is short, and after a try that
failed we step back long enough for the queue to drain. Meanwhile a second connection looks who is in the way.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from migrator.database import session, withheld
from migrator.database.activity import Blocker, blockers_of
from migrator.database.backoff import backoff
from migrator.database.session import Connection, Endpoint
from migrator.errors import LockNotAvailable, MigratorError, TransientError

T = TypeVar("T")
logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 0.1
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 20.0


class Log(Protocol):
    """A logger, as far as it is needed here."""

    def warning(self, msg: str, *args: Any) -> Any: ...


def with_lock_retries(
    work: Callable[[], T],
    *,
    observer_endpoint: Endpoint,
    pid_of: Callable[[], int],
    deadline_seconds: float,
    log: Log = logger,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    observer: Observer | None = None,
    retried: frozenset[str] = frozenset(),
    first: Callable[[], object] = lambda: None,
) -> T:
    """Run `work` until it does not raise LockNotAvailable. `work` must leave nothing behind when it raises (its
    transaction rolled back); `pid_of` tells the session that it executes on, asked while it runs.

    :param observer: of whoever does much work one after the other: it keeps its session.
    :param retried: SQLSTATEs of further errors after which it is tried again; at the deadline they are raised as they
        are.
    :param first: called before each try: it waits while trying is of no use, see `lock_queue`.
    :raises LockNotAvailable: at the deadline, with `blockers` (text) and `attempts`; the last try is never cut short.
    """
    started = clock()
    attempt = 0
    while True:
        try:
            first()
        except LockNotAvailable as exc:
            raise LockNotAvailable(str(exc), **{**exc.fields, "attempts": attempt}) from exc
        looking = Observer(observer_endpoint, pid_of) if observer is None else observer
        with looking.during(keep=observer is not None) as seen:
            try:
                return work()
            except TransientError as exc:
                if not isinstance(exc, LockNotAvailable) and exc.fields.get("sqlstate") not in retried:
                    raise
                error = exc
        attempt += 1
        waited = clock() - started
        names = "; ".join(str(blocker) for blocker in seen.values()) or "nobody could be seen in the way"
        pause = backoff(attempt - 1, first=FIRST_PAUSE_SECONDS, longest=LONGEST_PAUSE_SECONDS)
        if waited + pause > deadline_seconds:
            if not isinstance(error, LockNotAvailable):
                raise error
            blockers = tuple(map(str, seen.values()))
            raise LockNotAvailable(
                f"no lock after {attempt} tries in {waited:.1f} s: {names} ({error})",
                **{**error.fields, "blockers": blockers, "attempts": attempt},
            ) from error
        if isinstance(error, LockNotAvailable):
            log.warning("try %s: lock not granted, next try in %.1f s; in the way: %s", attempt, pause, names)
        else:
            log.warning("try %s: %s; next try in %.1f s", attempt, error, pause)
        sleep(pause)


class Observer:
    """Looks, from a thread and a connection of its own, who blocks the working session. It connects only when the work
    takes longer than one look, and its own trouble never disturbs the work."""

    def __init__(
        self, endpoint: Endpoint, pid_of: Callable[[], int], *, every_seconds: float = LOOK_EVERY_SECONDS
    ) -> None:
        self._endpoint = endpoint
        self._pid_of = pid_of
        self._every = every_seconds
        self._connection: Connection | None = None

    def __enter__(self) -> Observer:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    @contextmanager
    def during(self, *, keep: bool = False) -> Iterator[dict[int, Blocker]]:
        """Everybody who is in the way at some time meanwhile, by pid. With `keep` the session stays for the next time:
        until `with` ends, which the observer is used in then."""
        seen: dict[int, Blocker] = {}
        done = threading.Event()
        watch = withheld.keeping(functools.partial(self._watch, seen, done))
        thread = threading.Thread(target=watch, name="migration observer", daemon=True)
        thread.start()
        try:
            yield seen
        finally:
            done.set()
            thread.join(timeout=session.CONNECT_TIMEOUT_SECONDS + 5)
            if not keep:
                self._close()

    def _watch(self, seen: dict[int, Blocker], done: threading.Event) -> None:
        if done.wait(self._every):
            return
        try:
            if self._connection is None:
                self._connection = session.connect(self._endpoint, purpose="observe", statement_timeout_ms=2000)
            while not done.is_set():
                for blocker in blockers_of(self._connection, self._pid_of()):
                    seen[blocker.pid] = blocker
                done.wait(self._every)
        except MigratorError as exc:
            self._close()
            logger.warning("cannot look who is in the way: %s", exc)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
