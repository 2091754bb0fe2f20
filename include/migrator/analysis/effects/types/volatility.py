"""Whether an expression is volatile: a column with a volatile default is written into every existing row."""

from __future__ import annotations

from migrator.analysis.effects.types import types
from migrator.analysis.effects.types.builtin_functions import STEADY, VOLATILE
from migrator.analysis.effects.world import World
from migrator.facts.constants import sequences_of
from migrator.facts.facts import FunctionFacts
from migrator.parsing.nodes import Node, find, flag, name_of, option, strings

MAX_DEPTH = 5
"""SQL functions that call SQL functions are followed this far."""
_NOT_STRICT = (
    "CoalesceExpr",
    "CaseExpr",
    "NullTest",
    "BooleanTest",
    "BoolExpr",
    "A_ArrayExpr",
    "RowExpr",
    "MinMaxExpr",
    "SubLink",
)
"""Expressions that can be something else than NULL where a part of them is NULL."""


def volatile_functions(expression: Node, world: World, *, depth: int = 0) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of volatile functions in an expression, and of functions that are only assumed to be.

    CURRENT_TIMESTAMP and its like are stable and no function calls. What CREATE FUNCTION makes is volatile unless it
    says otherwise, so an unknown name counts as volatile, by assumption.
    """
    sure: list[str] = []
    assumed: list[str] = []
    for call in find(expression, "FuncCall"):
        parts = strings(call.funcname)
        name = parts[-1] if parts else ""
        known = _from_catalog(call, parts, world, depth)
        if known is None and (len(parts) == 1 or parts[0] == "pg_catalog"):
            known = True if name in VOLATILE else False if name in STEADY else None
        if known is None:
            assumed.append(name)
        elif known:
            sure.append(name)
    return tuple(dict.fromkeys(sure)), tuple(dict.fromkeys(assumed))


def unsteady_functions(expression: Node, world: World) -> tuple[str, ...]:
    """Names of functions that are certainly not immutable: a generated column cannot use them."""
    found = list(volatile_functions(expression, world)[0])
    if any(True for _ in find(expression, "SQLValueFunction")):
        found.append("current_timestamp and the like")
    for call in find(expression, "FuncCall"):
        fitting = candidates(call, strings(call.funcname), world)
        if fitting and all(item.volatility == "s" and not is_inlined(item, world) for item in fitting):
            found.append(strings(call.funcname)[-1])
    return tuple(dict.fromkeys(found))


def missing_functions(expression: Node, world: World) -> tuple[str, ...]:
    """Names of functions that neither the catalog nor the migration has."""
    if world.facts is None or not world.facts.complete:
        return ()
    names = (strings(call.funcname) for call in find(expression, "FuncCall"))
    return tuple(dict.fromkeys(parts[-1] for parts in names if parts and not world.functions(parts)))


def sequences_used(expression: Node, world: World) -> tuple[str, ...]:
    """Sequences that nextval() in an expression draws from."""
    calls = (call for call in find(expression, "FuncCall") if strings(call.funcname)[-1:] == ("nextval",))
    names = (name for call in calls for name in sequences_of(call))
    return tuple(dict.fromkeys(world.dotted(tuple(part for part in name if part)) for name in names))


def _from_catalog(call: Node, parts: tuple[str, ...], world: World, depth: int) -> bool | None:
    fitting = candidates(call, parts, world)
    return any(item.volatility == "v" and not is_inlined(item, world, depth) for item in fitting) if fitting else None


def candidates(call: Node, parts: tuple[str, ...], world: World) -> tuple[FunctionFacts, ...]:
    """Functions that a call may mean: by name and number of arguments, then by the types that are written down."""
    count = len(call.args)
    fitting = tuple(item for item in world.functions(parts) if item.least <= count <= item.most)
    written = [_written_type(item) for item in call.args]
    exact = tuple(
        item
        for item in fitting
        if all(mine in (None, theirs) for mine, theirs in zip(written, item.arguments, strict=False))
    )
    return exact or fitting


def _written_type(argument: Node) -> str | None:
    """The type of an argument that shows it: a cast or a whole number."""
    kind = name_of(argument)
    if kind == "type_cast":
        return types.from_node(argument.type_cast.type_name).name
    return "integer" if kind == "a_const" and argument.a_const.HasField("ival") else None


def is_inlined(function: FunctionFacts, world: World, depth: int = 0) -> bool:
    """A SQL function of one expression is replaced by it (inline_function in clauses.c), whatever it says it is."""
    if function.language != "sql" or depth >= MAX_DEPTH or function.kind != "f":
        return False
    parsed = parse_body(function.body)
    if parsed is None:
        return False
    sure, assumed = volatile_functions(parsed, world, depth=depth + 1)
    return not sure and not assumed


def parse_body(body: str) -> Node | None:
    """The expression of a SQL function that is SELECT of one expression and nothing else, without a clause that keeps
    the function a function.

    :param body: as pg_get_functiondef() writes it: a CREATE FUNCTION.
    """
    from migrator.parsing.statements import parse

    parsed, made = parse(body, file="catalog"), None
    if len(parsed.statements) == 1 and parsed.statements[0].name == "create_function_stmt":
        made = parsed.statements[0].tree
        source = option(made.options, "as")
        parsed = parse("".join(strings(source.arg.list.items)) if source is not None else "", file="catalog")
    if parsed.problems or len(parsed.statements) != 1 or parsed.statements[0].name != "select_stmt":
        return None
    tree = parsed.statements[0].tree
    plain = {"target_list", "limit_option", "op"}
    if any(field.name not in plain for field, _ in tree.ListFields()) or len(tree.target_list) != 1:
        return None
    expression = tree.target_list[0].res_target.val
    return None if made is not None and _stays(made, expression) else expression


def _stays(made: Node, expression: Node) -> bool:
    """It has rights or settings of its own, or says NULL of a NULL for which the expression might say something."""
    if flag(made.options, "security", False) or option(made.options, "set") is not None:
        return True
    if not flag(made.options, "strict", False):
        return False
    names = [item.function_parameter.name for item in made.parameters]
    used = {item.number for item in find(expression, "ParamRef")}
    used |= {names.index(name[-1]) + 1 for name in map(_column, find(expression, "ColumnRef")) if name[-1] in names}
    return any(True for _ in find(expression, *_NOT_STRICT)) or used != set(range(1, len(names) + 1))


def _column(node: Node) -> tuple[str, ...]:
    return strings(node.fields) or ("",)
