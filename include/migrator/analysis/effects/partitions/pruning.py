"""Which partitions the planner leaves in a query: those that the WHERE rules out by constants are not even locked.

prune_append_rel_partitions in src/backend/partitioning/partprune.c, called by expand_partitioned_rtentry before a
partition is opened. What is constant only when the statement runs (now(), a sub-query) prunes nothing that is locked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from migrator.analysis.effects.model import Recorder
from migrator.analysis.effects.partitions.level import level
from migrator.analysis.effects.partitions.pruning_conditions import Judge
from migrator.analysis.effects.world import World
from migrator.facts.facts import RelationFacts
from migrator.parsing.nodes import Node, enum, name_of


@dataclass(frozen=True)
class Scope:
    """The conditions that rows of the tables of one FROM have to meet."""

    conditions: tuple[Node, ...] = ()
    outer: bool = False
    """An outer join, below which a condition may not reach all of the tables."""


NO_SCOPE = Scope()


def scope(where: Node, tables: Iterable[Node]) -> Scope:
    """Of WHERE and of the inner joins among the items of FROM."""
    found = [where] if name_of(where) else []
    outer = False
    stack = [item.join_expr for item in tables if name_of(item) == "join_expr"]
    while stack:
        join = stack.pop()
        inner = enum(join, "jointype") == "JOIN_INNER"
        outer = outer or not inner
        if inner and name_of(join.quals):
            found.append(join.quals)
        stack += [side.join_expr for side in (join.larg, join.rarg) if name_of(side) == "join_expr"]
    return Scope(tuple(found), outer) if found else NO_SCOPE


def left(name: str, alias: str, conditions: Scope, world: World, out: Recorder) -> tuple[str, ...]:
    """The descendants of a partitioned table that are locked; of any other table all of them."""
    facts = world.relation(name)
    if facts is None or facts.kind != "p" or not conditions.conditions or not facts.partitions:
        return facts.partitions if facts is not None else ()
    kept: set[str] = set()
    unsure = _descend(facts, alias, conditions, world, kept)
    found = tuple(part for part in facts.partitions if part in kept)
    if unsure or (conditions.outer and len(found) < len(facts.partitions)):
        out.assume(f"the planner may leave out more partitions of {name} than those that are certain not to be locked")
    return facts.partitions if conditions.outer else found


def _descend(facts: RelationFacts, alias: str, conditions: Scope, world: World, kept: set[str]) -> bool:
    """Notes what is kept, at all depths; whether the planner may keep less."""
    here = level(facts, world)
    if here is None:
        wanted, unsure = frozenset(facts.children), True
    else:
        never_null = frozenset([column for column, known in facts.columns.items() if known.not_null])
        judge = Judge(here, alias, world, conditions.conditions, never_null)
        wanted = judge.kept(facts.children)
        unsure = judge.unsure or (facts.is_partition and here.default in wanted)  # its own bound counts then
    for name in wanted:
        kept.add(name)
        child = world.relation(name)
        if child is not None and child.kind == "p":
            unsure = _descend(child, alias, conditions, world, kept) or unsure
    return unsure
