"""From the kind of a statement to the function that knows its effects."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from migrator.effects.model import Effects, Recorder
from migrator.effects.world import World
from migrator.nodes import Node, name_of

Handler = Callable[[Node, World, Recorder], None]
"""Called with the statement's own message (not its Node envelope)."""


def effects_of(node: Node, world: World) -> Effects:
    """What the statement does in this world. Unknown statements say so (`known` is False)."""
    handler = HANDLERS.get(name_of(node))
    recorder = Recorder()
    if handler is None:
        recorder.known = False
    else:
        handler(getattr(node, name_of(node)), world, recorder)
    return recorder.done(without=world.created)


HANDLERS: Mapping[str, Handler] = {}
