"""What part of a table's rows a WHERE leaves, from pg_stats: for simple predicates as the planner does it.

https://www.postgresql.org/docs/current/row-estimation-examples.html. Pure; for statements that the server was not asked
about, such as those inside of a DO block.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from migrator.analysis.estimate.model import ColumnStatistics
from migrator.facts.facts import RelationFacts
from migrator.parsing.nodes import Node, content, enum, name_of, strings

Columns = Mapping[str, ColumnStatistics]
FEW = 0.05
"""Up to this part of the rows an index on the column is taken to find them."""


@dataclass(frozen=True)
class Left:
    """What a WHERE leaves."""

    fraction: float
    basis: str
    by_index: bool = False


def left_by(where: Node, relation: RelationFacts, columns: Columns, rows: int) -> Left | None:
    """Of a statement about one table, so that other names are variables. None: nothing is known of any of its parts.
    Parts of which nothing is known leave all rows."""
    parts = tuple(conjuncts(where))
    equal = {name for part in parts for name in _equal_columns(part, relation)}
    unique = [item for item in relation.indexes if item.unique and item.valid and item.predicate is None]
    if any(item.columns and equal.issuperset(item.columns) for item in unique):
        return Left(1 / max(1, rows), "equal to a unique key", by_index=True)
    fractions = {index: fraction(part, columns, rows) for index, part in enumerate(parts)}
    known = {index: found for index, found in fractions.items() if found is not None}
    if not known:
        return None
    total = 1.0
    for found in known.values():
        total *= found
    firsts = {item.columns[0] for item in relation.indexes if item.valid and item.columns and item.predicate is None}
    by_index = any(found <= FEW and _column(parts[index]) in firsts for index, found in known.items())
    part_of = "" if len(known) == len(parts) else f" of {len(known)} of {len(parts)} conditions"
    return Left(min(1.0, total), f"from pg_stats{part_of}", by_index)


def fraction(node: Node, columns: Columns, rows: int) -> float | None:
    """Of one condition; None: it is not as simple as that."""
    item = content(node)
    kind = name_of(node)
    if kind == "bool_expr":
        return _combined(item, columns, rows)
    column = columns.get(_column(node) or "")
    if column is None:
        return None
    if kind == "null_test":
        return column.null_fraction if enum(item, "nulltesttype") == "IS_NULL" else 1 - column.null_fraction
    if kind == "column_ref":
        return _equal(column, "t", rows)
    return _compared(item, column, rows) if kind == "a_expr" else None


def _combined(item: Node, columns: Columns, rows: int) -> float | None:
    """AND, OR and NOT, as if the conditions had nothing to do with each other."""
    found = [fraction(part, columns, rows) for part in item.args]
    known = [one for one in found if one is not None]
    operator = enum(item, "boolop")
    if operator == "NOT_EXPR":
        return 1 - known[0] if known and name_of(item.args[0]) == "null_test" else None
    if len(known) < len(found):
        return None
    result = 1.0
    for one in known:
        result *= one if operator == "AND_EXPR" else 1 - one
    return result if operator == "AND_EXPR" else 1 - result


def _compared(item: Node, column: ColumnStatistics, rows: int) -> float | None:
    operator, kind = (strings(item.name) or ("",))[-1], enum(item, "kind")
    if kind == "AEXPR_IN":
        values = [_constant(one) for one in item.rexpr.list.items]
        some = min(1.0, sum(_equal(column, value, rows) for value in values))
        return some if operator == "=" else max(0.0, 1 - column.null_fraction - some)
    if kind == "AEXPR_BETWEEN":
        low, high = (_constant(one) for one in item.rexpr.list.items)
        below, upto = _below(column, low), _below(column, high, itself=True)
        return None if below is None or upto is None else max(0.0, upto - below)
    if kind != "AEXPR_OP":
        return None
    value = _constant(item.rexpr)
    if operator in ("=", "<>", "!="):
        equal = _equal(column, value, rows)
        return equal if operator == "=" else max(0.0, 1 - column.null_fraction - equal)
    below = _below(column, value, itself=operator in ("<=", ">")) if operator in ("<", "<=", ">", ">=") else None
    if below is None:
        return None
    return below if operator.startswith("<") else max(0.0, 1 - column.null_fraction - below)


def _equal(column: ColumnStatistics, value: str | None, rows: int) -> float:
    """A value that is not known counts as one of the many."""
    for common, frequency in column.common:
        if common == value:
            return frequency
    distinct = column.distinct if column.distinct >= 0 else -column.distinct * rows
    listed = sum(frequency for _, frequency in column.common) if value is not None else 0.0
    others = max(1.0, distinct - (len(column.common) if value is not None else 0))
    return max(0.0, 1 - column.null_fraction - listed) / others


def _below(column: ColumnStatistics, value: str | None, *, itself: bool = False) -> float | None:
    """The part of the rows below a value, or up to it: the common ones, and the others by the histogram."""
    number = _number(value)
    bounds = [found for found in map(_number, column.bounds) if found is not None]
    if number is None or len(bounds) < len(column.bounds) or not (bounds or column.common):
        return None
    numbers = [(_number(text), frequency) for text, frequency in column.common]
    if any(found is None for found, _ in numbers):
        return None
    common = sum(
        frequency
        for found, frequency in numbers
        if found is not None and (found < number or (itself and found == number))
    )
    rest = max(0.0, 1 - column.null_fraction - sum(frequency for _, frequency in column.common))
    return common + rest * _position(bounds, number)


def _position(bounds: Sequence[float], number: float) -> float:
    if len(bounds) < 2:
        return 0.5
    place = bisect_left(bounds, number)
    if place in (0, len(bounds)):
        return 0.0 if place == 0 else 1.0
    low, high = bounds[place - 1], bounds[place]
    return (place - 1 + ((number - low) / (high - low) if high > low else 0.5)) / (len(bounds) - 1)


def _number(text: str | None) -> float | None:
    """Of a number or a date; other types are not ordered here."""
    try:
        return float(text or "")
    except ValueError:
        pass
    try:
        return datetime.fromisoformat((text or "").replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError):
        return None


def conjuncts(where: Node) -> Iterator[Node]:
    """The conditions that AND combines, however deep."""
    if name_of(where) == "bool_expr" and enum(where.bool_expr, "boolop") == "AND_EXPR":
        for part in where.bool_expr.args:
            yield from conjuncts(part)
    else:
        yield where


def _equal_columns(part: Node, relation: RelationFacts) -> Iterator[str]:
    """A column that is to be one value: a constant, a parameter, or a variable of PL/pgSQL."""
    item = content(part)
    if name_of(part) != "a_expr" or enum(item, "kind") != "AEXPR_OP" or strings(item.name)[-1:] != ("=",):
        return
    column, value = _column(part), name_of(item.rexpr)
    variable = value == "column_ref" and not relation.columns.keys() & set(strings(item.rexpr.column_ref.fields))
    if column is not None and (variable or value == "param_ref" or _constant(item.rexpr) is not None):
        yield column


def _column(node: Node) -> str | None:
    """The plain column on the left side of a condition."""
    item = content(node)
    kind = name_of(node)
    side = {"null_test": "arg", "a_expr": "lexpr"}.get(kind)
    reference = node if kind == "column_ref" else getattr(item, side) if side else None
    if reference is None or name_of(reference) != "column_ref":
        return None
    return (strings(reference.column_ref.fields) or (None,))[-1]


def _constant(node: Node) -> str | None:
    """A constant as pg_stats writes it."""
    while name_of(node) == "type_cast":
        node = node.type_cast.arg
    if name_of(node) != "a_const" or node.a_const.isnull:
        return None
    for field, inner in (("ival", "ival"), ("fval", "fval"), ("sval", "sval"), ("boolval", "boolval")):
        if node.a_const.HasField(field):
            value = getattr(getattr(node.a_const, field), inner)
            return ("t" if value else "f") if field == "boolval" else str(value)
    return None
