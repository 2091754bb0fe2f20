"""UNIQUE, PRIMARY KEY and EXCLUDE: an index is built under ACCESS EXCLUSIVE, or one that is there is taken.

https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT-USING-INDEX
"""

from __future__ import annotations

from migrator.analysis.effects.alter.target import Target
from migrator.analysis.effects.names import virtual_columns
from migrator.analysis.effects.types import types
from migrator.facts.facts import IndexFacts, RelationFacts
from migrator.lock_modes import AX, SUX
from migrator.lock_modes import S as SHARE
from migrator.parsing.nodes import Node, enum, strings


def add(constraint: Node, target: Target, *, columns: tuple[str, ...] = (), new: bool = False) -> None:
    """`columns`: of a column constraint. `new`: the column is added by the same subcommand."""
    out, facts = target.out, target.facts
    kind = enum(constraint, "contype")
    if kind == "CONSTR_PRIMARY" and facts is not None and any(item.kind == "p" for item in facts.constraints):
        out.fail("42P16", f'multiple primary keys for table "{target.bare}" are not allowed')
    _name_is_free(constraint, target)
    if constraint.nulls_not_distinct:
        target.needs(15, "NULLS NOT DISTINCT")
    _lock_below(constraint, target)
    if constraint.indexname:
        _using_index(constraint, target)
        return
    columns = columns or strings(constraint.keys)
    if kind == "CONSTR_EXCLUSION":
        columns = tuple(item.list.items[0].index_elem.name for item in constraint.exclusions)
        if facts is not None and facts.kind == "p" and target.world.major < 17:
            out.fail("0A000", "exclusion constraints are not supported on partitioned tables")
    if facts is not None and facts.kind == "p":
        missing = types.words(facts.partition_key or "") & set(facts.columns) - set(columns)
        if missing:
            what = f"unique constraint on partitioned table must include all partitioning columns: {sorted(missing)}"
            out.fail("0A000", what)
    if not new:
        for name in filter(None, columns):
            target.column(name)
        if facts is not None and target.world.major >= 18:
            virtual_columns.indexed(columns, facts, out)
    _build(constraint, target, columns)
    out.risk("23P01" if kind == "CONSTR_EXCLUSION" else "23505", "two rows have the same key")
    if kind == "CONSTR_PRIMARY" and not new:
        for name in columns:
            if not target.world.proves_not_null(target.name, name):
                out.risk("23502", f'column "{name}" contains null values')


def _lock_below(constraint: Node, target: Target) -> None:
    """Since 18 as hard as the table; before, partitions are only kept from changing while their index is built."""
    new_keys = enum(constraint, "contype") == "CONSTR_PRIMARY"
    world = target.world
    for name in target.below:
        if world.major >= 18:
            target.out.lock(name, AX)
        elif target.kind == "p":
            nullable = (column for column in strings(constraint.keys) if not world.proves_not_null(name, column))
            target.out.lock(name, AX if new_keys and any(nullable) else SHARE)
    if target.below:
        target.out.differs("before 18 the partitions of a table that gets a key are locked SHARE")


def _build(constraint: Node, target: Target, columns: tuple[str, ...]) -> None:
    """On a partitioned table in every partition without such a key; on an inheritance parent in the table alone."""
    if target.kind != "p":
        target.scan((target.name,))
        return
    for name in target.family:
        there = _own_key(constraint, target.world.relation(name), columns)
        if there is None:
            target.scan((name,))
        else:
            target.out.lock(there, SHARE)


def _own_key(constraint: Node, facts: RelationFacts | None, columns: tuple[str, ...]) -> str | None:
    """The index of a partition's own key that becomes part of the new one (DefineIndex in indexcmds.c)."""
    kind = {"CONSTR_UNIQUE": "u", "CONSTR_PRIMARY": "p"}.get(enum(constraint, "contype"))
    valid = {item.name for item in facts.indexes if item.valid} if facts is not None else set()
    more = ", ".join(strings(constraint.including))
    for item in facts.constraints if facts is not None else ():
        included = item.definition.partition(" INCLUDE (")[2].partition(")")[0].replace('"', "")
        distinct = " NULLS NOT DISTINCT" not in item.definition
        alike = item.kind == kind and item.columns == columns and included == more
        if alike and item.index in valid and distinct != bool(constraint.nulls_not_distinct):
            return item.index
    return None


def _name_is_free(constraint: Node, target: Target) -> None:
    name = constraint.conname
    if not name or name == constraint.indexname:
        return
    if target.facts is not None and any(item.name == name for item in target.facts.constraints):
        what = f'constraint "{name}" for relation "{target.bare}" already exists'
        target.out.fail("42710" if constraint.indexname else "42P07", what)
    elif target.world.exists(f"{target.schema}.{name}"):
        target.out.fail("42P07", f'relation "{name}" already exists')


def _using_index(constraint: Node, target: Target) -> None:
    """Only the catalog changes; but a PRIMARY KEY reads the table unless its columns are NOT NULL for sure."""
    out, world = target.out, target.world
    if target.kind == "p":
        out.fail("0A000", "ADD CONSTRAINT USING INDEX is not supported on partitioned tables")
        return
    name = f"{target.schema}.{constraint.indexname}"
    found = world.index_of(name)
    if found is None:
        if world.exists(name) is False:
            out.fail("42704", f'index "{constraint.indexname}" does not exist')
        elif enum(constraint, "contype") == "CONSTR_PRIMARY":
            what = f"the columns of index {constraint.indexname} are NOT NULL already"
            out.assume(f"{what}: if one is not, the whole table is read to see whether it could be")
        return
    table, index = found
    _can_back_a_key(index, table, constraint, target)
    if constraint.conname and constraint.conname != constraint.indexname:
        out.lock(name, SUX)  # it gets the constraint's name
    if enum(constraint, "contype") == "CONSTR_PRIMARY":
        for column in index.columns:
            if not world.proves_not_null(target.name, column):
                target.scan((target.name,))
                out.risk("23502", f'column "{column}" contains null values')


def _can_back_a_key(index: IndexFacts, table: RelationFacts, constraint: Node, target: Target) -> None:
    name = constraint.indexname
    if table.name != target.name:
        target.out.fail("55000", f'index "{name}" does not belong to table "{target.bare}"')
    elif index.constraint:
        target.out.fail("55000", f'index "{name}" is already associated with a constraint')
    elif not index.valid:
        target.out.fail("55000", f'index "{name}" is not valid')
    elif not index.unique:
        target.out.fail("42809", f'"{name}" is not a unique index')
    elif index.expressions:
        target.out.fail("42809", f'index "{name}" contains expressions')
    elif index.predicate is not None:
        target.out.fail("42809", f'"{name}" is a partial index')
    elif " DESC" in index.definition or " NULLS FIRST" in index.definition:
        target.out.fail("42809", f'index "{name}" does not have default sorting behavior')
