"""ALTER TABLE and what the grammar reads as one: ALTER INDEX, VIEW, SEQUENCE, MATERIALIZED VIEW, FOREIGN TABLE.

Lock levels: AlterTableGetLockLevel, kinds: ATPrepCmd, order: the passes AT_PASS_* of src/backend/commands/tablecmds.c.
https://www.postgresql.org/docs/current/sql-altertable.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from migrator.analysis.effects.alter import columns as alter_columns
from migrator.analysis.effects.alter import constraints as alter_constraints
from migrator.analysis.effects.alter import options as alter_options
from migrator.analysis.effects.alter import partitions as alter_partitions
from migrator.analysis.effects.alter import type as alter_type
from migrator.analysis.effects.alter.target import Target
from migrator.analysis.effects.model import Recorder
from migrator.analysis.effects.names.named import schema_is_there, typed_tables
from migrator.analysis.effects.replay.replay import world_after
from migrator.analysis.effects.world import World
from migrator.lock_modes import AX, SRX, SUX
from migrator.parsing.nodes import Node, assign, commands, enum

Subcommand = Callable[[Node, Target], None]

LIGHT: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "AT_SetStatistics",
            "AT_SetOptions",
            "AT_ResetOptions",
            "AT_ValidateConstraint",
            "AT_ClusterOn",
            "AT_DropCluster",
            "AT_AttachPartition",
            "AT_DetachPartitionFinalize",
        ),
        SUX,
    ),
    **dict.fromkeys(
        alter_options.TRIGGERS,
        SRX,
    ),
}
"""Everything else takes ACCESS EXCLUSIVE, but for what `_mode` looks into."""

FIRST = ("AT_DropColumn", "AT_DropConstraint", "AT_DropNotNull", "AT_DropExpression", "AT_DropIdentity")
PASSES = (
    FIRST,
    ("AT_AlterColumnType",),
    ("AT_AddColumn",),
    ("AT_SetExpression",),
    ("AT_SetNotNull", "AT_ColumnDefault", "AT_AddIdentity", "AT_SetIdentity"),
    ("AT_AddConstraint",),
)
"""PostgreSQL runs the subcommands in this order, whatever the order in which they are written."""

RECURSES = frozenset(
    {
        "AT_AddColumn",
        "AT_DropColumn",
        "AT_AlterColumnType",
        "AT_SetNotNull",
        "AT_DropNotNull",
        "AT_ColumnDefault",
        "AT_SetExpression",
        "AT_DropExpression",
        "AT_SetStatistics",
        "AT_SetStorage",
    }
)
"""Lock all descendants as they lock the table. Others that do so are in their handlers."""

TABLES, VIEWS = "rpf", "v"
KINDS: Mapping[str, str] = {
    "AT_AddColumn": "rpfc",
    "AT_DropColumn": "rpfc",
    "AT_AlterColumnType": "rpfc",
    "AT_ColumnDefault": "rpfv",
    "AT_SetNotNull": TABLES,
    "AT_DropNotNull": TABLES,
    "AT_SetStatistics": "rpmfiI",
    "AT_SetStorage": "rpmf",
    "AT_AddConstraint": TABLES,
    "AT_DropConstraint": TABLES,
    "AT_ValidateConstraint": TABLES,
    "AT_AlterConstraint": "rp",
    "AT_AddIdentity": "rpvf",
    "AT_SetIdentity": "rpvf",
    "AT_DropIdentity": "rpvf",
    "AT_AttachPartition": "pI",
    "AT_DetachPartition": "p",
    "AT_DetachPartitionFinalize": "p",
    "AT_EnableRowSecurity": "rp",
    "AT_DisableRowSecurity": "rp",
    "AT_ForceRowSecurity": "rp",
    "AT_NoForceRowSecurity": "rp",
    "AT_AddInherit": TABLES,
    "AT_DropInherit": TABLES,
    "AT_ReplicaIdentity": "rpm",
    "AT_SetLogged": "rSp",
    "AT_SetUnLogged": "rSp",
    "AT_SetTableSpace": "rpmiI",
    "AT_SetAccessMethod": "rmp",
}
"""relkinds that a subcommand takes; what is not here is not checked."""

STATEMENT_KINDS: Mapping[str, str] = {
    "OBJECT_TABLE": "rpfvmiIS",
    "OBJECT_TYPE": "c",
    "OBJECT_VIEW": "v",
    "OBJECT_MATVIEW": "m",
    "OBJECT_SEQUENCE": "S",
    "OBJECT_INDEX": "iI",
    "OBJECT_FOREIGN_TABLE": "f",
}
"""ALTER TABLE itself takes any of them."""


def alter_table(stmt: Node, world: World, out: Recorder) -> None:
    table = world.name(stmt.relation)
    if not is_there(stmt, table, world, out):
        return
    only = not stmt.relation.inh
    _check_kind(stmt, Target(table, world, out, only))
    if enum(stmt, "objtype") == "OBJECT_TYPE":
        typed_tables(stmt.relation, [enum(item, "behavior") for item in commands(stmt)], world, out)
    before: Node | None = None
    for command in in_order(stmt):
        world = world if before is None else after(stmt, before, world)
        before = command
        target = Target(table, world, out, only)
        subtype = enum(command, "subtype")
        kinds = KINDS.get(subtype)
        if kinds is not None and target.facts is not None and target.kind not in kinds:
            what = subtype.removeprefix("AT_")
            plain = subtype == "AT_AttachPartition" and target.kind == "r" and world.major < 18
            sqlstate = "42P17" if plain else "42809"
            out.fail(sqlstate, f'ALTER action {what} cannot be performed on relation "{target.bare}"')
            return
        mode = _mode(command, subtype)
        for name in target.family if subtype in RECURSES else (table,):
            out.lock(name, mode)
        handler = HANDLERS.get(subtype)
        if handler is not None:
            handler(command, target)


def is_there(stmt: Node, name: str, world: World, out: Recorder) -> bool:
    """Whether the statement has something to do; a relation that is missing for sure fails it."""
    if world.exists(name) is False:
        if not stmt.missing_ok:
            schema_is_there(stmt.relation.schemaname, world, out)
            out.fail("42P01", f'relation "{name}" does not exist')
        return False
    facts = world.relation(name)
    if facts is not None and not facts.owned:
        out.fail("42501", f"must be owner of {name}")
    return True


_PASS_OF = {subtype: number for number, subtypes in enumerate(PASSES) for subtype in subtypes}


def in_order(stmt: Node) -> Sequence[Node]:
    """The subcommands as they are run."""
    written = commands(stmt)
    if len(written) < 2:
        return written
    return sorted(written, key=lambda command: _PASS_OF.get(enum(command, "subtype"), len(PASSES)))


def after(stmt: Node, command: Node, world: World) -> World:
    """The world once one subcommand has run, for those that come after it."""
    return world if len(stmt.cmds) == 1 else world_after(alone(stmt, command), world)


def alone(stmt: Node, command: Node) -> Node:
    """The statement with only this one of its subcommands, to be changed at will."""
    result = type(stmt.cmds[0])()
    made = result.alter_table_stmt
    assign(made.relation, stmt.relation)
    made.objtype, made.missing_ok = stmt.objtype, stmt.missing_ok
    assign(made.cmds.add().alter_table_cmd, command)
    return result


def _check_kind(stmt: Node, target: Target) -> None:
    wanted = STATEMENT_KINDS.get(enum(stmt, "objtype"))
    if wanted is not None and target.facts is not None and target.kind not in wanted:
        what = enum(stmt, "objtype").removeprefix("OBJECT_").lower()
        target.out.fail("42809", f'"{target.bare}" is not a {what}')


def _mode(command: Node, subtype: str) -> str:
    if subtype == "AT_AddConstraint":
        constraint = getattr(command, "def").constraint
        return SRX if enum(constraint, "contype") == "CONSTR_FOREIGN" else AX
    if subtype == "AT_DetachPartition":
        return SUX if getattr(command, "def").partition_cmd.concurrent else AX
    if subtype in alter_options.RELATION_OPTIONS:
        return alter_options.options_mode(command)
    return LIGHT.get(subtype, AX)


HANDLERS: Mapping[str, Subcommand] = {
    **alter_columns.HANDLERS,
    **alter_type.HANDLERS,
    **alter_constraints.HANDLERS,
    **alter_partitions.HANDLERS,
    **alter_options.HANDLERS,
}
