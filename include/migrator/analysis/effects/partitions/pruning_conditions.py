"""What the conditions of a query say about the key of one partitioned table: src/backend/partitioning/partprune.c."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from migrator.analysis.effects.partitions.level import Elements, Level
from migrator.analysis.effects.partitions.values import Reading, Value, read
from migrator.analysis.effects.world import World
from migrator.parsing.nodes import Node, content, enum, find, name_of, strings

_NEGATED = {"=": "<>", "<>": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_TURNED = {"=": "=", "<>": "<>", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
_LISTS = ("AEXPR_IN", "AEXPR_OP_ANY", "AEXPR_OP_ALL")
_IGNORED = ("AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT", "AEXPR_LIKE", "AEXPR_ILIKE", "AEXPR_SIMILAR")


@dataclass
class Judge:
    """Reads conditions for one partitioned table."""

    level: Level
    alias: str
    world: World
    conditions: tuple[Node, ...]
    never_null: frozenset[str]
    """Columns that are NOT NULL."""
    unsure: bool = False
    values: dict[str, Value | None] = field(default_factory=dict)
    """Of several key columns: what they are equal to."""

    def kept(self, children: tuple[str, ...]) -> frozenset[str]:
        found = _all(self._elements(item, negated=False) for item in self.conditions)
        if found is not None:
            return self.level.partitions(found)
        if len(self.values) == len(self.level.columns):
            row = self.level.of_row([self.values[column] for column in self.level.columns])
            if not isinstance(row, Reading):
                return frozenset([row] if row is not None else [])
            self.unsure = True
        elif self.values and self.level.strategy == "RANGE":
            self.unsure = True
        return frozenset(children)

    def _elements(self, node: Node, *, negated: bool, top: bool = True) -> Elements | None:
        """None: every partition may have such rows."""
        kind = name_of(node)
        if kind == "bool_expr":
            return self._joined(node.bool_expr, negated=negated, top=top)
        if kind == "a_expr":
            return self._expression(node.a_expr, negated=negated, top=top)
        if kind == "null_test" and self._is_key(node.null_test.arg):
            return self._null((enum(node.null_test, "nulltesttype") == "IS_NULL") != negated, node.null_test.arg, top)
        if kind == "column_ref" and self._is_key(node) and self.level.kinds == ("boolean",):
            return self.level.compared("=", not negated)
        if kind == "a_const":
            value = read(node, "boolean", self.world)
            return frozenset() if value is Reading.NULL or value is negated else None
        if kind == "sub_link":
            self.unsure = self.unsure or (self._mentions_key(node) and _has_constants(node.sub_link.subselect))
        elif kind in ("boolean_test", "type_cast"):
            self.unsure = self.unsure or self._mentions_key(node)
        return None

    def _joined(self, node: Node, *, negated: bool, top: bool) -> Elements | None:
        operator = enum(node, "boolop")
        if operator == "NOT_EXPR":
            return self._elements(node.args[0], negated=not negated, top=top)
        conjunction = (operator == "AND_EXPR") != negated
        found = [self._elements(item, negated=negated, top=top and conjunction) for item in node.args]
        return _all(found) if conjunction else _any(found)

    def _expression(self, node: Node, *, negated: bool, top: bool) -> Elements | None:
        kind, operator = enum(node, "kind"), (strings(node.name) or ("",))[-1]
        sides = (node.lexpr, node.rexpr)
        if kind in _IGNORED:
            return None
        if kind == "AEXPR_OP" and operator in _NEGATED:
            if self._is_key(sides[0]):
                return self._compared(sides[0], operator, sides[1], negated, top)
            if self._is_key(sides[1]):
                return self._compared(sides[1], _TURNED[operator], sides[0], negated, top)
        elif self._is_key(sides[0]) and kind in _LISTS and (operator in _NEGATED):
            items = _items(sides[1])
            if items is not None:
                every = (kind == "AEXPR_OP_ALL" or (kind == "AEXPR_IN" and operator == "<>")) != negated
                found = [self._compared(sides[0], operator, item, negated, False) for item in items]
                return _all(found) if every else _any(found)
        elif kind in ("AEXPR_BETWEEN", "AEXPR_NOT_BETWEEN") and self._is_key(sides[0]):
            low, high = sides[1].list.items
            inside = (kind == "AEXPR_BETWEEN") != negated
            pair = ((">=", low), ("<=", high)) if inside else (("<", low), (">", high))
            ends = [self._compared(sides[0], sign, end, False, top and inside) for sign, end in pair]
            return _all(ends) if inside else _any(ends)
        return self._not_understood(node, operator, negated)

    def _not_understood(self, node: Node, operator: str, negated: bool) -> Elements | None:
        """A comparison of constants, which the planner does; and what may be a comparison with the key for it."""
        sides = (node.lexpr, node.rexpr)
        if not any(True for _ in find(node, "ColumnRef")):
            both = [read(side, "integer", self.world) for side in sides]
            if operator in ("=", "<>") and not any(isinstance(value, Reading) for value in both):
                return None if ((both[0] == both[1]) == (operator == "=")) != negated else frozenset()
            self.unsure = self.unsure or Reading.UNKNOWN in both
        elif operator in _NEGATED or enum(node, "kind") != "AEXPR_OP":
            shown = [side for side in sides if name_of(side) in ("column_ref", "type_cast", "row_expr")]
            self.unsure = self.unsure or any(map(self._mentions_key, shown))
        return None

    def _compared(self, key: Node, operator: str, other: Node, negated: bool, top: bool) -> Elements | None:
        sign = _NEGATED[operator] if negated else operator
        if sign == "=" and name_of(other) == "column_ref":
            self.unsure = self.unsure or self._named_elsewhere(other)
            return None
        column = strings(key.column_ref.fields)[-1]
        value = read(other, self.level.kinds[self.level.columns.index(column)], self.world)
        if value is Reading.NULL:
            return frozenset()
        if isinstance(value, Reading):
            self.unsure = self.unsure or value is Reading.UNKNOWN
            return None
        if len(self.level.columns) == 1:
            found = self.level.compared(sign, value)
            self.unsure = self.unsure or (found is None and (sign == "=" or self.level.strategy == "LIST"))
            return found
        if top and sign == "=":
            self.values.setdefault(column, value)
        else:
            self.unsure = self.unsure or self.level.strategy == "RANGE" or sign == "="
        return None

    def _null(self, wanted: bool, key: Node, top: bool) -> Elements | None:
        if wanted and self.world.major >= 17 and strings(key.column_ref.fields)[-1] in self.never_null:
            return frozenset()  # restriction_is_always_false in src/backend/optimizer/plan/initsplan.c
        if len(self.level.columns) == 1:
            return self.level.null() if wanted else self.level.not_null()
        if wanted and top:
            self.values.setdefault(strings(key.column_ref.fields)[-1], None)
        else:
            self.unsure = self.unsure or wanted
        return None

    def _is_key(self, node: Node) -> bool:
        if name_of(node) != "column_ref":
            return False
        parts = strings(node.column_ref.fields)
        mine = len(parts) == 1 or (len(parts) > 1 and parts[-2] == self.alias)
        return mine and parts[-1] in self.level.columns

    def _mentions_key(self, node: Node) -> bool:
        names = (strings(item.fields)[-1:] for item in find(content(node), "ColumnRef"))
        return any(name and name[0] in self.level.columns for name in names)

    def _named_elsewhere(self, column: Node) -> bool:
        """Whether a column that the key is equal to stands in another condition, which then holds for the key, too."""
        mine = strings(column.column_ref.fields)
        found = (strings(item.fields) for where in self.conditions for item in find(where, "ColumnRef"))
        return sum(1 for parts in found if parts == mine) > 1


def _has_constants(select: Node) -> bool:
    query = content(select)
    parts = (query.where_clause, *query.from_clause)
    return any(True for part in parts for _ in find(part, "A_Const", "FuncCall"))


def _items(node: Node) -> Sequence[Node] | None:
    """Of IN (...) and of = ANY (ARRAY[...])."""
    kind = name_of(node)
    if kind == "list":
        return list(node.list.items)
    return list(node.a_array_expr.elements) if kind == "a_array_expr" else None


def _both(first: Elements | None, second: Elements | None) -> Elements | None:
    return second if first is None else first if second is None else first & second


def _all(items: Iterable[Elements | None]) -> Elements | None:
    found: Elements | None = None
    for item in items:
        found = _both(found, item)
    return found


def _any(items: Iterable[Elements | None]) -> Elements | None:
    found: Elements = frozenset()
    for item in items:
        if item is None:
            return None
        found |= item
    return found
