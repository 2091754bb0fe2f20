"""ALTER TABLE: subcommands about one column, without changes of its type.

https://www.postgresql.org/docs/current/sql-altertable.html, ATExecAddColumn and its neighbours in tablecmds.c.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from migrator.analysis.effects.alter.add_column import add_column
from migrator.analysis.effects.alter.target import Target
from migrator.analysis.effects.names import dependents, misplaced
from migrator.analysis.effects.types import literals, types
from migrator.analysis.effects.types.volatility import missing_functions
from migrator.analysis.effects.world import World
from migrator.facts.facts import RelationFacts
from migrator.lock_modes import AX, SRX
from migrator.parsing.nodes import Node, enum, name_of

DROP_CASCADE = "DROP_CASCADE"


def drop_column(command: Node, target: Target) -> None:
    """An instant, but ACCESS EXCLUSIVE also on indexes, sequences, and both ends of foreign keys of the column."""
    out, world, facts = target.out, target.world, target.facts
    name = command.name
    if facts is None:
        return
    if name not in facts.columns:
        if not command.missing_ok and not target.is_told:
            out.fail("42703", f'column "{name}" of relation "{target.bare}" does not exist')
        return
    if facts.of_type:
        out.fail("42809", "cannot drop column from typed table")
    if _is_inherited(facts, name, world):
        out.fail("42P16", f'cannot drop inherited column "{name}"')
    for child in facts.children:  # with ONLY, too: it gets the column for its own
        out.lock(child, AX)
    for member in target.family:
        item = world.relation(member)
        if item is not None and name in types.words(item.partition_key or ""):
            out.fail("42P16", f'cannot drop column "{name}" because it is part of the partition key of "{member}"')
        for sequence in dependents.sequences_given(member, name, world):
            out.lock(sequence, AX)
    starts = [key for member in target.family for key in dependents.column_of(member, name, world)]
    cascade = enum(command, "behavior") == DROP_CASCADE
    dependents.drop_objects(starts, world, out, cascade=cascade, what=f'column "{name}"')


def _is_inherited(facts: RelationFacts, column: str, world: World) -> bool:
    parent = world.relation(facts.parent) if facts.parent else None
    return parent is not None and column in parent.columns


def set_not_null(command: Node, target: Target) -> None:
    """Reads every row, unless a valid CHECK or NOT NULL proves it (NotNullImpliedByRelConstraints)."""
    if target.column(command.name) is None and target.facts is not None and not target.is_told:
        return
    if target.only and target.kind == "p" and target.facts is not None:
        below = [target.world.column(child, command.name) for child in target.facts.children]
        if any(item is None or not item.not_null for item in below):
            target.out.fail("42P16", "constraint must be added to child tables too")
    for member in target.family:
        proved = target.world.proves_not_null(member, command.name)
        if proved:
            continue
        if proved is None and not target.world.is_told(member):
            target.out.assume(f"no valid CHECK ({command.name} IS NOT NULL) on {member}")
        target.scan((member,))
        target.out.risk("23502", f'column "{command.name}" of "{member}" contains null values')


def drop_not_null(command: Node, target: Target) -> None:
    column, facts = target.column(command.name), target.facts
    if facts is None or column is None:
        return
    if column.identity:
        target.out.fail("42601", f'column "{command.name}" of relation "{target.bare}" is an identity column')
    if any(item.kind == "p" and command.name in item.columns for item in facts.constraints):
        target.out.fail("42P16", f'column "{command.name}" is in a primary key')
    if any(item.replica_identity and command.name in item.columns for item in facts.indexes):
        target.out.fail("42P16", f'column "{command.name}" is in index used as replica identity')
    parent = target.world.column(facts.parent, command.name) if facts.parent else None
    if facts.is_partition and parent is not None and parent.not_null:
        target.out.fail("42P16", f'column "{command.name}" is marked NOT NULL in parent table')


def column_default(command: Node, target: Target) -> None:
    column = target.column(command.name)
    if column is not None and (column.identity or column.generated):
        what = "an identity" if column.identity else "a generated"
        target.out.fail("42601", f'column "{command.name}" of relation "{target.bare}" is {what} column')
    value = getattr(command, "def")
    if not name_of(value):
        return
    misplaced.misplaced(value, misplaced.DEFAULT, target.world, target.out)
    for name in missing_functions(value, target.world):
        target.out.fail("42883", f"function {name}() does not exist")
    if column is not None:
        literals.does_not_fit(value, types.of_column(column), target.out, stored=False)


def add_identity(command: Node, target: Target) -> None:
    column = target.column(command.name)
    _identity_of_partition(target)
    if column is None:
        return
    if not column.not_null:
        target.out.fail("55000", f'column "{command.name}" must be declared NOT NULL before identity can be added')
    if column.identity:
        target.out.fail("55000", f'column "{command.name}" is already an identity column')
    if column.default is not None:
        target.out.fail("55000", f'column "{command.name}" already has a default value')


def set_identity(command: Node, target: Target) -> None:
    column = target.column(command.name)
    _identity_of_partition(target)
    if column is not None and not column.identity:
        target.out.fail("55000", f'column "{command.name}" of relation "{target.bare}" is not an identity column')
    for sequence in column.sequences if column is not None else ():
        target.out.lock(sequence, SRX)


def drop_identity(command: Node, target: Target) -> None:
    column = target.column(command.name)
    _identity_of_partition(target)
    if column is not None and not column.identity and not command.missing_ok:
        target.out.fail("55000", f'column "{command.name}" of relation "{target.bare}" is not an identity column')
    for sequence in column.sequences if column is not None and column.identity else ():
        target.out.lock(sequence, AX)


def _identity_of_partition(target: Target) -> None:
    """Partitions share the identity of their table since 17."""
    facts = target.facts
    if facts is None or (facts.kind != "p" and not facts.is_partition):
        return
    if target.world.major < 17:
        return
    if facts.is_partition:
        target.out.fail("42P16", "cannot change identity column of a partition")
    for name in target.below:
        target.out.lock(name, AX)


def set_expression(command: Node, target: Target) -> None:
    """A stored column is computed anew for every row; a virtual one is computed when it is read."""
    target.needs(17, "SET EXPRESSION")
    column, facts = target.column(command.name), target.facts
    if column is not None and not column.generated:
        target.out.fail("55000", f'column "{command.name}" of relation "{target.bare}" is not a generated column')
    elif column is not None and column.generated == "v":
        if facts is not None and any(item.kind == "c" for item in facts.constraints):
            what = "SET EXPRESSION is not supported for virtual generated columns in tables with check constraints"
            target.out.fail("0A000", what)
    else:
        target.rewrite()


def drop_expression(command: Node, target: Target) -> None:
    column = target.column(command.name)
    if column is not None and not column.generated and not command.missing_ok:
        target.out.fail("55000", f'column "{command.name}" of relation "{target.bare}" is not a generated column')
    if column is not None and column.generated == "v":
        target.out.fail("0A000", "DROP EXPRESSION is not supported for virtual generated columns")


def set_storage(command: Node, target: Target) -> None:
    column = target.column(command.name)
    wanted = getattr(command, "def").string.sval.lower()
    if column is not None and types.is_fixed(types.from_text(column.type)) and wanted not in ("plain", "default"):
        target.out.fail("0A000", f"column data type {column.type} can only have storage PLAIN")


def set_compression(command: Node, target: Target) -> None:
    column = target.column(command.name)
    if column is not None and types.is_fixed(types.from_text(column.type)):
        target.out.fail("0A000", f"column data type {column.type} does not support compression")


def column_of_index_or_table(command: Node, target: Target) -> None:
    if command.name:
        target.column(command.name)


def set_options(command: Node, target: Target) -> None:
    """attribute_reloptions() in src/backend/access/common/reloptions.c."""
    column_of_index_or_table(command, target)
    for item in getattr(command, "def").list.items:
        name, value = item.def_elem.defname, item.def_elem.arg
        if name not in ("n_distinct", "n_distinct_inherited"):
            target.out.fail("22023", f'unrecognized parameter "{name}"')
        elif value.HasField("integer") and value.integer.ival < -1:
            target.out.fail("22023", f'value {value.integer.ival} out of bounds for option "{name}"')


HANDLERS: Mapping[str, Callable[[Node, Target], None]] = {
    "AT_AddColumn": add_column,
    "AT_DropColumn": drop_column,
    "AT_SetNotNull": set_not_null,
    "AT_DropNotNull": drop_not_null,
    "AT_ColumnDefault": column_default,
    "AT_AddIdentity": add_identity,
    "AT_SetIdentity": set_identity,
    "AT_DropIdentity": drop_identity,
    "AT_SetExpression": set_expression,
    "AT_DropExpression": drop_expression,
    "AT_SetStorage": set_storage,
    "AT_SetCompression": set_compression,
    "AT_SetStatistics": column_of_index_or_table,
    "AT_SetOptions": set_options,
    "AT_ResetOptions": column_of_index_or_table,
}
