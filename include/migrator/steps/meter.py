"""How far a step of many batches is, by the pages that are behind it: for the log, the ledger and the UI."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from migrator.wording import seconds


@dataclass
class Meter:
    """Rate and time left are of this attempt, with all its waiting: what a person has to reckon with."""

    clock: Callable[[], float] = time.monotonic
    offsets: dict[int, int] = field(default_factory=dict)
    """By table, how many pages come before its first."""
    pages_total: int = 0
    rows_total: int | None = None
    """As the planner estimates them; None: nobody has analysed the table."""
    started: float = 0.0
    first_rows: int = 0
    first_page: int = 0

    def begin_round(self, tables: Iterable[tuple[int, int, int]], *, table: int, page: int, rows: int) -> None:
        """:param tables: of each oid, pages and estimated rows, in the order in which they are gone through."""
        self.offsets, self.pages_total, estimate = {}, 0, 0
        for oid, pages, expected in tables:
            self.offsets[oid] = self.pages_total
            self.pages_total += pages
            estimate += expected
        self.rows_total = estimate or None
        self.started, self.first_rows = self.clock(), rows
        self.first_page = self._done(table, page)

    def at(self, table: int, page: int, rows: int) -> dict[str, Any]:
        """For the step's cursor: pages done and in all, rows a second, seconds left (None: nobody can say yet)."""
        done, passed = self._done(table, page), self.clock() - self.started
        pages = done - self.first_page
        left = (self.pages_total - done) * passed / pages if pages > 0 else None
        return {
            "pages_done": done,
            "pages_total": self.pages_total,
            "rate": round((rows - self.first_rows) / passed, 1) if passed > 0 else None,
            "left_seconds": None if left is None else round(left, 1),
        }

    def told(self, table: int, page: int, rows: int) -> str:
        """For the log."""
        at = self.at(table, page, rows)
        left = "" if at["left_seconds"] is None else f", {seconds(at['left_seconds'])} left"
        done = 100 * at["pages_done"] / max(1, at["pages_total"])
        return f"{done:.0f} % of all pages, {rows} rows so far, {at['rate'] or 0:.0f} a second{left}"

    def _done(self, table: int, page: int) -> int:
        return min(self.pages_total, self.offsets.get(table, 0) + page)
