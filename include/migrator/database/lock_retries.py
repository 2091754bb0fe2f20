"""Short tries for a table's lock instead of one long wait.

A statement that waits for a lock makes everybody queue behind it. So `lock_timeout` is short, and after a try that
failed we step back long enough for the queue to drain. Meanwhile a second connection looks who is in the way.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from migrator.database import session, withheld
from migrator.database.activity import Blocker, blockers_of
from migrator.database.backoff import backoff
from migrator.database.session import Endpoint
from migrator.errors import LockNotAvailable, MigratorError

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
) -> T:
    """Run `work` until it does not raise LockNotAvailable. `work` must leave nothing behind when it raises (its
    transaction rolled back); `pid_of` tells the session that it executes on, asked while it runs.

    :raises LockNotAvailable: at the deadline, with `blockers` (text) and `attempts`; the last try is never cut short.
    """
    started = clock()
    attempt = 0
    while True:
        with _Observer(observer_endpoint, pid_of) as observer:
            try:
                return work()
            except LockNotAvailable as exc:
                error = exc
        attempt += 1
        waited = clock() - started
        names = "; ".join(str(blocker) for blocker in observer.seen) or "nobody could be seen in the way"
        pause = backoff(attempt - 1, first=FIRST_PAUSE_SECONDS, longest=LONGEST_PAUSE_SECONDS)
        if waited + pause > deadline_seconds:
            raise LockNotAvailable(
                f"no lock after {attempt} tries in {waited:.1f} s: {names} ({error})",
                **{**error.fields, "blockers": tuple(str(blocker) for blocker in observer.seen), "attempts": attempt},
            ) from error
        log.warning("try %s: lock not granted, next try in %.1f s; in the way: %s", attempt, pause, names)
        sleep(pause)


class _Observer:
    """Looks, from a thread and a connection of its own, who blocks the working session. It connects only when the work
    takes longer than one look, and its own trouble never disturbs the work."""

    def __init__(self, endpoint: Endpoint, pid_of: Callable[[], int]) -> None:
        self._endpoint = endpoint
        self._pid_of = pid_of
        self._done = threading.Event()
        self._thread = threading.Thread(target=withheld.keeping(self._watch), name="migration observer", daemon=True)
        self._seen: dict[int, Blocker] = {}

    @property
    def seen(self) -> tuple[Blocker, ...]:
        """Everybody who was in the way at some time during the try."""
        return tuple(self._seen.values())

    def __enter__(self) -> _Observer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(timeout=session.CONNECT_TIMEOUT_SECONDS + 5)

    def _watch(self) -> None:
        if self._done.wait(LOOK_EVERY_SECONDS):
            return
        try:
            with session.connect(self._endpoint, purpose="observe", statement_timeout_ms=2000) as connection:
                while not self._done.is_set():
                    for blocker in blockers_of(connection, self._pid_of()):
                        self._seen[blocker.pid] = blocker
                    self._done.wait(LOOK_EVERY_SECONDS)
        except MigratorError as exc:
            logger.warning("cannot look who is in the way: %s", exc)
