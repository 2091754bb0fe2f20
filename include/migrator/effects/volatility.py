"""Whether an expression is volatile: a column with a volatile default is written into every existing row."""

from __future__ import annotations

from migrator.effects.builtin_functions import STEADY, VOLATILE
from migrator.effects.world import World
from migrator.nodes import Node, find, strings


def volatile_functions(expression: Node, world: World) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of volatile functions in an expression, and of functions that are only assumed to be.

    CURRENT_TIMESTAMP and its like are stable and no function calls. What CREATE FUNCTION makes is volatile unless it
    says otherwise, so an unknown name counts as volatile, by assumption.
    """
    sure: list[str] = []
    assumed: list[str] = []
    for call in find(expression, "FuncCall"):
        parts = strings(call.funcname)
        name = parts[-1] if parts else ""
        known = _from_catalog(name, len(call.args), world)
        if known is None and (len(parts) == 1 or parts[0] == "pg_catalog"):
            known = True if name in VOLATILE else False if name in STEADY else None
        if known is None:
            assumed.append(name)
        elif known:
            sure.append(name)
    if any(True for _ in find(expression, "NextValueExpr")):
        sure.append("nextval")
    return tuple(dict.fromkeys(sure)), tuple(dict.fromkeys(assumed))


def _from_catalog(name: str, arguments: int, world: World) -> bool | None:
    if world.facts is None:
        return None
    fitting = [item for item in world.facts.functions.get(name, ()) if item.least <= arguments <= item.most]
    return any(item.volatility == "v" for item in fitting) if fitting else None
