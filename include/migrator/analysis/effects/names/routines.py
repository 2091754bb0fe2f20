"""Functions as facts: from CREATE FUNCTION, and those that a statement names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from migrator.analysis.effects.types import types
from migrator.analysis.effects.world import World
from migrator.facts.facts import FunctionFacts
from migrator.parsing.nodes import Node, assign, copy_of, enum, option_text, strings

WITH_BODIES = ("sql", "plpgsql")
"""Languages whose functions facts have the definition of."""


def made(stmt: Node, world: World) -> FunctionFacts:
    """What CREATE FUNCTION makes."""
    parts = strings(stmt.funcname)
    inputs = [
        item.function_parameter
        for item in stmt.parameters
        if enum(item.function_parameter, "mode") not in ("FUNC_PARAM_OUT", "FUNC_PARAM_TABLE")
    ]
    variadic = any(enum(item, "mode") == "FUNC_PARAM_VARIADIC" for item in inputs)
    volatility = option_text(stmt.options, "volatility") or "volatile"
    language = (option_text(stmt.options, "language") or "sql").lower()
    return FunctionFacts(
        volatility=volatility[0],
        least=sum(1 for item in inputs if not item.HasField("defexpr")),
        most=1000 if variadic else len(inputs),
        schema=parts[-2] if len(parts) > 1 else world.schema,
        arguments=tuple(str(types.from_node(item.arg_type)) for item in inputs),
        language=language,
        kind="p" if stmt.is_procedure else "f",
        body=definition(stmt, "create_function_stmt") if language in WITH_BODIES else "",
    )


def named(function: Node, world: World) -> tuple[FunctionFacts, ...]:
    """Those that an ObjectWithArgs means: with these arguments, or all of the name when none are written, of which
    there can be only one."""
    wanted = tuple(replace(types.from_node(one.type_name), mods=()) for one in function.objargs)
    return tuple(
        one
        for one in world.functions(strings(function.objname))
        if function.args_unspecified or tuple(map(types.from_text, one.arguments)) == wanted
    )


def with_settings(body: str, actions: Iterable[Node]) -> str:
    """A definition after the SET and RESET of an ALTER FUNCTION."""
    from migrator.parsing.statements import deparse, parse

    parsed = parse(body, file="catalog")
    settings = [item for item in actions if item.def_elem.defname == "set"]
    if len(parsed.statements) != 1 or parsed.statements[0].name != "create_function_stmt" or not settings:
        return body
    node = parsed.statements[0].node
    options = list(node.create_function_stmt.options)
    for item in settings:
        setting = item.def_elem.arg.variable_set_stmt
        every = enum(setting, "kind") == "VAR_RESET_ALL"
        options = [one for one in options if one.def_elem.defname != "set" or not (every or _sets(one, setting.name))]
        options += [item] if enum(setting, "kind") in ("VAR_SET_VALUE", "VAR_SET_CURRENT") else []
    made_anew = copy_of(node)
    del made_anew.create_function_stmt.options[:]
    made_anew.create_function_stmt.options.extend(options)
    return deparse(made_anew)


def _sets(item: Node, setting: str) -> bool:
    return str(item.def_elem.arg.variable_set_stmt.name).lower() == setting.lower()


def definition(stmt: Node, kind: str) -> str:
    """The statement as text, which is how the catalog has it."""
    from migrator.parsing.statements import deparse, parse

    node = parse("SELECT", file="template").statements[0].node
    assign(getattr(node, kind), stmt)
    return deparse(node)
