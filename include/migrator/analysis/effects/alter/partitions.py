"""ATTACH and DETACH PARTITION: the tree, the default partition, indexes, and foreign keys on both sides.

ATExecAttachPartition, ATExecDetachPartition and QueuePartitionConstraintValidation in tablecmds.c.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from migrator.analysis.effects.alter.target import Target
from migrator.analysis.effects.names.dependents import indexes_of
from migrator.analysis.effects.partitions import bounds
from migrator.analysis.effects.world import World
from migrator.facts.facts import RelationFacts
from migrator.lock_modes import AS, AX, SRX, SUX
from migrator.parsing.nodes import Node


def attach(command: Node, target: Target) -> None:
    """The parent goes on; the partition, and a default partition, are closed while their rows are read."""
    cmd = getattr(command, "def").partition_cmd
    part = target.world.name(cmd.name)
    if target.kind == "I" or (target.facts is None and not cmd.HasField("bound")):
        _attach_index(part, target)
        return
    world, out = target.world, target.out
    if world.exists(part) is False:
        out.fail("42P01", f'relation "{part}" does not exist')
        return
    joined = world.relation(part)
    for name in (part, *world.leaves(part)):
        out.lock(name, AX)
    facts = target.facts
    if facts is None:
        target.scan((part,))
        out.assume(f"{part} has no CHECK that proves the bound of the partition, and {target.name} no default")
        return
    if joined is not None:
        _fits(joined, facts, target)
    for ancestor in _above(facts, world):  # their bounds are the partition's, too (generate_partition_qual)
        out.lock(ancestor, AS)
    column = bounds.key_column(facts.partition_key)
    bound = bounds.of_node(cmd.bound)
    _bound_is_free(bound, facts, target)
    for name in world.storage(part):
        found = world.relation(name)
        sure = found is not None and column is not None and bound is not None and not bound.default
        proved = sure and bounds.proves(found, column, bound)  # type: ignore[arg-type]
        everything = bound is not None and bound.default and not facts.children
        if not proved and not everything:
            target.scan((name,))
            out.risk("23514", f"a row of {name} is outside the bound of the partition")
    _default_partition(bound, column, facts, target)
    for index in facts.indexes:
        out.lock(index.name, SUX)
        if joined is not None and not _has_alike(index.columns, joined):
            target.scan(world.storage(part))
    _foreign_keys_of_the_tree(part, facts, target)


def _above(facts: RelationFacts, world: World) -> Iterator[str]:
    """The partitioned tables that this one is part of."""
    while facts.is_partition and facts.parent:
        yield facts.parent
        above = world.relation(facts.parent)
        if above is None:
            return
        facts = above


def _fits(part: RelationFacts, parent: RelationFacts, target: Target) -> None:
    out, bare = target.out, part.name.rsplit(".", 1)[-1]
    if part.is_partition:
        out.fail("42809", f'"{bare}" is already a partition')
    if part.parent or (part.children and part.kind == "r"):
        out.fail("42809", f'cannot attach "{bare}" as partition: it is part of an inheritance tree')
    for name, column in parent.columns.items():
        mine = part.columns.get(name)
        if mine is None and part.more_columns:
            continue
        if mine is None:
            out.fail("42804", f'child table is missing column "{name}"')
        elif mine.type != column.type:
            out.fail("42804", f'child table "{bare}" has different type for column "{name}"')
        elif column.not_null and not mine.not_null:
            out.fail("42804", f'column "{name}" in child table must be marked NOT NULL')
    extra = [name for name in part.columns if name not in parent.columns]
    if extra and not parent.more_columns:
        out.fail("42804", f'table "{bare}" contains column "{extra[0]}" not found in parent "{parent.name}"')
    for item in parent.constraints:
        if item.kind == "c" and not any(c.kind == "c" and c.name == item.name for c in part.constraints):
            out.fail("42804", f'child table is missing constraint "{item.name}"')


def _bound_is_free(bound: bounds.Bound | None, parent: RelationFacts, target: Target) -> None:
    if bound is None:
        return
    for name in parent.children:
        facts = target.world.relation(name)
        taken = bounds.of_text(facts.bound) if facts is not None else None
        if taken is not None and bounds.overlap(bound, taken):
            target.out.fail("42P17", f'the partition would overlap partition "{name}"')


def _default_partition(bound: bounds.Bound | None, column: str | None, parent: RelationFacts, target: Target) -> None:
    """Its rows must not belong to the new partition."""
    name = parent.default_partition
    if name is None:
        return
    for member in (name, *target.world.leaves(name)):
        target.out.lock(member, AX)
    for member in target.world.storage(name):
        facts = target.world.relation(member)
        if facts is None or column is None or bound is None or not bounds.excludes(facts, column, bound):
            target.scan((member,))
            target.out.risk("23514", f"a row of the default partition {member} belongs to the new partition")


def _has_alike(columns: tuple[str, ...], part: RelationFacts) -> bool:
    return any(index.columns == columns and index.valid for index in part.indexes)


def _foreign_keys_of_the_tree(part: str, parent: RelationFacts, target: Target) -> None:
    """The partition gets the foreign keys of the tree, checked; those that point to the tree point to it, too."""
    world = target.world
    for item in parent.constraints:
        if item.kind == "f" and item.referenced and item.referenced != parent.name:
            for name in (item.referenced, *world.leaves(item.referenced)):
                target.out.lock(name, SRX)
            if item.enforced:
                target.scan(world.storage(part))
                target.scan(world.storage(item.referenced))
                target.out.risk("23503", f"a row of {part} has no counterpart in {item.referenced}")
    for other in parent.referenced_by:
        if other != parent.name:  # 14 makes the triggers without closing the table to writers
            target.out.lock(other, SRX if world.major >= 15 else AS)


def _attach_index(part: str, target: Target) -> None:
    """ALTER INDEX ATTACH PARTITION: an instant, for both indexes and their tables."""
    target.out.lock(part, AX)
    world = target.world
    mine, other = world.relation(target.name), world.relation(part)
    tree = world.relation(mine.table) if mine is not None and mine.table else None
    if tree is not None and other is not None and other.table and other.table not in tree.children:
        target.out.fail("55000", f'cannot attach index "{part}" as a partition of index "{target.bare}"')
    for index in (target.name, part):
        facts = target.world.relation(index)
        if facts is not None and facts.table:
            target.out.lock(facts.table, AS)


def detach(command: Node, target: Target) -> None:
    """CONCURRENTLY lets the parent go on, and waits for whoever still sees the partition in it."""
    cmd = getattr(command, "def").partition_cmd
    world, out, facts = target.world, target.out, target.facts
    part = world.name(cmd.name)
    if world.exists(part) is False:
        out.fail("42P01", f'relation "{part}" does not exist')
    if facts is not None and part not in facts.children:
        out.fail("42P01", f'relation "{part}" is not a partition of relation "{target.bare}"')
    if cmd.concurrent:
        out.waits = True
        if facts is not None and facts.default_partition:
            out.fail("55000", "cannot detach partitions concurrently when a default partition exists")
    for name in (part, *world.leaves(part)):
        out.lock(name, AX)
    if facts is not None and facts.default_partition and not cmd.concurrent:
        out.lock(facts.default_partition, AX)
    for index in indexes_of(world, part):
        if index.parent is not None:
            out.lock(index.name, AX)
    _foreign_keys_of_the_part(part, facts, target)


def _foreign_keys_of_the_part(part: str, parent: RelationFacts | None, target: Target) -> None:
    """Foreign keys of the partition are made its own; rows that refer to it would be lost, and are looked for."""
    world = target.world
    for item in parent.constraints if parent is not None else ():
        if item.kind == "f" and item.referenced:
            for name in (item.referenced, *world.leaves(item.referenced)):
                target.out.lock(name, SRX)
    for ancestor in _above(parent, world) if parent is not None and parent.referenced_by else ():
        target.out.lock(ancestor, AS)  # what the partition could hold is asked for
    for other in parent.referenced_by if parent is not None else ():
        target.out.lock(other, AX)
        target.scan(world.storage(other))
        target.out.risk("23503", f"a row of {other} refers to the partition")


def finalize(command: Node, target: Target) -> None:
    part = target.world.name(getattr(command, "def").partition_cmd.name)
    facts = target.facts
    if facts is not None and facts.pending_detach != part:
        target.out.fail("55000", f'partition "{part}" is not being detached')
    target.out.lock(part, AX)
    target.out.waits = False


HANDLERS: Mapping[str, Callable[[Node, Target], None]] = {
    "AT_AttachPartition": attach,
    "AT_DetachPartition": detach,
    "AT_DetachPartitionFinalize": finalize,
}
