"""A new partition without closing the partitioned table, its default partition, or the table that becomes one.

ATTACH PARTITION needs not read a table whose valid CHECK says that all rows fit the bound, nor a default partition
whose CHECK says that none does: https://www.postgresql.org/docs/current/ddl-partitioning.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from migrator.analysis.effects import World
from migrator.analysis.rules.names import object_name
from migrator.facts.facts import RelationFacts
from migrator.parsing.build import build, range_var, script
from migrator.parsing.nodes import Node, assign, copy_of, name_of

_KEY = re.compile(r'(?:RANGE|LIST) \("?(?P<column>\w+)"?\)')
_LIMITLESS = "column_ref"
"""What MINVALUE and MAXVALUE are in the tree."""


def attach(node: Node, world: World, *, reads: Sequence[str]) -> str | None:
    """ALTER TABLE ... ATTACH PARTITION as migrations. `reads`: the relations that it would read.

    None for hash partitions, keys of several columns or of expressions, and what is not known.
    """
    command = getattr(node.alter_table_stmt.cmds[0].alter_table_cmd, "def").partition_cmd
    parent = world.relation(world.name(node.alter_table_stmt.relation))
    column = key_column(parent)
    if parent is None or column is None or len(node.alter_table_stmt.cmds) != 1:
        return None
    part = world.name(command.name)
    before: list[list[Node]] = []
    after: list[Node] = []
    if part in reads:
        facts = world.relation(part)
        fits = inside(column, command.bound, nullable=facts is None or not _never_null(facts, column))
        if fits is None or (facts is not None and facts.kind == "p"):
            return None
        _checked(command.name, object_name(command.name.relname, "bound", "check"), fits, before, after)
    if not _spare_default(parent, column, command.bound, command.name.relname, world, reads, before, after):
        return None
    return script(*before, [node], after)


def create(node: Node, world: World, *, reads: Sequence[str]) -> str | None:
    """CREATE TABLE ... PARTITION OF as a table of its own that is attached."""
    stmt = node.create_stmt
    relation = stmt.inh_relations[0].range_var
    parent = world.relation(world.name(relation))
    if parent is None or len(stmt.table_elts) or stmt.partbound.is_default:
        return None
    table = build(
        "CREATE TABLE part (LIKE par INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING INDEXES"
        " INCLUDING STORAGE INCLUDING COMPRESSION)",
        part=stmt.relation,
        par=relation,
    )
    for field in ("partspec", "options", "tablespacename", "access_method", "if_not_exists"):
        if field == "options":
            table.create_stmt.options.extend(stmt.options)
        elif field == "partspec":
            if stmt.HasField(field):
                assign(table.create_stmt.partspec, stmt.partspec)
        else:
            setattr(table.create_stmt, field, getattr(stmt, field))
    attached = build("ALTER TABLE par ATTACH PARTITION part DEFAULT", par=relation, part=stmt.relation)
    bound = getattr(attached.alter_table_stmt.cmds[0].alter_table_cmd, "def").partition_cmd.bound
    assign(bound, stmt.partbound)
    before: list[list[Node]] = []
    after: list[Node] = []
    column = key_column(parent)
    if parent.default_partition is not None and (
        column is None
        or not _spare_default(parent, column, stmt.partbound, stmt.relation.relname, world, reads, before, after)
    ):
        return None
    return script(*before, [table, attached], after)


def key_column(parent: RelationFacts | None) -> str | None:
    """The column of a key that is one plain column, by range or by list."""
    match = _KEY.fullmatch(parent.partition_key or "") if parent is not None else None
    return match["column"] if match else None


def inside(column: str, bound: Node, *, nullable: bool) -> Node | None:
    """An expression that is true for the rows within the bound; None when it cannot be written."""
    if bound.strategy == "l":
        if any(_is_null(item) for item in bound.listdatums):
            return None
        test = _expression("SELECT col = ANY (ARRAY[vals])", col=column, vals=list(bound.listdatums))
    elif bound.strategy == "r":
        ends = []
        if name_of(bound.lowerdatums[0]) != _LIMITLESS:
            ends.append(_expression("SELECT col >= low", col=column, low=bound.lowerdatums[0]))
        if name_of(bound.upperdatums[0]) != _LIMITLESS:
            ends.append(_expression("SELECT col < high", col=column, high=bound.upperdatums[0]))
        if not ends:
            return None
        test = ends[0] if len(ends) == 1 else _expression("SELECT a AND b", a=ends[0], b=ends[1])
    else:
        return None
    return _expression("SELECT col IS NOT NULL AND test", col=column, test=test) if nullable else test


def outside(column: str, bound: Node) -> Node | None:
    """An expression that is true for the rows that are not within the bound."""
    if bound.strategy == "l":
        if any(_is_null(item) for item in bound.listdatums):
            return None
        return _expression("SELECT col <> ALL (ARRAY[vals])", col=column, vals=list(bound.listdatums))
    if bound.strategy != "r":
        return None
    ends = []
    if name_of(bound.lowerdatums[0]) != _LIMITLESS:
        ends.append(_expression("SELECT col < low", col=column, low=bound.lowerdatums[0]))
    if name_of(bound.upperdatums[0]) != _LIMITLESS:
        ends.append(_expression("SELECT col >= high", col=column, high=bound.upperdatums[0]))
    if not ends:
        return None
    return ends[0] if len(ends) == 1 else _expression("SELECT a OR b", a=ends[0], b=ends[1])


def _spare_default(
    parent: RelationFacts,
    column: str,
    bound: Node,
    part: str,
    world: World,
    reads: Sequence[str],
    before: list[list[Node]],
    after: list[Node],
) -> bool:
    """Proves to PostgreSQL that no row of the default partition belongs to the new one. False when it cannot be."""
    default = parent.default_partition
    if default is None or default not in reads:
        return True
    facts, free = world.relation(default), outside(column, bound)
    if free is None or facts is None or facts.kind != "r":
        return False
    table = range_var(default)
    _checked(table, object_name(table.relname, part, "check"), free, before, after)
    return True


def _checked(table: Node, name: str, test: Node, before: list[list[Node]], after: list[Node]) -> None:
    """The CHECK comes NOT VALID, is validated by itself, and goes once it has served."""
    before.append([build("ALTER TABLE tbl ADD CONSTRAINT con CHECK (test) NOT VALID", tbl=table, con=name, test=test)])
    before.append([build("ALTER TABLE tbl VALIDATE CONSTRAINT con", tbl=table, con=name)])
    after.append(build("ALTER TABLE tbl DROP CONSTRAINT con", tbl=table, con=name))


def _never_null(facts: RelationFacts, column: str) -> bool:
    known = facts.columns.get(column)
    return known is not None and known.not_null


def _is_null(item: Node) -> bool:
    return name_of(item) == "a_const" and bool(item.a_const.isnull)


def _expression(template: str, **values: Node | str | list[Node]) -> Node:
    return copy_of(build(template, **values).select_stmt.target_list[0].res_target.val)
