"""Several batches at once: neighbouring parts of a table, each changed by a session of its own.

Only the thread of the step commits, one part after the other in the order of their pages, each with the cursor that
says so. So the cursor always stands behind all that is committed, and what fails takes those after it back: they are
changed again, one at a time.

The ledger knows the sessions before they change anything, so that whoever fences the step ends them as well.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime

from migrator.database import withheld
from migrator.database.told import words
from migrator.errors import Cancelled, ConnectionLost, MigratorError
from migrator.steps.batch_sender import Changed, Part, Sender
from migrator.steps.context import StepContext
from migrator.steps.transaction import Connection, backend_named, ddl_connection, roll_back

ALONE = 8
"""So many batches are changed one at a time after several at once have met each other, or somebody else; then twice as
many: what one part keeps from another, as a row of totals that both write, does not go away."""


Commit = Callable[[Part, Changed, Connection], None]


def cuts(first: int, end: int, count: int) -> list[tuple[int, int]]:
    """So many neighbouring parts of these pages; fewer where there are fewer pages. Pure."""
    count = min(count, end - first)
    places = [first + (end - first) * n // count for n in range(count + 1)]
    return list(itertools.pairwise(places))


@dataclass
class Team:
    first: Sender
    ctx: StepContext
    workers: int
    others: list[Sender] = field(default_factory=list)
    backends: list[tuple[int, datetime]] = field(default_factory=list)
    """pid and start of the others."""
    alone: int = 0
    _next: int = ALONE
    _open: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Team:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def pids(self) -> tuple[int, ...]:
        return tuple(pid for pid, _ in self.backends)

    def join(self) -> bool:
        """Let the other sessions come, once. Whether there are new ones, of which the ledger must be told."""
        if self.others or self.workers < 2:
            return False
        try:
            for _ in range(self.workers - 1):
                conn = self._open.enter_context(ddl_connection(self.ctx))
                self.backends.append(backend_named(conn, self.ctx))
                self.others.append(replace(self.first, conn=conn))
        except MigratorError as exc:
            self._disband(exc)
        return bool(self.others)

    def count(self) -> int:
        """How many parts may be changed at once now."""
        if self.alone:
            self.alone -= 1
            return 1
        return 1 + len(self.others)

    def change(self, parts: Sequence[Part], ctx: StepContext, commit: Commit, *, locks_first: bool) -> None:
        """As many as do not fail, from the first on. :raises MigratorError: the first one does."""
        senders, committed = (self.first, *self.others), 0
        try:
            for part, sender, done in zip(parts, senders, self._open_all(parts, ctx, locks_first), strict=False):
                if isinstance(done, Exception):
                    raise done
                commit(part, done, sender.conn)
                committed += 1
        except (Cancelled, ConnectionLost):  # the ledger knows how far it is
            raise
        except MigratorError as exc:
            self._part(exc)
            if not committed:
                raise
        finally:
            for sender in senders:
                roll_back(sender.conn)

    def _open_all(self, parts: Sequence[Part], ctx: StepContext, locks_first: bool) -> list[Changed | Exception]:
        """The first in this thread."""
        found: dict[int, Changed | Exception] = {}

        def work(place: int, sender: Sender) -> None:
            try:
                found[place] = sender.change(parts[place], ctx, locks_first=locks_first)
            except Exception as exc:
                found[place] = exc

        threads = [
            threading.Thread(target=withheld.keeping(work), args=(place, sender), name=f"batch {place}", daemon=True)
            for place, sender in enumerate(self.others[: len(parts) - 1], 1)
        ]
        for thread in threads:
            thread.start()
        try:
            work(0, self.first)
        finally:
            for thread in threads:
                thread.join()
        return [found[place] for place in range(len(parts))]

    def _part(self, reason: Exception) -> None:
        """One batch at a time for a while."""
        self.alone, self._next = self._next, 2 * self._next
        self.ctx.log.info(
            "step %s: batches one at a time for the next %s: %s", self.first.step.name, self.alone, words(reason)
        )
        if any(sender.conn.closed for sender in self.others):
            self._disband(reason)

    def _disband(self, reason: Exception) -> None:
        self._open.close()
        self.workers, self.others, self.backends = 1, [], []
        self.ctx.log.warning(
            "step %s goes on with one session, and no others beside it: %s", self.first.step.name, words(reason)
        )
