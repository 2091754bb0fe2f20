"""Statements about rows: DML, COPY, SELECT, TRUNCATE, LOCK TABLE, and what cannot be looked into.

Every table that a query reads is locked ACCESS SHARE, ROW SHARE with FOR UPDATE; what is written gets ROW EXCLUSIVE.
"""

from __future__ import annotations

from migrator.effects.model import AS as ACCESS_SHARE
from migrator.effects.model import AX, MODES, RS, RX, Recorder
from migrator.effects.world import World
from migrator.nodes import Node, find


def reads(message: Node, world: World, out: Recorder) -> None:
    """ACCESS SHARE on every table that is mentioned, but not on the names of WITH queries."""
    common = {item.ctename for item in find(message, "CommonTableExpr")}
    mode = RS if any(True for _ in find(message, "LockingClause")) else ACCESS_SHARE
    for item in find(message, "RangeVar"):
        if item.schemaname or item.relname not in common:
            out.lock(world.name(item), mode)


def select(stmt: Node, world: World, out: Recorder) -> None:
    reads(stmt, world, out)


def insert(stmt: Node, world: World, out: Recorder) -> None:
    reads(stmt, world, out)
    _write(world.name(stmt.relation), world, out)


def change(stmt: Node, world: World, out: Recorder) -> None:
    """UPDATE, DELETE, MERGE: without an index for its WHERE it reads the whole table."""
    reads(stmt, world, out)
    table = world.name(stmt.relation)
    _write(table, world, out)
    out.scan(table)
    for leaf in world.leaves(table):
        out.scan(leaf)


def copy(stmt: Node, world: World, out: Recorder) -> None:
    if not stmt.HasField("relation"):
        reads(stmt, world, out)
        return
    table = world.name(stmt.relation)
    if stmt.is_from:
        _write(table, world, out)
    else:
        out.lock(table, ACCESS_SHARE)
        out.scan(table)


def truncate(stmt: Node, world: World, out: Recorder) -> None:
    """A new file for table and indexes, so it counts as a rewrite; CASCADE takes all tables that refer to it."""
    for item in stmt.relations:
        table = world.name(item.range_var)
        for name in (table, *world.leaves(table)):
            out.lock(name, AX)
            out.rewrite(name)
        facts = world.relation(table)
        for other in facts.referenced_by if facts else ():
            if stmt.behavior == 2:  # DROP_CASCADE
                out.lock(other, AX)
                out.rewrite(other)


def lock(stmt: Node, world: World, out: Recorder) -> None:
    """`mode` counts the eight modes from 1, as in lockdefs.h."""
    for item in stmt.relations:
        table = world.name(item.range_var)
        for name in (table, *world.leaves(table)):
            out.lock(name, MODES[stmt.mode - 1])


def opaque(stmt: Node, world: World, out: Recorder) -> None:
    """DO, CALL, EXECUTE: they can do anything."""
    out.known = False
    out.assume("what is inside was not followed: nothing is known about its locks")


def nothing(stmt: Node, world: World, out: Recorder) -> None:
    """Touches no relation that somebody else uses."""


def _write(table: str, world: World, out: Recorder) -> None:
    out.lock(table, RX)
    facts = world.relation(table)
    for item in facts.constraints if facts else ():
        if item.kind == "f" and item.referenced:
            out.lock(item.referenced, RS)
