"""How dear the keys of an index are: to sort when it is built, and to place when a row is written."""

from __future__ import annotations

import math
from dataclasses import dataclass

from migrator.analysis.estimate.costs import PAGE, Costs
from migrator.analysis.estimate.model import Profile, Statistics
from migrator.facts.facts import IndexFacts, RelationFacts

ORDERED = 0.9
"""From this correlation on, rows come in the order of the key."""
TEXT = ("character varying", "text", "character", "citext", "name")
FALLBACK_WIDTH = {"text": 32, "plain": 8}
TUPLE_OVERHEAD = 14
"""Bytes of an index entry beside its key: item pointer, tuple header, a part of the page left free."""
REPEATED = 50
"""From so many rows a value on they count as repeated; an entry then takes `REPEATED_WIDTH` bytes."""
REPEATED_WIDTH = 7
SORT_OVERHEAD = 40
"""Bytes of memory that a key takes in a sort beside itself."""
ENTRY_WIDTH = 8
"""Bytes of a document or an array for one entry of a GIN index: an element, or a word with its positions."""
MEASURED_ROWS = 100_000
"""The costs are those of so many keys; the more there are beyond that, the fewer are in the processor's cache."""
GROWTH = 0.07
"""By so much a comparison costs more with twice as many keys in no order: measured, 1.4 times as much at 5 million."""
HASH_GROWTH = 0.18
"""The same for a key that goes to any page of a hash index."""
HASH_PAGE_KEYS = 307
"""Keys of a bucket, by which their number is chosen (_hash_init_metabuffer in src/backend/access/hash/hashpage.c)."""
PARALLEL_PAGES = 1024
"""min_parallel_table_scan_size as it is by default: from there on one worker, with three times as many one more."""
PARALLEL_MEMORY = 32 * 1024 * 1024
"""Each process of a parallel build must have so much of maintenance_work_mem."""


@dataclass(frozen=True)
class Keys:
    """The keys of one index over `rows` rows."""

    rows: int
    width: int
    text: bool = False
    ordered: bool = False
    method: str = "btree"
    repeated: bool = False
    """Few values, many rows each: a B-tree stores each value once (since PostgreSQL 13)."""
    numeric: bool = False
    distinct: float = 0.0
    """Of several columns, the first with few values: how many it has."""

    @property
    def bytes(self) -> int:
        if self.method == "brin":
            return 8192 * 3
        return self.rows * (REPEATED_WIDTH if self.repeated else self.width + TUPLE_OVERHEAD)

    @property
    def entries(self) -> float:
        """Of one row in a GIN index: three letters from each place of a text, or the elements of an array."""
        return max(1.0, float(self.width) if self.text else self.width / ENTRY_WIDTH)

    @property
    def scattered(self) -> bool:
        """New keys go here and there, so that all pages of the index are in use."""
        return not self.ordered and self.method != "brin"

    def build_seconds(self, profile: Profile, *, pages: int, computing: float = 0.0) -> float:
        """CREATE INDEX, REINDEX, or the index of a rewritten table. `pages`: of the table; `computing`: seconds for a
        million keys that are expressions."""
        costs, millions = profile.costs, self.rows / 1e6
        if self.method == "brin":
            return millions * (costs.brin_build + computing)
        if self.method == "hash":
            return millions * (self._hashing(profile) + computing)
        if self.method == "gin":
            return millions * (costs.gin_entry * self.entries + computing)
        if self.method != "btree":
            return millions * (costs.gist_build * digits(self.rows) + computing)
        spills = self.rows * (self.width + SORT_OVERHEAD) > profile.maintenance_work_mem and not self.ordered
        seconds = costs.build + self._sorting(costs) + computing + (costs.spill if spills else 0.0)
        return millions * seconds * _parallel(profile, pages)

    def _sorting(self, costs: Costs) -> float:
        levels = digits(self.rows)
        if self.ordered:
            return costs.compare_ordered * levels
        if self.text:
            return costs.compare_text * levels * self._growth(GROWTH)
        compare = costs.compare_numeric if self.numeric else costs.compare
        first = min(levels, math.log2(max(self.distinct, 2))) if self.distinct else levels
        return (compare * first + costs.compare_tied * (levels - first)) * self._growth(GROWTH)

    def _hashing(self, profile: Profile) -> float:
        """Keys go to any page, or, where the pages would not fit into memory, are sorted by page first (hashbuild in
        src/backend/access/hash/hash.c)."""
        costs, memory = profile.costs, min(profile.maintenance_work_mem, profile.shared_buffers)
        if self.rows / HASH_PAGE_KEYS * PAGE < memory:
            return costs.hash_build * digits(self.rows) * self._growth(HASH_GROWTH)
        sorting = costs.compare * digits(self.rows) * self._growth(GROWTH)
        return costs.hash_build * math.log2(MEASURED_ROWS) + sorting

    def _growth(self, each: float) -> float:
        return 1 + each * math.log2(max(1.0, self.rows / MEASURED_ROWS))

    def place_seconds(self, costs: Costs, *, changed: int, missing: float, replaces: bool = False) -> float:
        """Insert `changed` keys into the index as it is. `missing`: part of its pages that is not in shared_buffers.
        `replaces`: new versions of rows, with the old key."""
        per_million = self._place(costs, replaces=replaces)
        return changed / 1e6 * (per_million + (missing * costs.page_miss if self.scattered else 0.0))

    def _place(self, costs: Costs, *, replaces: bool) -> float:
        if self.method == "brin":
            return costs.brin_place
        if self.method == "hash":
            return costs.hash_place * digits(self.rows)
        if self.method == "gin":
            return costs.gin_place * self.entries
        if self.method != "btree":
            return costs.gist_place * digits(self.rows)
        if replaces:
            place = costs.replace_ordered if self.ordered else costs.replace_text if self.text else costs.replace
        else:
            place = costs.place_ordered if self.ordered else costs.place_text if self.text else costs.place
        return place * digits(self.rows)


