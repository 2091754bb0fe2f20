"""Constraints added without reading the table under a lock that blocks: NOT VALID first, or an index built before."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from migrator.analysis.effects.world import ASSUMED
from migrator.analysis.rules.alteration import Alteration
from migrator.analysis.rules.names import object_name
from migrator.analysis.rules.online.expressions import constraint_of
from migrator.analysis.rules.online.steps import Steps
from migrator.facts.facts import RelationFacts
from migrator.parsing.build import beside, build, range_var
from migrator.parsing.nodes import Node, copy_of, enum, find, strings

NOT_NULL_CONSTRAINTS = 18
"""From this major on NOT NULL is a constraint that can be added NOT VALID."""


def add_constraint(alteration: Alteration) -> Steps | None:
    """ADD CONSTRAINT; None where there is no way online."""
    return constrained(alteration, alteration.constraint)


def constrained(alteration: Alteration, constraint: Node, *, filled: bool = False) -> Steps | None:
    """The steps for one table constraint. `filled`: its columns are new, so everything waits until they are filled."""
    kind = enum(constraint, "contype")
    add = build("ALTER TABLE tbl ADD CONSTRAINT con CHECK (true)", tbl=alteration.relation, con=constraint)
    if constraint.skip_validation or constraint.indexname or not _reads(kind, constraint):
        return _using_index(alteration, constraint, add) if constraint.indexname else _instant(kind, add, filled)
    if kind in ("CONSTR_CHECK", "CONSTR_FOREIGN", "CONSTR_NOTNULL"):
        if kind == "CONSTR_FOREIGN" and alteration.is_partitioned and alteration.world.major < 18:
            return by_partition(alteration, constraint)
        return _not_valid(alteration, constraint, kind, add)
    if kind in ("CONSTR_UNIQUE", "CONSTR_PRIMARY") and not constraint.without_overlaps:
        make = _unique_by_partition if alteration.is_partitioned else _unique
        return make(alteration, constraint)
    return None


def by_partition(alteration: Alteration, constraint: Node) -> Steps | None:
    """A foreign key of a partitioned table before PostgreSQL 18: each partition gets it NOT VALID, and the table's own
    takes over what is valid there without reading it (tryAttachPartitionForeignKey in tablecmds.c). That takes ACCESS
    EXCLUSIVE on the referenced table, for an instant."""
    made = copy_of(constraint)
    made.conname = constraint.conname or default_name(alteration, constraint)
    made.skip_validation, made.initially_valid = False, True
    whole = build("ALTER TABLE tbl ADD CONSTRAINT con CHECK (true)", tbl=alteration.relation, con=made)
    made.skip_validation, made.initially_valid = True, False
    leaves = [leaf for leaf in map(alteration.world.relation, alteration.world.leaves(alteration.table)) if leaf]
    if alteration.subtype != "AT_AddConstraint" or any(leaf.kind not in "rp" for leaf in leaves):
        return None
    tables = [range_var(leaf.name) for leaf in leaves if leaf.kind == "r"]
    return Steps(
        refer=tuple(build("ALTER TABLE tbl ADD CONSTRAINT con CHECK (true)", tbl=table, con=made) for table in tables),
        validate=tuple(_validate(table, made.conname) for table in tables),
        finish=(whole,),
    )


def enforced(alteration: Alteration) -> Steps | None:
    """ALTER CONSTRAINT ... ENFORCED: made anew NOT VALID, which checks new rows at once, and validated afterwards."""
    change = getattr(alteration.command, "def").atalter_constraint
    if not alteration.heavy:
        return Steps(expand=(alteration.alone,))
    known = alteration.world.constraint(alteration.table, change.conname)
    made = constraint_of(known.definition, known.name) if known is not None else None
    if made is None or alteration.effects.fails or change.alter_deferrability or alteration.is_partitioned:
        return None
    made.is_enforced, made.skip_validation, made.initially_valid = True, True, False
    table = alteration.relation
    drop = build("ALTER TABLE tbl DROP CONSTRAINT con", tbl=table, con=made.conname)
    add = build("ALTER TABLE tbl ADD CONSTRAINT con CHECK (true)", tbl=table, con=made)
    return Steps(expand=(drop,), refer=(add,), validate=(_validate(table, made.conname),))


def validated(alteration: Alteration) -> Steps:
    """VALIDATE CONSTRAINT is safe where no strong lock of the same transaction is held."""
    return Steps(validate=(alteration.alone,))


def set_not_null(alteration: Alteration) -> Steps:
    return not_null(alteration, alteration.command.name)


def not_null(alteration: Alteration, column: str, name: str = "") -> Steps:
    """NOT NULL for a column that holds no NULL any more.

    On PostgreSQL 18 and later a NOT NULL constraint that is added NOT VALID; before, and where the version is unknown,
    a CHECK that proves it, which is dropped in the end.
    """
    table, world = alteration.relation, alteration.world
    proved = build("ALTER TABLE tbl ALTER COLUMN col SET NOT NULL", tbl=table, col=column)
    if world.proves_not_null(alteration.table, column):
        return Steps(finish=(proved,))
    if (world.facts is not None or world.assumed is not ASSUMED) and world.major >= NOT_NULL_CONSTRAINTS:
        name = name or object_name(table.relname, column, "not_null", taken=taken(alteration))
        add = build("ALTER TABLE tbl ADD CONSTRAINT con NOT NULL col NOT VALID", tbl=table, con=name, col=column)
        return Steps(constrain=(add,), validate=(_validate(table, name),))
    name = object_name(table.relname, column, "not_null_check", taken=taken(alteration))
    check = build(
        "ALTER TABLE tbl ADD CONSTRAINT con CHECK (col IS NOT NULL) NOT VALID", tbl=table, con=name, col=column
    )
    drop = build("ALTER TABLE tbl DROP CONSTRAINT con", tbl=table, con=name)
    return Steps(constrain=(check,), validate=(_validate(table, name),), finish=(proved, drop))


def taken(alteration: Alteration) -> Collection[str]:
    """Names of constraints and indexes that the table has."""
    return _names(alteration.facts) if alteration.facts is not None else ()


def _names(facts: RelationFacts) -> Collection[str]:
    return {item.name for item in facts.constraints} | {item.name.partition(".")[2] for item in facts.indexes}


def _reads(kind: str, constraint: Node) -> bool:
    return constraint.is_enforced or kind not in ("CONSTR_CHECK", "CONSTR_FOREIGN")


def _instant(kind: str, add: Node, filled: bool) -> Steps:
    if kind == "CONSTR_FOREIGN":
        return Steps(refer=(add,))
    return Steps(constrain=(add,)) if filled else Steps(expand=(add,))


def _not_valid(alteration: Alteration, constraint: Node, kind: str, add: Node) -> Steps:
    table = alteration.relation
    item = getattr(add.alter_table_stmt.cmds[0].alter_table_cmd, "def").constraint
    item.skip_validation = True
    item.initially_valid = False
    item.conname = constraint.conname or default_name(alteration, constraint)
    validate = _validate(table, item.conname)
    if kind == "CONSTR_FOREIGN":
        return Steps(refer=(add,), validate=(validate,))
    return Steps(constrain=(add,), validate=(validate,))


def _validate(table: Node, name: str) -> Node:
    return build("ALTER TABLE tbl VALIDATE CONSTRAINT con", tbl=table, con=name)


def default_name(alteration: Alteration, constraint: Node) -> str:
    """The name that PostgreSQL gives to a constraint without one (ChooseConstraintName, ChooseIndexName)."""
    return _default_name(constraint, alteration.relation.relname, taken(alteration))


def _default_name(constraint: Node, table: str, names: Collection[str]) -> str:
    kind = enum(constraint, "contype")
    columns: Sequence[str]
    if kind == "CONSTR_CHECK":
        used = tuple(dict.fromkeys(strings(item.fields)[-1] for item in find(constraint.raw_expr, "ColumnRef")))
        columns, label = used if len(used) == 1 else (), "check"
    elif kind == "CONSTR_FOREIGN":
        columns, label = strings(constraint.fk_attrs), "fkey"
    elif kind == "CONSTR_NOTNULL":
        columns, label = strings(constraint.keys), "not_null"
    elif kind == "CONSTR_PRIMARY":
        columns, label = (), "pkey"
    else:
        columns, label = (*strings(constraint.keys), *strings(constraint.including)), "key"
    return object_name(table, "_".join(columns), label, taken=names)


def _unique(alteration: Alteration, constraint: Node) -> Steps:
    """UNIQUE or PRIMARY KEY: the index first, then the constraint takes it over."""
    name = constraint.conname or default_name(alteration, constraint)
    index, add = _taken_over(alteration.relation, constraint, name)
    return _keys(alteration, constraint, strings(constraint.keys)) + Steps(index=(index,), finish=(add,))


def _unique_by_partition(alteration: Alteration, constraint: Node) -> Steps | None:
    """Each partition gets the key by way of its own index; the table's key then takes them over without reading.

    USING INDEX is refused for a partitioned table itself, and so is an index of ONLY the table (55000: not valid).
    """
    world = alteration.world
    leaves = [world.relation(name) for name in world.leaves(alteration.table)]
    if alteration.subtype != "AT_AddConstraint" or alteration.effects.fails or not alteration.relation.inh:
        return None
    built: list[Node] = []
    for leaf in leaves:
        if leaf is None or leaf.kind not in "rp":
            return None
        if leaf.kind == "r":
            table = range_var(leaf.name)
            name = _default_name(constraint, table.relname, _names(leaf))
            built += _taken_over(table, constraint, name)
    add = build("ALTER TABLE tbl ADD CONSTRAINT con CHECK (true)", tbl=alteration.relation, con=constraint)
    return _keys(alteration, constraint, strings(constraint.keys)) + Steps(index=tuple(built), finish=(add,))


def _taken_over(table: Node, constraint: Node, name: str) -> tuple[Node, Node]:
    """CREATE INDEX CONCURRENTLY, and ADD CONSTRAINT USING INDEX."""
    columns = strings(constraint.keys)
    using = copy_of(constraint)
    using.conname = using.indexname = name
    index = build(
        "CREATE UNIQUE INDEX CONCURRENTLY idx ON tbl (keys) INCLUDE (more)",
        idx=using.indexname,
        tbl=beside(table, table.relname),
        keys=columns,
        more=strings(constraint.including),
    )
    index.index_stmt.nulls_not_distinct = constraint.nulls_not_distinct
    index.index_stmt.options.extend(constraint.options)
    index.index_stmt.table_space = constraint.indexspace
    for field in ("keys", "including", "options", "indexspace", "nulls_not_distinct"):
        using.ClearField(field)
    return index, build("ALTER TABLE tbl ADD CONSTRAINT con CHECK (true)", tbl=table, con=using)


def _using_index(alteration: Alteration, constraint: Node, add: Node) -> Steps | None:
    """A PRIMARY KEY that takes over an index still reads the table for columns that may be NULL."""
    found = alteration.world.index_of(f"{alteration.table.partition('.')[0]}.{constraint.indexname}")
    columns = found[1].columns if found is not None else ()
    return _keys(alteration, constraint, columns) + Steps(finish=(add,))


def _keys(alteration: Alteration, constraint: Node, columns: Sequence[str]) -> Steps:
    """NOT NULL for the columns of a primary key."""
    steps = Steps()
    if enum(constraint, "contype") == "CONSTR_PRIMARY":
        for column in columns:
            if not alteration.world.proves_not_null(alteration.table, column):
                steps += not_null(alteration, column)
    return steps
