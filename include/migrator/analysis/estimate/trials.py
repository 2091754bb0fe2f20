"""Times statements in several rounds, and tells how busy the server was with other things meanwhile.

Whatever else a machine does makes a statement longer, so the shortest of some tries counts. Where others keep all
processors busy the whole time, each try is too long. A calculation of some ten milliseconds in between tells: how
long it takes alone is known from a shorter one, for which a process has its processor to itself on a busy machine, too.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

from migrator.database.session import Connection

INNER = 300
SHORT, LONG = 60, 1000
"""Times `INNER` rows: well under a slice of the scheduler, and several of them."""
PROBE = "SELECT count(*) FROM generate_series(1, {}) AS a, generate_series(1, {}) AS b"
TELLING = 0.002
"""Seconds; what is shorter differs from one round to the next by chance."""


class Noise(NamedTuple):
    """What disturbed the measurement; 1.0: nothing."""

    slowdown: float = 1.0
    """By how much a calculation usually took longer than alone."""
    apart: float = 1.0
    """By how much the rounds differed, of three quarters of the statements at most."""

    @property
    def level(self) -> float:
        return max(self.slowdown, self.apart)


class Trials:
    """Seconds of statements. In each round the same ones are timed, in the same order."""

    def __init__(self, conn: Connection, timer: Callable[[], float]) -> None:
        self._conn = conn
        self._timer = timer
        self._rounds: list[list[float]] = []
        self._probes: list[float] = []
        self._alone = [math.inf, math.inf]
        """Shortest of the calculation with `INNER` and with `SHORT` times as many rows."""

    def begin_round(self) -> None:
        self._rounds.append([])

    def seconds(self, statement: str, *, times: int, before: Sequence[str] = ()) -> float:
        """The shortest of this and of earlier rounds. `before`: not timed, and undone with the statement."""
        tries = [self._once(statement, before) for _ in range(times)]
        self._probes.append(self._once(PROBE.format(LONG, INNER)))
        for number, factor in enumerate((1, SHORT)):
            self._alone[number] = min(self._alone[number], self._once(PROBE.format(factor, INNER)))
        position = len(self._rounds[-1])
        self._rounds[-1].append(min(tries))
        return min(one[position] for one in self._rounds)

    def noise(self) -> Noise:
        one, more = self._alone
        alone = one + (more - one) / (SHORT - 1) * (LONG - 1)
        apart = [max(found) / min(found) for found in zip(*self._rounds, strict=True) if min(found) >= TELLING]
        return Noise(
            slowdown=round(max(1.0, statistics.median(self._probes) / alone), 2) if alone > 0 else 1.0,
            apart=round(statistics.quantiles(apart, n=4)[-1], 2) if len(apart) > 1 else 1.0,
        )

    def _once(self, statement: str, before: Sequence[str] = ()) -> float:
        with self._conn.transaction(force_rollback=True):
            for step in filter(None, before):
                self._conn.execute(step.encode())
            started = self._timer()
            self._conn.execute(statement.encode())
            return self._timer() - started
