"""One partitioned table with the bounds of its partitions, as a set of elements that every row falls into one of.

Of LIST the elements are the values listed, NULL and "any other"; of RANGE the segments between two bounds, and NULL.
The planner works on the same sets (src/backend/partitioning/partprune.c), which is why it keeps a default partition
only where some element that no partition has is left.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from migrator.analysis.effects.partitions.hash import row_hash
from migrator.analysis.effects.partitions.values import BYTEWISE, Reading, Value, kind_of, read
from migrator.analysis.effects.world import World
from migrator.facts.facts import RelationFacts
from migrator.parsing.nodes import Node, name_of, strings

Elements = frozenset[Hashable]
End = tuple[int, Value] | tuple[int]
"""MINVALUE is (0,), a value (1, value), MAXVALUE (2,): they sort as they should."""
_KEY = re.compile(r"^(RANGE|LIST|HASH) \(([^()]+)\)$")
_COLUMN = re.compile(r'^(?:"([^"]+)"|(\w+))$')
NULL, OTHER = "null", "other"
_UNORDERED = ("label",)
_LIMITS: Mapping[str, End] = {"minvalue": (0,), "maxvalue": (2,)}
_NULL: End = (3,)


@dataclass(frozen=True)
class Level:
    strategy: str
    columns: tuple[str, ...]
    kinds: tuple[str, ...]
    holders: Mapping[Hashable, str]
    """Partition by element; of HASH by (modulus, remainder)."""
    default: str | None
    points: tuple[End, ...] = ()
    """Of RANGE with one column: all bounds in their order; segment number i ends at the i-th."""
    ranges: tuple[tuple[tuple[End, ...], tuple[End, ...], str], ...] = ()
    """Of RANGE with several columns: bounds and partition."""
    ordered: bool = True
    """Whether values can be compared by more than equality."""

    def compared(self, operator: str, value: Value) -> Elements | None:
        """The elements that a row with `column operator value` can be in; None: all, as far as is known."""
        if self.strategy == "RANGE":
            return self._segments(operator, value)
        if self.strategy == "HASH":
            return self._hashed([value]) if operator == "=" else None
        listed = [key for key in self.holders if isinstance(key, tuple)]
        if operator == "=":
            return frozenset([(1, value) if (1, value) in self.holders else OTHER])
        if operator == "<>":
            return frozenset([OTHER, *(key for key in listed if key != (1, value))])
        tests = {"<": (-1,), "<=": (-1, 0), ">": (1,), ">=": (0, 1)}
        if not self.ordered or operator not in tests:
            return None
        point = (1, value)
        kept = (key for key in listed if (key > point) - (key < point) in tests[operator])
        return frozenset([OTHER, *kept])

    def _segments(self, operator: str, value: Value) -> Elements | None:
        left, right = bisect_left(self.points, (1, value)), bisect_right(self.points, (1, value))
        last = len(self.points)
        limits = {"=": (right, right), "<": (0, left), "<=": (0, right), ">": (right, last), ">=": (right, last)}
        if operator not in limits:
            return None
        low, high = limits[operator]
        return frozenset(range(low, high + 1)) - self._outside

    def _hashed(self, values: Sequence[Value | None]) -> Elements | None:
        key = row_hash(values, self.kinds)
        if key is None:
            return None
        pairs = (item for item in self.holders if isinstance(item, tuple))
        return frozenset((modulus, rest) for modulus, rest in pairs if key % modulus == rest)

    @property
    def _outside(self) -> Elements:
        """Segments below MINVALUE and above MAXVALUE."""
        below = [0] if self.points[:1] == ((0,),) else []
        return frozenset(below + ([len(self.points)] if self.points[-1:] == ((2,),) else []))

    def null(self) -> Elements | None:
        return self._hashed([None]) if self.strategy == "HASH" else frozenset([NULL])

    def not_null(self) -> Elements | None:
        """Used with LIST only."""
        if self.strategy != "LIST":
            return None
        return frozenset([OTHER, *(key for key in self.holders if key != NULL)])

    def partitions(self, elements: Iterable[Hashable]) -> frozenset[str]:
        """Those that hold the elements."""
        found = (self.holders.get(element, self.default) for element in elements)
        return frozenset(name for name in found if name is not None)

    def of_row(self, values: Sequence[Value | None]) -> str | Reading | None:
        """Where a row goes; None: nowhere, so that it is refused."""
        if self.strategy == "RANGE" and len(self.columns) > 1:
            return self._range_of(values)
        if self.strategy == "HASH":
            elements = self._hashed(values)
        else:
            elements = self.null() if values[0] is None else self.compared("=", values[0])
        if elements is None:
            return Reading.UNKNOWN
        return next(iter(self.partitions(elements)), None)

    def _range_of(self, values: Sequence[Value | None]) -> str | None:
        point = tuple([(1, value) for value in values if value is not None])
        if len(point) < len(values):
            return self.default
        return next((name for low, high, name in self.ranges if low <= point < high), self.default)


def level(facts: RelationFacts, world: World) -> Level | None:
    """None: the key or a bound is not understood, or the migration itself made the table."""
    found = _KEY.match(facts.partition_key or "")
    names = [_COLUMN.match(part.strip()) for part in found[2].split(",")] if found else [None]
    if found is None or not all(names):
        return None
    columns = tuple(name[1] or name[2] for name in names if name)
    known = [facts.columns[column] for column in columns if column in facts.columns]
    kinds = [kind for kind in (kind_of(column, world) for column in known) if kind is not None]
    if len(kinds) != len(columns):
        return None
    sorts = all(
        kind not in _UNORDERED and (kind != "text" or column.collation in BYTEWISE)
        for kind, column in zip(kinds, known, strict=True)
    )
    if found[1] == "RANGE" and not sorts:
        return None
    return _filled(facts, found[1], columns, tuple(kinds), world, ordered=sorts)


def _filled(
    facts: RelationFacts,
    strategy: str,
    columns: tuple[str, ...],
    kinds: tuple[str, ...],
    world: World,
    *,
    ordered: bool,
) -> Level | None:
    holders: dict[Hashable, str] = {}
    ranges: list[tuple[tuple[End, ...], tuple[End, ...], str]] = []
    for name in facts.children:
        if name == facts.default_partition:
            continue
        child = world.relation(name)
        spec = bound_node(child.bound) if child is not None and child.bound else None
        if spec is None:
            return None
        if strategy == "HASH":
            holders[(spec.modulus, spec.remainder)] = name
            continue
        lists = (spec.listdatums,) if strategy == "LIST" else (spec.lowerdatums, spec.upperdatums)
        ends = [_ends(items, kinds if strategy == "RANGE" else kinds * len(items), world) for items in lists]
        if None in ends:
            return None
        if strategy == "LIST":
            holders.update(dict.fromkeys((NULL if end == _NULL else end for end in ends[0] or ()), name))
        else:
            ranges.append((ends[0] or (), ends[1] or (), name))
    points = tuple(sorted({end[0] for low, high, _ in ranges for end in (low, high)})) if len(columns) == 1 else ()
    for _, high, name in ranges if points else ():
        holders[bisect_left(points, high[0])] = name
    return Level(strategy, columns, kinds, holders, facts.default_partition, points, tuple(ranges), ordered)


def _ends(items: Iterable[Node], kinds: Iterable[str], world: World) -> tuple[End, ...] | None:
    """Bounds, or values of a list; None: one is not understood."""
    found: list[End] = []
    for node, kind in zip(items, kinds, strict=True):
        if name_of(node) == "column_ref":  # MINVALUE and MAXVALUE look like columns
            found.append(_LIMITS[strings(node.column_ref.fields)[-1]])
            continue
        value = read(node, kind, world)
        if value is not Reading.NULL and isinstance(value, Reading):
            return None
        found.append(_NULL if isinstance(value, Reading) else (1, value))
    return tuple(found)


@lru_cache(maxsize=8192)
def bound_node(text: str) -> Node | None:
    """The PartitionBoundSpec that pg_get_expr() has printed."""
    from migrator.parsing.statements import parse

    parsed = parse(f"ALTER TABLE t ATTACH PARTITION p {text}", file="catalog")
    if not parsed.statements:
        return None
    return next(
        (getattr(item.alter_table_cmd, "def").partition_cmd.bound for item in parsed.statements[0].tree.cmds), None
    )
