"""Where the rows of INSERT go in a tree of partitions: only what a row passes through is locked.

ExecFindPartition in src/backend/executor/execPartition.c.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from migrator.analysis.effects.expressions import constraint_node
from migrator.analysis.effects.model import Recorder
from migrator.analysis.effects.partitions.level import level
from migrator.analysis.effects.partitions.values import Reading, Value, read
from migrator.analysis.effects.types import types
from migrator.analysis.effects.world import World
from migrator.facts.facts import ConstraintFacts, RelationFacts
from migrator.parsing.nodes import Node, name_of, strings

Row = Mapping[str, Node]
"""Expressions by column."""
Path = tuple[str, ...] | Reading
"""The partitions that a row passes through, empty when none takes it."""
CUSTOM_PLANS = 5
"""Times that a foreign key's query is planned for its very values, before the plan may be one for all
(choose_custom_plan in src/backend/utils/cache/plancache.c)."""
_ROUNDED = ("numeric", "timestamp", "timestamptz")


def rows_of(stmt: Node, columns: Sequence[str] | None) -> tuple[Row, ...] | None:
    """The rows of VALUES, or of SELECT of nothing but expressions; None: they come from elsewhere."""
    if columns is None or not stmt.HasField("select_stmt"):
        return None if columns is None else ({},)
    select = stmt.select_stmt.select_stmt
    if len(select.values_lists):
        return tuple([dict(zip(columns, item.list.items, strict=False)) for item in select.values_lists])
    if {field.name for field, _ in select.ListFields()} <= {"target_list", "limit_option", "op"}:
        return (dict(zip(columns, (item.res_target.val for item in select.target_list), strict=False)),)
    return None


def reached(table: RelationFacts, rows: Sequence[Row] | None, world: World, out: Recorder) -> tuple[str, ...]:
    """Partitions that get rows, with those in between; all of them, by assumption, where it is not known."""
    paths = [] if rows is None else [path(table.name, _cell(row, table, world), world) for row in rows]
    if rows is None or any(isinstance(item, Reading) for item in paths):
        out.assume(f"rows go to any partition of {table.name}: only those that get one are locked")
        _none_may_fit(table, world, out)
        return table.partitions
    passed = {name for item in paths if not isinstance(item, Reading) for name in item}
    return tuple(name for name in table.partitions if name in passed)


def refused(table: RelationFacts, rows: Sequence[Row] | None, world: World) -> bool:
    """Whether no partition takes one of the rows."""
    return any(path(table.name, _cell(row, table, world), world) == () for row in rows or ())


def moved(table: RelationFacts, row: Row, already: Collection[str], world: World, out: Recorder) -> tuple[str, ...]:
    """Partitions that rows with a new key go to, where there are such rows; `already`: what is locked anyway."""
    known = {column: node for column, node in row.items() if name_of(node) != "set_to_default"}

    def cell(column: str, kind: str) -> Value | Reading | None:
        return _null_is_none(read(known[column], kind, world)) if column in known else Reading.UNKNOWN

    to = path(table.name, cell, world)
    if isinstance(to, Reading) or not to:
        _none_may_fit(table, world, out)
    wanted = table.partitions if isinstance(to, Reading) else to
    new = tuple(name for name in wanted if name not in already)
    if new:
        out.assume(f"rows of {table.name} that get another key go to other partitions, which are locked then")
    return new


def _none_may_fit(table: RelationFacts, world: World, out: Recorder) -> None:
    trees = (table, *filter(None, map(world.relation, table.partitions)))
    if any(facts.kind == "p" and facts.default_partition is None for facts in trees):
        out.risk("23514", f"no partition of {table.name} may be there for a row")


def path(name: str, cell: Callable[[str, str], Value | Reading | None], world: World) -> Path:
    """:param cell: the value of a column, as one of a kind."""
    found: list[str] = []
    facts = world.relation(name)
    while facts is not None and facts.kind == "p":
        here = level(facts, world)
        values = [cell(*key) for key in zip(here.columns, here.kinds, strict=True)] if here is not None else []
        known = [value for value in values if not isinstance(value, Reading)]
        if here is None or len(known) < len(values):
            return Reading.UNKNOWN
        to = here.of_row(known)
        if isinstance(to, Reading):
            return to
        if to is None:
            return ()
        found.append(to)
        facts = world.relation(to)
    return tuple(found)


def _cell(row: Row, table: RelationFacts, world: World) -> Callable[[str, str], Value | Reading | None]:
    def cell(column: str, kind: str) -> Value | Reading | None:
        known = table.columns.get(column)
        if known is None or (known.type.find("(") >= 0 and kind in _ROUNDED):
            return Reading.UNKNOWN
        node = row.get(column)
        if node is None or name_of(node) == "set_to_default":
            filled = known.default is not None or known.identity or known.generated
            return Reading.UNKNOWN if filled else None
        return _null_is_none(read(node, kind, world))

    return cell


def _null_is_none(value: Value | Reading) -> Value | Reading | None:
    return None if value is Reading.NULL else value


def looked_into(item: ConstraintFacts, rows: Sequence[Row] | None, world: World, out: Recorder) -> tuple[str, ...]:
    """Partitions in which a foreign key looks for the rows that new ones refer to."""
    facts = world.relation(item.referenced or "")
    if facts is None or facts.kind != "p":
        return facts.partitions if facts is not None else ()
    node = constraint_node(item.definition)
    columns = dict(zip(strings(node.pk_attrs), item.columns, strict=False)) if node is not None else {}
    paths: list[Path] = [Reading.UNKNOWN]
    if rows is not None and len(rows) <= CUSTOM_PLANS and columns:
        paths = [path(facts.name, _referring(row, columns, world), world) for row in rows]
    if any(isinstance(found, Reading) for found in paths):
        out.assume(f"in which partitions of {facts.name} the constraint {item.name} looks depends on the rows")
        return facts.partitions
    passed = {name for found in paths if not isinstance(found, Reading) for name in found}
    return tuple(name for name in facts.partitions if name in passed)


def _referring(row: Row, columns: Mapping[str, str], world: World) -> Callable[[str, str], Value | Reading | None]:
    def cell(column: str, kind: str) -> Value | Reading | None:
        node = row.get(columns.get(column, ""))
        return Reading.UNKNOWN if node is None else _null_is_none(read(node, kind, world))

    return cell


def keyed_by(table: RelationFacts, columns: Collection[str], world: World) -> bool:
    """Whether partitions of the table, at any depth, are told apart by one of the columns."""
    every = (table, *filter(None, map(world.relation, table.partitions)))
    keys = (types.words(facts.partition_key or "") for facts in every if facts.kind == "p")
    return any(key & set(columns) for key in keys)
