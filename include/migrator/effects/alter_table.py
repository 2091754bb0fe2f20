"""ALTER TABLE: the strongest lock of its subcommands, and which of them read or write every row.

Lock levels: AlterTableGetLockLevel in src/backend/commands/tablecmds.c; rewrites: ATColumnChangeRequiresRewrite there.
https://www.postgresql.org/docs/current/sql-altertable.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from migrator.effects import types
from migrator.effects.model import AS as ACCESS_SHARE
from migrator.effects.model import AX, RS, SRX, SUX, Recorder
from migrator.effects.volatility import volatile_functions
from migrator.effects.world import World, commands
from migrator.nodes import Node, enum

Subcommand = Callable[[Node, str, World, Recorder], None]

LIGHT: Mapping[str, str] = {
    "AT_SetStatistics": SUX,
    "AT_SetOptions": SUX,
    "AT_ResetOptions": SUX,
    "AT_ValidateConstraint": SUX,
    "AT_ClusterOn": SUX,
    "AT_DropCluster": SUX,
    "AT_AttachPartition": SUX,
    "AT_SetRelOptions": SUX,
    "AT_ResetRelOptions": SUX,
    "AT_ReplaceRelOptions": SUX,
    "AT_EnableTrig": SRX,
    "AT_EnableAlwaysTrig": SRX,
    "AT_EnableReplicaTrig": SRX,
    "AT_EnableTrigAll": SRX,
    "AT_EnableTrigUser": SRX,
    "AT_DisableTrig": SRX,
    "AT_DisableTrigAll": SRX,
    "AT_DisableTrigUser": SRX,
}
"""Everything else takes ACCESS EXCLUSIVE."""
REWRITES = ("AT_SetLogged", "AT_SetUnLogged", "AT_SetTableSpace")
"""The table is written anew, whatever it holds."""


def alter_table(stmt: Node, world: World, out: Recorder) -> None:
    """Also ALTER INDEX, VIEW, SEQUENCE, which the grammar reads as ALTER TABLE."""
    table = world.name(stmt.relation)
    for command in commands(stmt):
        subtype = enum(command, "subtype")
        mode = AX
        if subtype in LIGHT:
            mode = LIGHT[subtype]
        elif subtype == "AT_AddConstraint":
            mode = _constraint_mode(command)
        elif subtype == "AT_DetachPartition" and getattr(command, "def").partition_cmd.concurrent:
            mode = SUX
        for name in (table, *world.leaves(table)):
            out.lock(name, mode)
        handler = HANDLERS.get(subtype)
        if handler is not None:
            handler(command, table, world, out)
        elif subtype in REWRITES:
            _rewrite(table, world, out)


def _constraint_mode(command: Node) -> str:
    constraint = getattr(command, "def").constraint
    return SRX if enum(constraint, "contype") == "CONSTR_FOREIGN" else AX


def _add_column(command: Node, table: str, world: World, out: Recorder) -> None:
    """Without a default, or with one that is computed once, only the catalog changes (PostgreSQL 11 and later)."""
    column = getattr(command, "def").column_def
    if types.is_serial(column.type_name):
        _rewrite(table, world, out)
    for item in column.constraints:
        constraint = item.constraint
        kind = enum(constraint, "contype")
        if kind == "CONSTR_DEFAULT":
            sure, assumed = volatile_functions(constraint.raw_expr, world)
            if sure or assumed:
                _rewrite(table, world, out)
            for name in assumed:
                out.assume(f"{name}() is taken for volatile; a connection would tell")
        elif kind == "CONSTR_IDENTITY" or (kind == "CONSTR_GENERATED" and constraint.generated_kind != "v"):
            _rewrite(table, world, out)
        elif kind == "CONSTR_FOREIGN":
            out.lock(world.name(constraint.pktable), SRX)
        elif kind in ("CONSTR_UNIQUE", "CONSTR_PRIMARY", "CONSTR_CHECK"):
            _scan(table, world, out)


def _alter_type(command: Node, table: str, world: World, out: Recorder) -> None:
    definition = getattr(command, "def").column_def
    new = types.from_node(definition.type_name)
    known = world.column(table, command.name)
    if world.is_new(table):
        return
    if known is None:
        out.assume(f"the present type of {table}.{command.name} is unknown: a rewrite is assumed")
        _rewrite(table, world, out)
        return
    timezone = world.facts.timezone if world.facts else "UTC"
    if definition.HasField("raw_default") or types.needs_rewrite(types.from_text(known.type), new, timezone=timezone):
        _rewrite(table, world, out)


def _set_not_null(command: Node, table: str, world: World, out: Recorder) -> None:
    proved = world.proves_not_null(table, command.name)
    if proved:
        return
    if proved is None and not world.is_new(table):
        out.assume(f"no valid CHECK ({command.name} IS NOT NULL) on {table}")
    _scan(table, world, out)


def _add_constraint(command: Node, table: str, world: World, out: Recorder) -> None:
    constraint = getattr(command, "def").constraint
    kind = enum(constraint, "contype")
    if kind == "CONSTR_FOREIGN":
        other = world.name(constraint.pktable)
        out.lock(other, SRX)
        if not constraint.skip_validation:
            _scan(table, world, out)
            if other != table:
                out.scan(other)
    elif kind in ("CONSTR_CHECK", "CONSTR_NOTNULL"):
        if not constraint.skip_validation:
            _scan(table, world, out)
    elif kind in ("CONSTR_UNIQUE", "CONSTR_PRIMARY"):
        if not constraint.indexname:
            _scan(table, world, out)
        elif kind == "CONSTR_PRIMARY":
            _primary_key_columns(constraint.indexname, table, world, out)
    elif kind == "CONSTR_EXCLUSION":
        _scan(table, world, out)


def _primary_key_columns(index: str, table: str, world: World, out: Recorder) -> None:
    """USING INDEX builds nothing, but each of its columns becomes NOT NULL, which reads the table unless known."""
    found = world.index_of(f"{table.rsplit('.', 1)[0]}.{index}")
    if found is None:
        out.assume(f"the columns of index {index} are NOT NULL already")
        return
    if not all(world.proves_not_null(table, column) for column in found[1].columns):
        _scan(table, world, out)


def _validate(command: Node, table: str, world: World, out: Recorder) -> None:
    _scan(table, world, out)
    known = world.constraint(table, command.name)
    if known is not None and known.referenced:
        out.lock(known.referenced, RS)


def _attach(command: Node, table: str, world: World, out: Recorder) -> None:
    part = world.name(getattr(command, "def").partition_cmd.name)
    out.lock(part, AX)
    out.scan(part)
    facts = world.relation(table)
    if facts is not None and facts.default_partition:
        out.lock(facts.default_partition, AX)
        out.scan(facts.default_partition)


def _detach(command: Node, table: str, world: World, out: Recorder) -> None:
    cmd = getattr(command, "def").partition_cmd
    out.lock(world.name(cmd.name), SUX if cmd.concurrent else AX)
    out.waits = bool(cmd.concurrent)


def _drop_constraint(command: Node, table: str, world: World, out: Recorder) -> None:
    known = world.constraint(table, command.name)
    if known is not None and known.referenced:
        out.lock(known.referenced, AX)


def _inherit(command: Node, table: str, world: World, out: Recorder) -> None:
    out.lock(world.name(getattr(command, "def").range_var), ACCESS_SHARE)


def _rewrite(table: str, world: World, out: Recorder) -> None:
    """The table, or each of its partitions, gets a new file, and so does every index of it."""
    facts = world.relation(table)
    for name in world.leaves(table) if facts is not None and facts.kind == "p" else (table,):
        out.rewrite(name)
        found = world.relation(name)
        for index in found.indexes if found is not None else ():
            out.lock(index.name, AX)
            out.rebuild(index.name)


def _scan(table: str, world: World, out: Recorder) -> None:
    facts = world.relation(table)
    for name in world.leaves(table) if facts is not None and facts.kind == "p" else (table,):
        out.scan(name)


HANDLERS: Mapping[str, Subcommand] = {
    "AT_AddColumn": _add_column,
    "AT_AlterColumnType": _alter_type,
    "AT_SetNotNull": _set_not_null,
    "AT_AddConstraint": _add_constraint,
    "AT_ValidateConstraint": _validate,
    "AT_AttachPartition": _attach,
    "AT_DetachPartition": _detach,
    "AT_DropConstraint": _drop_constraint,
    "AT_AddInherit": _inherit,
}
