"""ALTER TABLE, INDEX and MATERIALIZED VIEW ALL IN TABLESPACE.

https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-SET-TABLESPACE
"""

from __future__ import annotations

from migrator.analysis.effects.model import Recorder
from migrator.analysis.effects.names.named import bare
from migrator.analysis.effects.world import World
from migrator.facts.facts import RelationFacts
from migrator.lock_modes import AX
from migrator.parsing.nodes import Node, enum


def all_in_tablespace(stmt: Node, world: World, out: Recorder) -> None:
    """ALTER ... ALL IN TABLESPACE: each gets a new file where it has one (AlterTableMoveAll in tablecmds.c)."""
    if world.facts is not None and world.facts.absent:
        for name in (stmt.orig_tablespacename, stmt.new_tablespacename):
            if f"tablespace {name}" in world.facts.absent:
                out.fail("42704", f'tablespace "{name}" does not exist')
    everything = world.everything()
    if everything is None:
        out.known = False
        what = "which relations lie in the tablespace was not asked"
        out.assume(f"{what}: each is locked ACCESS EXCLUSIVE and written anew")
        return
    kinds = {"OBJECT_TABLE": "rp", "OBJECT_INDEX": "iI", "OBJECT_MATVIEW": "m"}[enum(stmt, "objtype")]
    own = world.facts.tablespace if world.facts is not None else ""
    owners = {role.role_spec.rolename or (world.facts.role if world.facts else "") for role in stmt.roles}
    for facts in everything if stmt.orig_tablespacename != stmt.new_tablespacename else ():
        table = world.relation(facts.table) if facts.table else facts
        owner = table.owner if table is not None else facts.owner
        if (
            facts.kind in kinds
            and (facts.tablespace or own) == stmt.orig_tablespacename
            and owner in (owners or {owner})
        ):
            _moved(facts, table or facts, out)


def _moved(facts: RelationFacts, table: RelationFacts, out: Recorder) -> None:
    if not table.owned:
        out.fail("42501", f"must be owner of {bare(facts.name)}")
    out.lock(facts.name, AX)
    if facts.kind == "i":
        out.rebuild(facts.name)
    elif facts.kind in "rm":
        out.rewrite(facts.name)
