"""CREATE TABLE and its like: what already exists and is locked by something new.

transformCreateStmt in src/backend/parser/parse_utilcmd.c, DefineRelation in src/backend/commands/tablecmds.c.
"""

from __future__ import annotations

from collections.abc import Iterable

from migrator.analysis.effects import expressions
from migrator.analysis.effects.model import Recorder
from migrator.analysis.effects.names import column_names, misplaced, virtual_columns
from migrator.analysis.effects.names.definitions import constraint as constraint_facts
from migrator.analysis.effects.names.named import bare, is_free, may, may_create_in, of_kind, there
from migrator.analysis.effects.replay.create import new_name
from migrator.analysis.effects.rows import queries
from migrator.analysis.effects.types.types import is_serial
from migrator.analysis.effects.types.volatility import unsteady_functions
from migrator.analysis.effects.world import World
from migrator.facts.constants import sequences_of
from migrator.facts.facts import RelationFacts
from migrator.lock_modes import AS as ACCESS_SHARE
from migrator.lock_modes import AX, SRX, SUX
from migrator.parsing.nodes import Node, content, enum, find, name_of, option, strings

COPIES_DEFAULTS = 1 << 3
"""CREATE_TABLE_LIKE_DEFAULTS of parsenodes.h: LIKE ... INCLUDING DEFAULTS or ALL."""


def create_table(stmt: Node, world: World, out: Recorder) -> None:
    """A foreign key of the new table locks the table it points to; a partition locks its parent."""
    name = new_name(stmt.relation, world)
    if world.exists(name):
        if not stmt.if_not_exists:
            is_free(name, world, out)
        return
    if stmt.relation.relpersistence != "t":
        may_create_in(name.partition(".")[0], world, out)
    _consistent(stmt, world, out)
    for item in stmt.table_elts:
        kind, definition = name_of(item), content(item)
        if kind == "column_def":
            misplaced.in_constraints(definition.constraints, world, out)
            for own in definition.constraints:
                _foreign_key(own.constraint, name, definition.colname, stmt, world, out)
        elif kind == "constraint":
            misplaced.misplaced(definition.raw_expr, misplaced.CHECK, world, out)
            _foreign_key(definition, name, None, stmt, world, out)
        elif kind == "table_like_clause":
            other = world.name(definition.relation)
            if there(other, world, out) and of_kind(other, "rpmvfc", world, out, "a table or view"):
                may(other, "SELECT", world, out)
                out.lock(other, ACCESS_SHARE)
    for item in stmt.inh_relations:
        parent = world.name(item.range_var)
        if there(parent, world, out):
            if stmt.HasField("partbound"):
                _partition(stmt, parent, world, out)
            else:
                _inherit(parent, world, out)
    types_exist(stmt, world, out)
    if stmt.tablespacename:
        out.risk("42704", f'tablespace "{stmt.tablespacename}" does not exist')
    if stmt.HasField("of_typename"):
        made_of = world.type(strings(stmt.of_typename.names))
        out.lock(made_of.name if made_of is not None else None, ACCESS_SHARE)
    if world.major == 17:
        _defaults(stmt, world, out)


def _consistent(stmt: Node, world: World, out: Recorder) -> None:
    """Each column once, one primary key, and columns that can be computed once for all."""
    columns = [content(item) for item in stmt.table_elts if name_of(item) == "column_def"]
    seen: set[str] = set()
    for definition in columns:
        if definition.colname in seen:
            out.fail("42701", f'column "{definition.colname}" specified more than once')
        seen.add(definition.colname)
    constraints = [content(item) for item in stmt.table_elts if name_of(item) == "constraint"]
    whole = len(columns) + len(constraints) == len(stmt.table_elts)
    if whole and not len(stmt.inh_relations) and not stmt.HasField("of_typename"):
        _own_columns(constraints, seen, out)
    constraints += [item.constraint for definition in columns for item in definition.constraints]
    if sum(enum(item, "contype") == "CONSTR_PRIMARY" for item in constraints) > 1:
        out.fail("42P16", f'multiple primary keys for table "{stmt.relation.relname}" are not allowed')
    for item in constraints:
        if enum(item, "contype") == "CONSTR_GENERATED":
            unsteady = unsteady_functions(item.raw_expr, world)
            if unsteady:
                out.fail("42P17", f"generation expression is not immutable: {', '.join(unsteady)}")
    _virtual(columns, world, out)


