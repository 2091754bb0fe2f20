"""CREATE TABLE and its like, DROP, RENAME, COMMENT, triggers, and the rest that locks relations for an instant."""

from __future__ import annotations

from migrator.effects import indexes, rows
from migrator.effects.model import AX, SRX, SUX, Recorder
from migrator.effects.world import World
from migrator.nodes import Node, enum, find

RELATIONS = ("OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_SEQUENCE", "OBJECT_FOREIGN_TABLE")


def create_table(stmt: Node, world: World, out: Recorder) -> None:
    """A foreign key of the new table locks the table it points to; a partition locks its parent."""
    for constraint in find(stmt, "Constraint"):
        if enum(constraint, "contype") == "CONSTR_FOREIGN":
            out.lock(world.name(constraint.pktable), SRX)
    for item in stmt.inh_relations:
        parent = world.name(item.range_var)
        out.lock(parent, AX if stmt.HasField("partbound") else SUX)
        facts = world.relation(parent)
        if stmt.HasField("partbound") and facts is not None and facts.default_partition:
            out.lock(facts.default_partition, AX)
            out.scan(facts.default_partition)


def create_as(stmt: Node, world: World, out: Recorder) -> None:
    rows.reads(stmt.query, world, out)


def view(stmt: Node, world: World, out: Recorder) -> None:
    rows.reads(stmt.query, world, out)
    name = world.name(stmt.view)
    if stmt.replace and world.relation(name) is not None:
        out.lock(name, AX)


def drop(stmt: Node, world: World, out: Recorder) -> None:
    kind = enum(stmt, "remove_type")
    if kind == "OBJECT_INDEX":
        indexes.drop_index(indexes.dotted_names(stmt, world), world, out, concurrently=stmt.concurrent)
        return
    if kind in ("OBJECT_TRIGGER", "OBJECT_RULE", "OBJECT_POLICY"):
        for item in stmt.objects:
            parts = tuple(part.string.sval for part in item.list.items)
            out.lock(world.dotted(parts[:-1]), AX)
        return
    if kind not in RELATIONS:
        return
    for name in indexes.dotted_names(stmt, world):
        out.lock(name, AX)
        for leaf in world.leaves(name):
            out.lock(leaf, AX)
        facts = world.relation(name)
        if facts is None:
            continue
        for item in facts.constraints:
            if item.kind == "f" and item.referenced:
                out.lock(item.referenced, AX)
        for other in facts.referenced_by:
            if stmt.behavior == 2:  # DROP_CASCADE
                out.lock(other, AX)
        if facts.parent:
            out.lock(facts.parent, AX)


def rename(stmt: Node, world: World, out: Recorder) -> None:
    if stmt.HasField("relation"):
        out.lock(world.name(stmt.relation), SUX if enum(stmt, "rename_type") == "OBJECT_INDEX" else AX)


def trigger(stmt: Node, world: World, out: Recorder) -> None:
    out.lock(world.name(stmt.relation), SRX)
    if stmt.HasField("constrrel"):
        out.lock(world.name(stmt.constrrel), SRX)


def policy(stmt: Node, world: World, out: Recorder) -> None:
    out.lock(world.name(stmt.table), AX)


def rule(stmt: Node, world: World, out: Recorder) -> None:
    out.lock(world.name(stmt.relation), AX)


def comment(stmt: Node, world: World, out: Recorder) -> None:
    kind = enum(stmt, "objtype")
    if kind in (*RELATIONS, "OBJECT_COLUMN", "OBJECT_TABCONSTRAINT") and stmt.object.HasField("list"):
        parts = tuple(part.string.sval for part in stmt.object.list.items)
        out.lock(world.dotted(parts if kind in RELATIONS else parts[:-1]), SUX)


def statistics(stmt: Node, world: World, out: Recorder) -> None:
    for item in stmt.relations:
        out.lock(world.name(item.range_var), SUX)


def set_schema(stmt: Node, world: World, out: Recorder) -> None:
    if stmt.HasField("relation"):
        out.lock(world.name(stmt.relation), AX)


def sequence(stmt: Node, world: World, out: Recorder) -> None:
    """ALTER SEQUENCE keeps nextval() waiting until the transaction ends."""
    out.lock(world.name(stmt.sequence), SRX)


def grant(stmt: Node, world: World, out: Recorder) -> None:
    """Takes no lock on the relation, but concurrent GRANTs on it fail with "tuple concurrently updated"."""
