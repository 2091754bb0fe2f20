"""Foreign keys: SHARE ROW EXCLUSIVE on both tables, on every partition of each, and a join of both to check.

ATAddForeignKeyConstraint in src/backend/commands/tablecmds.c, RI_Initial_Check in ri_triggers.c.
"""

from __future__ import annotations

from migrator.analysis.effects.alter.target import Target
from migrator.analysis.effects.types import casts, types
from migrator.facts.facts import ConstraintFacts, RelationFacts
from migrator.lock_modes import AS, AX, RS, SRX
from migrator.parsing.nodes import Node, strings


def add(constraint: Node, target: Target, *, columns: tuple[str, ...] = (), checks: bool = True) -> None:
    """`columns`: of a column constraint. `checks`: whether there can be a value to look up."""
    out, world = target.out, target.world
    other = world.name(constraint.pktable)
    valid = not constraint.skip_validation
    own = columns or strings(constraint.fk_attrs)
    referenced = world.relation(other)
    if world.exists(other) is False:
        out.fail("42P01", f'relation "{other}" does not exist')
        return
    if not columns:
        for name in own:
            target.column(name)
    _on_partitioned(constraint, target)
    if referenced is not None:
        _can_be_referenced(constraint, own, referenced, target)
    family = target.family if target.kind == "p" else (target.name,)
    for name in (*family, other, *world.leaves(other)):
        out.lock(name, SRX)
    if not constraint.is_enforced and not columns:
        target.needs(18, "NOT ENFORCED")
    unchecked = tuple(name for name in world.storage(target.name) if not _has_it(name, own, other, constraint, target))
    if valid and len(unchecked) < len(world.storage(target.name)):
        out.lock(other, AX)  # the partition's own triggers there are dropped
    if valid and checks and unchecked:
        target.scan(unchecked)
        target.scan(world.storage(other))
        out.risk("23503", f"a row has no counterpart in {other}")


def _has_it(name: str, own: tuple[str, ...], other: str, constraint: Node, target: Target) -> bool:
    """Whether a partition has the same foreign key, valid: it is taken over as it is (tryAttachPartitionForeignKey)."""
    facts = target.world.relation(name)
    if facts is None or name == target.name:
        return False
    return any(
        item.kind == "f"
        and item.validated
        and item.enforced
        and item.columns == own
        and item.referenced == other
        and (item.on_delete, item.on_update) == (constraint.fk_del_action or "a", constraint.fk_upd_action or "a")
        for item in facts.constraints
    )


def _on_partitioned(constraint: Node, target: Target) -> None:
    if target.kind != "p":
        return
    if target.only:
        target.out.fail("42809", f'cannot use ONLY for foreign key on partitioned table "{target.bare}"')
    if constraint.skip_validation and constraint.is_enforced:
        if target.world.major < 18:
            target.out.fail("42809", f'cannot add NOT VALID foreign key on partitioned table "{target.bare}"')
        else:
            target.out.differs("before 18 a foreign key of a partitioned table cannot be NOT VALID (42809)")


def _can_be_referenced(constraint: Node, own: tuple[str, ...], referenced: RelationFacts, target: Target) -> None:
    out, name = target.out, referenced.name.rsplit(".", 1)[-1]
    if referenced.kind not in "rp":
        out.fail("42809", f'referenced relation "{name}" is not a table')
        return
    if referenced.persistence == "u" and target.facts is not None and target.facts.persistence == "p":
        out.fail("42P16", "constraints on permanent tables may reference only permanent tables")
    wanted = strings(constraint.pk_attrs)
    if not target.world.is_told(referenced.name):
        for column in wanted:
            if column not in referenced.columns:
                out.fail("42703", f'column "{column}" referenced in foreign key constraint does not exist')
    if referenced.more_keys:
        return
    if not wanted:
        key = next((index for index in referenced.indexes if index.primary), None)
        if key is None:
            out.fail("42704", f'there is no primary key for referenced table "{name}"')
            return
        wanted = key.columns
    elif not any(
        index.unique and index.predicate is None and index.immediate and set(index.columns) == set(wanted)
        for index in referenced.indexes
    ):
        out.fail("42830", f'there is no unique constraint matching given keys for referenced table "{name}"')
    if len(wanted) != len(own):
        out.fail("42830", "number of referencing and referenced columns for foreign key disagree")
        return
    for mine, theirs in zip(own, wanted, strict=True):
        ours, other = target.world.column(target.name, mine), referenced.columns.get(theirs)
        if ours is None or other is None or ours.domain or other.domain:
            continue
        if not casts.comparable(types.from_text(ours.type), types.from_text(other.type)):
            out.fail("42804", f'key columns "{mine}" ({ours.type}) and "{theirs}" ({other.type}) cannot be compared')


def drop(known: ConstraintFacts, target: Target) -> None:
    """The triggers on both tables go away."""
    if known.referenced is not None:
        for name in (known.referenced, *target.world.leaves(known.referenced)):
            target.out.lock(name, AX)


def validate(known: ConstraintFacts, target: Target) -> None:
    if known.referenced is None:
        return
    target.out.lock(known.referenced, RS)
    for name in target.world.leaves(known.referenced):
        target.out.lock(name, AS)
    target.scan(target.world.storage(known.referenced))
