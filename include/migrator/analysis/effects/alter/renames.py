"""ALTER ... RENAME: an instant, but ACCESS EXCLUSIVE on tables; an index alone is renamed beside its users.

renameatt, rename_constraint_internal and RenameRelation in src/backend/commands/tablecmds.c.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from migrator.analysis.effects.alter.target import Target
from migrator.analysis.effects.model import Recorder
from migrator.analysis.effects.names.named import composite, typed_tables
from migrator.analysis.effects.world import World
from migrator.lock_modes import AX, SUX
from migrator.parsing.nodes import Node, enum, strings

RELATIONS: Mapping[str, str] = {
    "OBJECT_TABLE": "rpfmviIS",
    "OBJECT_VIEW": "v",
    "OBJECT_MATVIEW": "m",
    "OBJECT_SEQUENCE": "S",
    "OBJECT_FOREIGN_TABLE": "f",
    "OBJECT_INDEX": "iIrp",
}
"""relkinds that the statement takes; ALTER TABLE takes all, ALTER INDEX tables as well."""


def rename(stmt: Node, world: World, out: Recorder) -> None:
    if not stmt.HasField("relation"):
        if enum(stmt, "rename_type") == "OBJECT_TYPE":
            composite(strings(stmt.object.list.items), world, out)
        return
    name = world.name(stmt.relation)
    if world.exists(name) is False:
        if not stmt.missing_ok:
            out.fail("42P01", f'relation "{name}" does not exist')
        return
    target = Target(name, world, out, only=not stmt.relation.inh)
    if target.facts is not None and not target.facts.owned:
        out.fail("42501", f"must be owner of {name}")
    HANDLERS.get(enum(stmt, "rename_type"), _relation)(stmt, target)


def _relation(stmt: Node, target: Target) -> None:
    wanted = RELATIONS.get(enum(stmt, "rename_type"))
    if wanted is None:
        target.out.lock(target.name, AX)
        return
    if target.facts is not None and target.kind not in wanted:
        what = enum(stmt, "rename_type").removeprefix("OBJECT_").lower()
        target.out.fail("42809", f'"{target.bare}" is not a {what}')
    if target.world.exists(f"{target.schema}.{stmt.newname}"):
        target.out.fail("42P07", f'relation "{stmt.newname}" already exists')
    as_index = enum(stmt, "rename_type") == "OBJECT_INDEX"
    is_index = target.facts is None or target.kind in "iI"
    target.out.lock(target.name, SUX if as_index and is_index else AX)


def _column(stmt: Node, target: Target) -> None:
    facts, out = target.facts, target.out
    if target.kind == "c":
        typed_tables(stmt.relation, [enum(stmt, "behavior")], target.world, out)
    for name in target.family:
        out.lock(name, AX)
    if facts is None:
        return
    if stmt.subname not in facts.columns and not target.is_told:
        out.fail("42703", f'column "{stmt.subname}" does not exist')
    if stmt.newname in facts.columns:
        out.fail("42701", f'column "{stmt.newname}" of relation "{target.bare}" already exists')
    parent = target.world.relation(facts.parent) if facts.parent else None
    if parent is not None and stmt.subname in parent.columns:
        out.fail("42P16", f'cannot rename inherited column "{stmt.subname}"')
    if target.only and facts.children:
        out.fail("42P16", f'inherited column "{stmt.subname}" must be renamed in child tables too')
    if facts.of_type:
        out.fail("42809", "cannot rename column of typed table")


def _constraint(stmt: Node, target: Target) -> None:
    """A key is its index: that is renamed, too."""
    target.out.lock(target.name, AX)
    known = target.constraint(stmt.subname)
    if known is None:
        return
    if known.inherited:
        target.out.fail("42P16", f'cannot rename inherited constraint "{known.name}"')
    if target.facts is not None and any(item.name == stmt.newname for item in target.facts.constraints):
        target.out.fail("42710", f'constraint "{stmt.newname}" for relation "{target.bare}" already exists')
    if known.kind in "pux" and known.index is not None:
        target.out.lock(known.index, SUX)
        if target.world.exists(f"{target.schema}.{stmt.newname}"):
            target.out.fail("42P07", f'relation "{stmt.newname}" already exists')
    elif known.kind in "cn" and "NO INHERIT" not in known.definition:
        for name in target.below:
            target.out.lock(name, AX)


def _trigger(stmt: Node, target: Target) -> None:
    target.out.lock(target.name, AX)
    facts = target.facts
    if facts is None:
        return
    inherited = any(item.name == stmt.subname and item.inherited for item in facts.triggers)
    if inherited and target.world.major >= 15:
        sqlstate = "0A000" if target.world.major >= 18 else "XX000"
        target.out.fail(sqlstate, f'cannot rename trigger "{stmt.subname}" on table "{target.bare}"')
    if all(item.name != stmt.subname for item in facts.triggers):
        target.out.fail("42704", f'trigger "{stmt.subname}" for table "{target.bare}" does not exist')
    if any(item.name == stmt.newname for item in facts.triggers):
        target.out.fail("42710", f'trigger "{stmt.newname}" for relation "{target.bare}" already exists')
    if target.kind == "p" and target.world.major >= 15:
        for name in target.below:
            target.out.lock(name, AX)


HANDLERS: Mapping[str, Callable[[Node, Target], None]] = {
    "OBJECT_COLUMN": _column,
    "OBJECT_ATTRIBUTE": _column,
    "OBJECT_TABCONSTRAINT": _constraint,
    "OBJECT_TRIGGER": _trigger,
}
