"""Whether constraints of a table prove that its rows fit a partition's bound, so that ATTACH need not read them.

PostgreSQL proves more (predtest.c); what is not proved here is taken for a scan. One key column, constants only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation

from migrator.analysis.effects.expressions import constraint_node
from migrator.facts.facts import RelationFacts
from migrator.frozen import frozen
from migrator.parsing.nodes import Node, content, enum, name_of, strings

Value = Decimal | str
_COLUMN_KEY = re.compile(r"^(?P<strategy>RANGE|LIST|HASH) \(\"?(?P<column>\w+)\"?\)$")
_DATE = re.compile(r"^\d{4}-\d\d-\d\d")
_OPPOSITE = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "<>"}


@frozen
class Bound:
    """FOR VALUES of a partition with one key column. `low` is included, `high` is not; None: no limit."""

    default: bool = False
    values: tuple[Value | None, ...] = ()
    """Of LIST; None stands for NULL."""
    low: Value | None = None
    high: Value | None = None
    is_range: bool = False


@frozen
class Comparison:
    column: str
    operator: str
    values: tuple[Value, ...]
    """Several only with "=": any of them."""


def key_column(partition_key: str | None) -> str | None:
    """The column of a key that is one plain column."""
    found = _COLUMN_KEY.match(partition_key or "")
    return found["column"] if found else None


def of_node(spec: Node) -> Bound | None:
    """From a PartitionBoundSpec; None for HASH and for what has several key columns."""
    if spec.is_default:
        return Bound(default=True)
    if spec.strategy == "l":
        values = [_constant(item) for item in spec.listdatums]
        if any(value is None and not _is_null(item) for item, value in zip(spec.listdatums, values, strict=True)):
            return None
        return Bound(values=tuple(values))
    if spec.strategy == "r" and len(spec.lowerdatums) == 1:
        ends = [_constant(spec.lowerdatums[0]), _constant(spec.upperdatums[0])]
        for item, value in zip((spec.lowerdatums[0], spec.upperdatums[0]), ends, strict=True):
            if value is None and name_of(item) != "column_ref":  # MINVALUE and MAXVALUE look like columns
                return None
        return Bound(low=ends[0], high=ends[1], is_range=True)
    return None


def of_text(text: str | None) -> Bound | None:
    """As pg_get_expr() writes it."""
    from migrator.parsing.statements import parse

    if not text:
        return None
    parsed = parse(f"ALTER TABLE t ATTACH PARTITION p {text}", file="catalog")
    if not parsed.statements:
        return None
    for item in parsed.statements[0].tree.cmds:
        return of_node(getattr(item.alter_table_cmd, "def").partition_cmd.bound)
    return None


def overlap(first: Bound, second: Bound) -> bool:
    """Whether two partitions would share a value for sure."""
    if first.default or second.default:
        return first.default and second.default
    if first.is_range != second.is_range:
        return False
    if not first.is_range:
        return bool(set(first.values) & set(second.values))
    return _below(first.low, second.high) and _below(second.low, first.high)


def proves(relation: RelationFacts, column: str, bound: Bound) -> bool:
    """Whether every row of the relation lies within the bound, by its valid constraints."""
    if not _never_null(relation, column):
        return False
    known = [item for item in _comparisons(relation) if item.column == column]
    if bound.is_range:
        low = bound.low is None or any(_at_least(item, bound.low) for item in known)
        high = bound.high is None or any(_less_than(item, bound.high) for item in known)
        return low and high
    return any(item.operator == "=" and set(item.values) <= set(bound.values) for item in known)


def excludes(relation: RelationFacts, column: str, bound: Bound) -> bool:
    """Whether no row of the relation (a default partition) lies within the bound."""
    if any(_outside(expression, column, bound) for expression in _checks(relation)):
        return True
    known = [item for item in _comparisons(relation) if item.column == column]
    if bound.is_range:
        below = bound.low is not None and any(_less_than(item, bound.low) for item in known)
        above = bound.high is not None and any(_at_least(item, bound.high) for item in known)
        return below or above
    return bool(bound.values) and all(
        value is not None and any(_is_not(item, value) for item in known) for value in bound.values
    )


def _never_null(relation: RelationFacts, column: str) -> bool:
    facts = relation.columns.get(column)
    return facts is not None and facts.not_null


def _checks(relation: RelationFacts) -> Iterator[Node]:
    """The expressions of its valid CHECKs."""
    for item in relation.constraints:
        node = constraint_node(item.definition) if item.kind == "c" and item.validated and item.enforced else None
        if node is not None:
            yield node.raw_expr


def _comparisons(relation: RelationFacts) -> Iterator[Comparison]:
    for expression in _checks(relation):
        yield from _terms(expression)


def _outside(expression: Node, column: str, bound: Bound) -> bool:
    """Whether the expression is true for no row within the bound: both sides of OR, or one of AND."""
    if name_of(expression) == "bool_expr" and enum(expression.bool_expr, "boolop") == "OR_EXPR":
        return all(_outside(item, column, bound) for item in expression.bool_expr.args)
    if name_of(expression) == "bool_expr" and enum(expression.bool_expr, "boolop") == "AND_EXPR":
        return any(_outside(item, column, bound) for item in expression.bool_expr.args)
    terms = [item for item in _terms(expression) if item.column == column]
    if bound.is_range:
        below = bound.low is not None and any(_less_than(item, bound.low) for item in terms)
        return below or (bound.high is not None and any(_at_least(item, bound.high) for item in terms))
    wanted = {value for value in bound.values if value is not None}
    return len(wanted) == len(bound.values) > 0 and any(
        item.operator == "<>" and wanted <= set(item.values) for item in terms
    )


def _terms(expression: Node) -> Iterator[Comparison]:
    """The comparisons of a column with constants that are joined by AND."""
    name, inner = name_of(expression), content(expression)
    if name == "bool_expr" and enum(inner, "boolop") == "AND_EXPR":
        for item in inner.args:
            yield from _terms(item)
    elif name == "a_expr":
        kind, operator = enum(inner, "kind"), (strings(inner.name) or ("",))[-1]
        left, right = _stripped(inner.lexpr), _stripped(inner.rexpr)
        if kind == "AEXPR_OP" and operator in _OPPOSITE:
            if name_of(left) == "column_ref":
                yield from _compare(left, operator, [right])
            elif name_of(right) == "column_ref":
                yield from _compare(right, _OPPOSITE[operator], [left])
        elif operator == "=" and name_of(left) == "column_ref":
            if kind == "AEXPR_IN" and name_of(right) == "list":
                yield from _compare(left, "=", right.list.items)
            elif kind == "AEXPR_OP_ANY" and name_of(right) == "a_array_expr":
                yield from _compare(left, "=", right.a_array_expr.elements)
        elif (operator, name_of(left), name_of(right)) == ("<>", "column_ref", "a_array_expr"):
            yield from _compare(left, "<>", right.a_array_expr.elements) if kind == "AEXPR_OP_ALL" else ()


def _compare(column: Node, operator: str, items: Iterable[Node]) -> Iterator[Comparison]:
    values = [_constant(item) for item in items]
    known = [value for value in values if value is not None]
    if known and len(known) == len(values):
        yield Comparison(strings(column.column_ref.fields)[-1], operator, tuple(known))


def _stripped(node: Node) -> Node:
    while name_of(node) == "type_cast":
        node = node.type_cast.arg
    return node


def _constant(node: Node) -> Value | None:
    inner = _stripped(node)
    if name_of(inner) != "a_const" or inner.a_const.isnull:
        return None
    value = inner.a_const
    if value.HasField("ival"):
        return Decimal(value.ival.ival)
    text = value.fval.fval if value.HasField("fval") else value.sval.sval if value.HasField("sval") else None
    if text is None:
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return str(text)


def _is_null(node: Node) -> bool:
    inner = _stripped(node)
    return name_of(inner) == "a_const" and bool(inner.a_const.isnull)


def _at_least(item: Comparison, low: Value) -> bool:
    return item.operator in ("=", ">=", ">") and all(_not_below(value, low) for value in item.values)


def _less_than(item: Comparison, high: Value) -> bool:
    if item.operator == "<":
        return all(_not_below(high, value) for value in item.values)
    return item.operator in ("=", "<=") and all(_below(value, high) for value in item.values)


def _is_not(item: Comparison, value: Value) -> bool:
    if item.operator == "<>":
        return value in item.values
    if item.operator == "=":
        return all(_comparable(other, value) and other != value for other in item.values)
    if item.operator == ">":
        return all(_not_below(other, value) for other in item.values)
    if item.operator == ">=":
        return all(_below(value, other) for other in item.values)
    if item.operator == "<":
        return all(_not_below(value, other) for other in item.values)
    return all(_below(other, value) for other in item.values)


def _comparable(first: Value, second: Value) -> bool:
    """Numbers, and days as ISO writes them; how other texts are sorted depends on the collation."""
    if isinstance(first, Decimal) or isinstance(second, Decimal):
        return isinstance(first, Decimal) and isinstance(second, Decimal)
    return len(first) == len(second) and bool(_DATE.match(first) and _DATE.match(second))


def _below(low: Value | None, high: Value | None) -> bool:
    """None: no limit on this side."""
    if low is None or high is None:
        return True
    return _comparable(low, high) and low < high  # type: ignore[operator]


def _not_below(value: Value, low: Value) -> bool:
    return value == low or (_comparable(value, low) and value > low)  # type: ignore[operator]