def _parallel(profile: Profile, pages: int) -> float:
    """What is left of the time of a build by one process, with the workers that PostgreSQL would give it."""
    workers = min(profile.parallel_workers, profile.maintenance_work_mem // PARALLEL_MEMORY - 1)
    if pages < PARALLEL_PAGES or workers < 1:
        return 1.0
    by_size = 1 + int(math.log(pages / PARALLEL_PAGES, 3))
    return profile.costs.parallel_one if min(workers, by_size) == 1 else profile.costs.parallel_more


def digits(rows: int) -> float:
    return math.log2(max(rows, 2))


def of_index(index: IndexFacts, relation: RelationFacts, rows: int, statistics: Statistics) -> Keys:
    """The keys of an index that exists."""
    method = getattr(index, "method", None) or "btree"
    return of_columns(index.columns, relation, rows, statistics, method=method)


def of_columns(
    columns: tuple[str, ...],
    relation: RelationFacts | None,
    rows: int,
    statistics: Statistics,
    *,
    method: str = "btree",
) -> Keys:
    """The keys of an index on these columns; "" stands for an expression, which counts as text in no order."""
    width, text, numeric, ordered, few, distinct = 0, False, False, bool(columns), False, 0.0
    for position, column in enumerate(columns):
        facts = relation.columns.get(column) if relation is not None else None
        known = statistics.columns.get((relation.name, column)) if relation is not None else None
        is_text = facts.type.partition("(")[0] in TEXT if facts is not None else not column
        width += known.width if known is not None else FALLBACK_WIDTH["text" if is_text else "plain"]
        if position == 0:
            text = is_text and not _bytewise(facts.collation if facts is not None else "")
            numeric = facts is not None and facts.type.startswith("numeric")
            ordered = known is not None and abs(known.correlation or 0.0) >= ORDERED
            distinct = known.distinct if known is not None else 0.0
            few = 0 < distinct < rows / REPEATED and method == "btree"
    return Keys(
        rows,
        width or FALLBACK_WIDTH["plain"],
        text,
        ordered,
        method,
        repeated=few and len(columns) == 1,
        numeric=numeric,
        distinct=distinct if few and len(columns) > 1 else 0.0,
    )


def _bytewise(collation: str) -> bool:
    return collation in ("C", "POSIX", "ucs_basic")