def _own_columns(constraints: Iterable[Node], columns: set[str], out: Recorder) -> None:
    """Constraints of a table of its own, which can mention no others."""
    for item in constraints:
        named = (*strings(item.keys), *strings(item.fk_attrs), *expressions.mentioned(item.raw_expr))
        for column in named:
            if column not in columns and column not in column_names.SYSTEM_COLUMNS:
                out.fail("42703", f'column "{column}" does not exist')


def _virtual(columns: Iterable[Node], world: World, out: Recorder) -> None:
    for column in columns:
        for item in column.constraints:
            constraint = item.constraint
            if enum(constraint, "contype") != "CONSTR_GENERATED" or constraint.generated_kind != "v":
                continue
            if world.major < 18:
                out.fail("42601", "a virtual generated column needs PostgreSQL 18 or later")
            virtual_columns.allowed(column, constraint.raw_expr, world=world, out=out)


def types_exist(stmt: Node, world: World, out: Recorder) -> None:
    """The types and functions that a definition names."""
    missing = world.facts.missing if world.facts is not None else frozenset()
    for item in find(stmt, "TypeName", "FuncCall") if missing else ():
        parts = strings(item.names if item.DESCRIPTOR.name == "TypeName" else item.funcname)
        if item.DESCRIPTOR.name == "TypeName" and item.pct_type:
            continue  # the type of a column
        if item.DESCRIPTOR.name == "TypeName":
            known = world.type(parts) is not None or world.exists(
                world.dotted(parts)
            )  # a table's rows have a type, too
            if f"type {parts[-1]}" in missing and not known and not is_serial(item):
                out.fail("42704", f'type "{parts[-1]}" does not exist')
        elif f"function {parts[-1]}" in missing and not world.functions(parts):
            out.fail("42883", f"function {parts[-1]} does not exist")


def _foreign_key(node: Node, name: str, column: str | None, stmt: Node, world: World, out: Recorder) -> None:
    if enum(node, "contype") != "CONSTR_FOREIGN":
        return
    other = world.name(node.pktable)
    if other == name:
        return
    if not there(other, world, out) or not of_kind(other, "rp", world, out, "a table"):
        return
    may(other, "REFERENCES", world, out)
    known, mine = world.relation(other), stmt.relation.relpersistence or "p"
    if known is not None and mine == "p" and known.persistence != "p":
        out.fail("42P16", "constraints on permanent tables may reference only permanent tables")
    elif known is not None and mine == "t" and known.persistence != "t" and not other.startswith("pg_temp."):
        out.fail("42P16", "constraints on temporary tables may reference only temporary tables")
    for locked in (other, *world.leaves(other)):
        out.lock(locked, SRX)
    facts = world.relation(other)
    made = constraint_facts(node, world, name, column=column)
    if facts is not None and facts.columns and made is not None:
        _has_key(facts, strings(node.pk_attrs), out)
        out.risk("42804", "the columns' types may not fit each other")


def _has_key(facts: RelationFacts, columns: tuple[str, ...], out: Recorder) -> None:
    """The columns that are pointed to need a unique index of their own."""
    if facts.more_keys:
        return
    if not columns:
        if not any(index.primary for index in facts.indexes):
            out.fail("42704", f'there is no primary key for referenced table "{bare(facts.name)}"')
        return
    for column in columns:
        if facts.lacks(column):
            out.fail("42703", f'column "{column}" referenced in foreign key constraint does not exist')
            return
    fitting = (
        index
        for index in facts.indexes
        if index.unique and index.immediate and index.predicate is None and set(index.columns) == set(columns)
    )
    if not any(fitting):
        out.fail("42830", f'there is no unique constraint matching given keys for table "{bare(facts.name)}"')


def _inherit(parent: str, world: World, out: Recorder) -> None:
    facts = world.relation(parent)
    if facts is not None and facts.kind == "p":
        out.fail("42809", f'cannot inherit from partitioned table "{bare(parent)}"')
    of_kind(parent, "rpf", world, out, "a table")
    out.lock(parent, SUX)


