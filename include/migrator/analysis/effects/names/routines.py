"""Functions as facts: from CREATE FUNCTION, and those that a statement names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from migrator.analysis.effects.types import types
from migrator.analysis.effects.types.types import SqlType
from migrator.analysis.effects.world import World
from migrator.facts.facts import FunctionFacts, altered
from migrator.parsing.nodes import Node, assign, copy_of, enum, name_of, option_text, strings

WITH_BODIES = ("sql", "plpgsql")
"""Languages whose functions facts have the definition of."""
_ANY = 1000
"""As many arguments as somebody likes."""


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
        most=_ANY if variadic else len(inputs),
        schema=parts[-2] if len(parts) > 1 else world.schema,
        arguments=tuple(str(_argument(item.arg_type, world)) for item in inputs),
        language=language,
        kind="p" if stmt.is_procedure else "f",
        body=definition(stmt, "create_function_stmt") if language in WITH_BODIES else "",
    )


def same(stmt: Node, world: World, among: Iterable[FunctionFacts] | None = None) -> FunctionFacts | None:
    """The one with the schema, the name and the arguments of a CREATE FUNCTION: it is replaced, or in the way.

    :param among: those to look at, all of that name; None: those that are there now.
    """
    new = made(stmt, world)
    every = world.functions((new.schema, strings(stmt.funcname)[-1])) if among is None else among
    wanted = tuple(map(types.from_text, new.arguments))
    return next((one for one in every if one.schema == new.schema and _takes(one, wanted, world)), None)


def named(function: Node, world: World) -> tuple[FunctionFacts, ...]:
    """Those that an ObjectWithArgs means: with these arguments, or all of the name when none are written, of which
    there can be only one."""
    wanted = tuple(_argument(one.type_name, world) for one in function.objargs)
    every = world.functions(strings(function.objname))
    if function.args_unspecified:
        return every
    return tuple(one for one in every if _takes(one, wanted, world) or _is_unknown(one))


def unknown(schema: str) -> FunctionFacts:
    """It is there, and nobody asked what it takes."""
    return FunctionFacts("v", 0, _ANY, schema=schema)


def _is_unknown(one: FunctionFacts) -> bool:
    return one.most == _ANY and not one.arguments


def _argument(type_name: Node, world: World) -> SqlType:
    """Lengths are no part of a signature, and t.a%TYPE is what the column has."""
    if type_name.pct_type:
        parts = strings(type_name.names)
        column = world.column(world.dotted(parts[:-1]), parts[-1])
        if column is not None:
            return replace(types.from_text(column.type), mods=())
    return replace(types.from_node(type_name), mods=())


def _takes(one: FunctionFacts, wanted: tuple[SqlType, ...], world: World) -> bool:
    have = tuple(map(types.from_text, one.arguments))
    return len(have) == len(wanted) and all(_alike(*pair, world) for pair in zip(have, wanted, strict=True))


def _alike(one: SqlType, other: SqlType, world: World) -> bool:
    """The same type: format_type() leaves out a schema that is on the path, and so may the statement."""
    names = [_qualified(item.name, world) for item in (one, other)]
    if any("." not in name for name in names):
        names = [name.rpartition(".")[2] for name in names]
    return one.array == other.array and names[0] == names[1]


def _qualified(name: str, world: World) -> str:
    plain = name.replace('"', "")
    known = None if types.is_builtin(name) else world.type(tuple(plain.split(".")))
    return known.name if known is not None else plain


def changed(function: FunctionFacts, actions: Iterable[Node]) -> FunctionFacts:
    """A function after ALTER FUNCTION with these clauses."""
    items = tuple(actions)
    volatility = option_text(items, "volatility") or function.volatility
    return altered(function, volatility=volatility[0], body=_with_clauses(function.body, items))


def _with_clauses(body: str, actions: tuple[Node, ...]) -> str:
    from migrator.parsing.statements import deparse, parse

    parsed = parse(body, file="catalog")
    if len(parsed.statements) != 1 or parsed.statements[0].name != "create_function_stmt":
        return body
    node = copy_of(parsed.statements[0].node)
    options = list(node.create_function_stmt.options)
    for item in actions:
        clause = item.def_elem.defname
        if clause != "set":
            options = [one for one in options if one.def_elem.defname != clause]
            off = name_of(item.def_elem.arg) == "boolean" and not item.def_elem.arg.boolean.boolval
            options += [] if off else [item]  # the catalog does not write it down
            continue
        setting = item.def_elem.arg.variable_set_stmt
        every = enum(setting, "kind") == "VAR_RESET_ALL"
        options = [one for one in options if one.def_elem.defname != "set" or not (every or _sets(one, setting.name))]
        options += [item] if enum(setting, "kind") in ("VAR_SET_VALUE", "VAR_SET_CURRENT") else []
    options = [copy_of(one) for one in options]
    del node.create_function_stmt.options[:]
    node.create_function_stmt.options.extend(options)
    return deparse(node)


def _sets(item: Node, setting: str) -> bool:
    return str(item.def_elem.arg.variable_set_stmt.name).lower() == setting.lower()


def definition(stmt: Node, kind: str) -> str:
    """The statement as text, which is how the catalog has it."""
    from migrator.parsing.statements import deparse, parse

    node = parse("SELECT", file="template").statements[0].node
    assign(getattr(node, kind), stmt)
    return deparse(node)
