"""How many pages the next batch takes: as many as can be changed in its time, should every row of them need it."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_PAGES, MOST_PAGES = 1, 8192
STOP_TIMES, STOP_MORE_MS = 5, 100
"""A batch is stopped that takes so many times as long as it should, and a bit: for what takes its time once."""
SHORTEST_LOCK_MS = 100
USUAL_ROWS = 50
"""Of a page, where nobody knows: of 150 bytes each."""


@dataclass(frozen=True)
class Pace:
    """How long a batch should take, in which its rows stay locked, and how long the rest after it is. In seconds."""

    batch: float
    pause: float

    @property
    def stop_ms(self) -> int:
        return round(self.batch * 1000 * STOP_TIMES) + STOP_MORE_MS

    def lock_ms(self, plan_ms: int, deadlock_ms: int) -> int:
        """How long it waits for a row that somebody else has: its own stay locked meanwhile. Whoever waits for one of
        them looks for a deadlock after `deadlock_ms`, and would be the one that fails."""
        most = max(round(self.batch * 1000), SHORTEST_LOCK_MS)
        return max(1, min(most, deadlock_ms // 2, *([plan_ms] if plan_ms else [])))


@dataclass
class Size:
    pace: Pace
    pages: int = 0
    densest: float = 0.0
    """Rows of a page, of the pages that had the most."""

    def __post_init__(self) -> None:
        self.pages = FIRST_PAGES

    def at(self, pace: Pace) -> None:
        """Another one from here on; a shorter batch has fewer pages at once."""
        if pace.batch < self.pace.batch:
            self.pages = max(1, round(self.pages * pace.batch / self.pace.batch))
        self.pace = pace

    @property
    def rows(self) -> int:
        """How many a batch may have."""
        return max(1, round(self.pages * (self.densest or USUAL_ROWS)))

    def is_sparse(self, pages: int, rows: int) -> bool:
        """Whether that many pages may have so few rows to change that a batch is better counted than measured."""
        return rows == 0 or rows < pages * self.densest / 2

    def after(self, pages: int, rows: int, took: float, dense: float) -> None:
        """A batch that changed nothing tells nothing. Twice as many at most, so that one does not decide for the next.

        :param dense: how many rows a page of the table has, as the server knows it; 0: it does not.
        """
        if rows == 0:
            return
        self.densest = max(self.densest, dense, rows / pages)
        page = max(took, 0.001) / rows * self.densest
        self._set(self.pace.batch / page, at_most=2 * self.pages)

    def halve(self) -> None:
        self._set(self.pages / 2, at_most=MOST_PAGES)

    def shrink(self) -> None:
        """What waits for a row holds as few others as can be."""
        self.pages = FIRST_PAGES

    def _set(self, pages: float, *, at_most: int) -> None:
        self.pages = max(1, round(min(max(pages, self.pages / 2), at_most, MOST_PAGES)))
