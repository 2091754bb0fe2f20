"""Locks and work of CREATE, DROP and REINDEX of indexes, VACUUM, CLUSTER, ANALYZE and REFRESH MATERIALIZED VIEW.

https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES and the pages of the commands.
"""

from __future__ import annotations

from migrator.effects.model import AX, SUX, Recorder
from migrator.effects.model import S as SHARE
from migrator.effects.model import X as EXCLUSIVE
from migrator.effects.world import World
from migrator.nodes import Node, enum, flag, strings


def create_index(stmt: Node, world: World, out: Recorder) -> None:
    """SHARE blocks writers for the whole build; CONCURRENTLY blocks nobody but waits for every old transaction."""
    table = world.name(stmt.relation)
    mode = SUX if stmt.concurrent else SHARE
    if stmt.if_not_exists and stmt.idxname and world.index_of(f"{table.rsplit('.', 1)[0]}.{stmt.idxname}"):
        out.lock(table, mode)
        return
    facts = world.relation(table)
    if stmt.concurrent and facts is not None and facts.kind == "p":
        out.fail("0A000", f'cannot create index on partitioned table "{facts.name}" concurrently')
    out.lock(table, mode)
    out.scan(table)
    for leaf in world.leaves(table):
        out.lock(leaf, mode)
        out.scan(leaf)
    out.waits = bool(stmt.concurrent)


def drop_index(names: list[str], world: World, out: Recorder, *, concurrently: bool) -> None:
    """ACCESS EXCLUSIVE on index and table, for an instant; CONCURRENTLY waits for old transactions instead."""
    for name in names:
        found = world.index_of(name)
        mode = SUX if concurrently else AX
        out.lock(name, mode)
        if found is not None:
            out.lock(found[0].name, mode)
        elif not world.is_new(name):
            out.assume(f"the table of index {name} is locked {mode}, too; which one it is needs a connection")
    out.waits = concurrently


def reindex(stmt: Node, world: World, out: Recorder) -> None:
    concurrently = flag(stmt.params, "concurrently", False)
    kind = enum(stmt, "kind")
    out.waits = concurrently
    if kind not in ("REINDEX_OBJECT_INDEX", "REINDEX_OBJECT_TABLE"):
        out.known = False
        out.assume("REINDEX of a schema or database locks its tables one after the other")
        return
    name = world.name(stmt.relation)
    if kind == "REINDEX_OBJECT_TABLE":
        out.lock(name, SUX if concurrently else SHARE)
        out.scan(name)
        facts = world.relation(name)
        for index in facts.indexes if facts else ():
            out.lock(index.name, SUX if concurrently else AX)
        return
    out.lock(name, SUX if concurrently else AX)
    found = world.index_of(name)
    if found is not None:
        out.lock(found[0].name, SUX if concurrently else SHARE)
        out.scan(found[0].name)


def vacuum(stmt: Node, world: World, out: Recorder) -> None:
    full = stmt.is_vacuumcmd and flag(stmt.options, "full", False)
    if not len(stmt.rels):
        out.assume("every table of the database, one after the other")
        out.known = False
    for item in stmt.rels:
        table = world.name(item.vacuum_relation.relation)
        out.lock(table, AX if full else SUX)
        if full:
            out.rewrite(table)


def cluster(stmt: Node, world: World, out: Recorder) -> None:
    if not stmt.HasField("relation"):
        out.known = False
        return
    table = world.name(stmt.relation)
    out.lock(table, AX)
    out.rewrite(table)


def refresh(stmt: Node, world: World, out: Recorder) -> None:
    view = world.name(stmt.relation)
    out.lock(view, EXCLUSIVE if stmt.concurrent else AX)
    if not stmt.concurrent:
        out.rewrite(view)
    out.assume(f"the tables that {view} reads get ACCESS SHARE")


def dotted_names(stmt: Node, world: World) -> list[str]:
    """The objects of a DROP, qualified."""
    return [world.dotted(strings(item.list.items)) for item in stmt.objects if item.HasField("list")]
