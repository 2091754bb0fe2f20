"""How dear the keys of an index are: to sort when it is built, and to place when a row is written."""

from __future__ import annotations

import math
from dataclasses import dataclass

from migrator.estimate.model import Costs, Statistics
from migrator.facts import IndexFacts, RelationFacts

ORDERED = 0.9
"""From this correlation on, rows come in the order of the key."""
TEXT = ("character varying", "text", "character", "citext", "name")
FALLBACK_WIDTH = {"text": 32, "plain": 8}
TUPLE_OVERHEAD = 14
"""Bytes of an index entry beside its key: item pointer, tuple header, a part of the page left free."""
REPEATED = 50
"""From so many rows a value on they count as repeated; an entry then takes `REPEATED_WIDTH` bytes."""
REPEATED_WIDTH = 7


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

    @property
    def bytes(self) -> int:
        if self.method == "brin":
            return 8192 * 3
        return self.rows * (REPEATED_WIDTH if self.repeated else self.width + TUPLE_OVERHEAD)

    def build_seconds(self, costs: Costs) -> float:
        """CREATE INDEX, REINDEX, or the index of a rewritten table."""
        millions = self.rows / 1e6
        if self.method == "brin":
            return millions * costs.scan * 2
        if self.method == "hash":
            return millions * costs.hash_build
        if self.method != "btree":
            return millions * costs.token
        compare = costs.compare_ordered if self.ordered else costs.compare_text if self.text else costs.compare
        return millions * (costs.build + compare * digits(self.rows))

    def place_seconds(self, costs: Costs, *, changed: int, missing: float) -> float:
        """Insert `changed` keys into the index as it is. `missing`: part of its pages that is not in shared_buffers."""
        if self.method == "brin":
            return 0.0
        millions = changed / 1e6
        if self.method not in ("btree", "hash"):
            return millions * costs.token
        place = costs.place_ordered if self.ordered else costs.place_text if self.text else costs.place
        misses = 0.0 if self.ordered else missing * costs.page_read
        return millions * (place * digits(self.rows) + misses)


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
    width, text, ordered, repeated = 0, False, bool(columns), len(columns) == 1
    for position, column in enumerate(columns):
        facts = relation.columns.get(column) if relation is not None else None
        known = statistics.columns.get((relation.name, column)) if relation is not None else None
        is_text = facts.type.partition("(")[0] in TEXT if facts is not None else not column
        width += known.width if known is not None else FALLBACK_WIDTH["text" if is_text else "plain"]
        if position == 0:
            text = is_text and not _bytewise(facts.collation if facts is not None else "")
            ordered = known is not None and abs(known.correlation or 0.0) >= ORDERED
        repeated = repeated and known is not None and 0 < known.distinct < rows / REPEATED
    return Keys(rows, width or FALLBACK_WIDTH["plain"], text, ordered, method, repeated and method == "btree")


def _bytewise(collation: str) -> bool:
    return collation in ("C", "POSIX", "ucs_basic")
