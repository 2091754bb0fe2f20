"""One statement with what its work depends on: the catalog, the statistics, the server and what fits into memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from migrator.analysis.estimate import keys
from migrator.analysis.estimate.costs import PAGE, Costs
from migrator.analysis.estimate.keys import Keys
from migrator.analysis.estimate.model import Profile, Statistics
from migrator.analysis.walk.subject import Subject
from migrator.facts.facts import IndexFacts, RelationFacts

DEFAULT_WIDTH = 120
"""Bytes of a row when nothing is known."""


@dataclass(frozen=True)
class Case:
    """One statement with what its work depends on."""

    subject: Subject
    profile: Profile
    statistics: Statistics
    given: Mapping[str, int] = field(default_factory=dict)
    """Rows of tables that are not in the catalog yet."""

    @property
    def costs(self) -> Costs:
        return self.profile.costs

    def relation(self, name: str) -> RelationFacts | None:
        return self.subject.world.relation(name)

    def rows(self, name: str) -> int:
        """Of this very relation: a partitioned table has none of its own."""
        if name in self.given:
            return self.given[name]
        facts = self.relation(name)
        return 0 if facts is None or facts.kind in ("p", "v") else max(0, facts.rows)

    def heap_bytes(self, name: str) -> int:
        if name in self.given:
            return self.given[name] * DEFAULT_WIDTH
        facts = self.relation(name)
        return 0 if facts is None else facts.bytes

    def width(self, name: str) -> float:
        """Bytes that a row takes on disk, free space included."""
        rows = self.rows(name)
        return self.heap_bytes(name) / rows if rows else DEFAULT_WIDTH

    def indexes(self, name: str) -> tuple[tuple[IndexFacts, Keys], ...]:
        facts = self.relation(name)
        if facts is None:
            return ()
        rows = self.rows(name)
        return tuple((index, keys.of_index(index, facts, rows, self.statistics)) for index in facts.indexes)

    def pages(self, name: str) -> int:
        return self.heap_bytes(name) // PAGE

    def read_seconds(self, name: str) -> float:
        """Look at every row."""
        return self.rows(name) * self.costs.scan / 1e6 + self.missing_seconds(name)

    def missing_seconds(self, name: str) -> float:
        """Read what is not in shared_buffers: from the operating system's cache, or from the disk."""
        size, profile = self.heap_bytes(name), self.profile
        missing = max(0, size - profile.shared_buffers) / PAGE
        disk = max(0, size - profile.effective_cache_size) / PAGE
        return (missing * self.costs.page_read + disk * profile.disk_read) / 1e6

    def write_seconds(self, rows: int, size: float, *, logged: bool = True) -> float:
        """Rows into new pages, one after the other; those that do not fit into shared_buffers push others out."""
        page = self.costs.page_write if logged and not self.profile.wal_minimal else self.costs.page_write_unlogged
        pushed = max(0.0, size - self.profile.shared_buffers) / PAGE
        return (rows * self.costs.write + size / PAGE * page + pushed * self.costs.page_miss) / 1e6

    def missing(self, name: str) -> float:
        """The part of those of its indexes whose pages are all in use that does not fit into shared_buffers, of which
        the table's own pages, which come and go in order, take a fourth."""
        size = sum(item.bytes for _, item in self.indexes(name) if item.scattered)
        return 0.0 if size == 0 else max(0.0, 1 - self.profile.shared_buffers * 3 / 4 / size)

    def touched(self, name: str, rows: int) -> float:
        """Pages that are not in shared_buffers and must be written since some of their rows change."""
        total, pages = self.rows(name), self.pages(name)
        if not total or not pages:
            return 0.0
        part = 1 - (1 - min(1.0, rows / total)) ** (total / pages)
        return float(part) * max(0, pages - self.profile.shared_buffers // PAGE)
