"""From the kind of a statement to what it leaves behind: the world after it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from migrator.analysis.effects.names import schema_elements
from migrator.analysis.effects.replay import alter as replay_alter
from migrator.analysis.effects.replay import create as replay_create
from migrator.analysis.effects.replay import drop as replay_drop
from migrator.analysis.effects.replay import other as replay_other
from migrator.analysis.effects.replay import renames as replay_renames
from migrator.analysis.effects.replay.draft import Draft, Replay
from migrator.analysis.effects.world import World
from migrator.parsing.nodes import Node, name_of


def world_after(node: Node, world: World) -> World:
    """The world once this statement has run."""
    changes = replay(node, world)
    return World(world.facts, world.assumed, world.state.with_changes(changes)) if changes else world


def replay(node: Node, world: World) -> Mapping[Hashable, Any]:
    """The changes, as `State.with_changes` takes them."""
    name = name_of(node)
    handler = _HANDLERS.get(name)
    if handler is None:
        return {}
    draft = Draft(world)
    handler(getattr(node, name), draft)
    return draft.changes


def schema(stmt: Node, draft: Draft) -> None:
    name = schema_elements.schema_of(stmt)
    facts = draft.world.facts
    if not (stmt.if_not_exists and draft.world.has("schema", name, facts is not None and name in facts.schemas)):
        draft.changes[("schema", name)] = True
    inside = schema_elements.in_schema(name, draft.world) if len(stmt.schema_elts) else draft.world
    for element in schema_elements.elements(stmt):
        changes = replay(element, inside)
        draft.changes.update(changes)
        inside = world_after(element, inside)


_HANDLERS: Mapping[str, Replay] = {
    **replay_other.HANDLERS,
    **replay_renames.HANDLERS,
    **replay_drop.HANDLERS,
    **replay_alter.HANDLERS,
    **replay_create.HANDLERS,
    "create_schema_stmt": schema,
}
"""By the parse tree's name of the statement."""