def _partition(stmt: Node, parent: str, world: World, out: Recorder) -> None:
    """The parent for the catalog, the default partition because it may hold rows of the new one, and the other ends of
    the parent's foreign keys, which the partition gets as well."""
    out.lock(parent, AX)
    facts = world.relation(parent)
    if facts is None:
        out.assume(f"{parent} has no default partition and no foreign keys, which would be locked as well")
        return
    if facts.kind != "p":
        out.fail("42P17" if facts.kind == "r" else "42809", f'"{bare(parent)}" is not partitioned')
        return
    if not facts.owned:
        out.fail("42501", f"must be owner of {bare(parent)}")
    if stmt.partbound.is_default and facts.default_partition:
        out.fail("42P17", f'partition conflicts with existing default partition "{bare(facts.default_partition)}"')
    out.risk("42P17", f"its bounds may overlap with those of another partition of {bare(parent)}")
    for index in facts.indexes:
        out.lock(index.name, SUX)
    for item in facts.constraints:
        if item.kind == "f" and item.referenced:
            for other in (item.referenced, *world.leaves(item.referenced)):
                out.lock(other, SRX)
    for other in facts.referenced_by:
        out.lock(other, SRX if world.major >= 15 else ACCESS_SHARE)
    if facts.default_partition:
        below = (facts.default_partition, *world.leaves(facts.default_partition))
        for name in below:
            out.lock(name, AX)
        for name in world.storage(facts.default_partition):
            out.scan(name)
        out.risk("23514", f"updated partition constraint for {facts.default_partition} would be violated by some row")


def _defaults(stmt: Node, world: World, out: Recorder) -> None:
    """PostgreSQL 17 locks what a new default depends on."""
    for call in find(stmt, "FuncCall"):
        if strings(call.funcname)[-1:] == ("nextval",):
            for schema, name in sequences_of(call):
                out.lock(world.dotted((schema, name) if schema else (name,)), ACCESS_SHARE)
    for item in stmt.table_elts:
        if item.HasField("table_like_clause") and item.table_like_clause.options & COPIES_DEFAULTS:
            facts = world.relation(world.name(item.table_like_clause.relation))
            for column in facts.columns.values() if facts is not None else ():
                for sequence in column.sequences if not column.identity else ():
                    out.lock(sequence, ACCESS_SHARE)


def create_as(stmt: Node, world: World, out: Recorder) -> None:
    """Also CREATE MATERIALIZED VIEW. WITH NO DATA only looks at the query."""
    name = new_name(stmt.into.rel, world)
    taken = world.exists(name)
    if taken and not stmt.if_not_exists:
        is_free(name, world, out)
    elif not taken and stmt.into.rel.relpersistence != "t":
        may_create_in(name.partition(".")[0], world, out)
    planned = not taken and not stmt.into.skip_data
    queries.query(stmt.query, world, out, planned=planned, scans=planned)


def view(stmt: Node, world: World, out: Recorder) -> None:
    name = new_name(stmt.view, world)
    facts = world.relation(name)
    queries.query(stmt.query, world, out, planned=False)
    column_names.check(stmt.query, world, out)
    if not stmt.replace:
        is_free(name, world, out)
        may_create_in(name.partition(".")[0], world, out)
        return
    if facts is None:
        if world.exists(name) is None:
            out.lock(name, AX)
            out.assume(f"{name} exists and is replaced")
        return
    if facts.kind != "v":
        out.fail("42809", f'"{bare(name)}" is not a view')
    if not facts.owned:
        out.fail("42501", f"must be owner of view {bare(name)}")
    out.lock(name, AX)
    out.risk("42P16", f"columns of {bare(name)} would be dropped, or would change name or type")


def foreign_table(stmt: Node, world: World, out: Recorder) -> None:
    create_table(stmt.base_stmt, world, out)
    if world.facts is not None and f"server {stmt.servername}" in world.facts.missing:
        out.fail("42704", f'server "{stmt.servername}" does not exist')


def create_sequence(stmt: Node, world: World, out: Recorder) -> None:
    name = new_name(stmt.sequence, world)
    if world.exists(name):
        if not stmt.if_not_exists:
            is_free(name, world, out)
        return
    may_create_in(name.partition(".")[0], world, out)
    _owner(stmt, world, out)


def alter_sequence(stmt: Node, world: World, out: Recorder) -> None:
    """ALTER SEQUENCE keeps nextval() waiting until the transaction ends."""
    name = world.name(stmt.sequence)
    if not there(name, world, out, missing_ok=stmt.missing_ok) or not of_kind(name, "S", world, out, "a sequence"):
        return
    facts = world.relation(name)
    if facts is not None and not facts.owned:
        out.fail("42501", f"must be owner of sequence {bare(name)}")
    out.lock(name, SRX)
    _owner(stmt, world, out)


def _owner(stmt: Node, world: World, out: Recorder) -> None:
    owner = option(stmt.options, "owned_by")
    parts = strings(owner.arg.list.items) if owner is not None else ()
    if len(parts) > 1:
        table = world.dotted(parts[:-1])
        if there(table, world, out):
            facts = world.relation(table)
            if facts is not None and facts.lacks(parts[-1]):
                out.fail("42703", f'column "{parts[-1]}" of relation "{bare(table)}" does not exist')
            out.lock(table, ACCESS_SHARE)
