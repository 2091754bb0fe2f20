"""Functions that an expression calls, also where it does not say so: through an operator, or as t.f for f(t)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from migrator.analysis.effects import World
from migrator.analysis.rules.servers_names import OPERATORS
from migrator.facts.facts import FunctionFacts
from migrator.frozen import frozen
from migrator.parsing.build import build
from migrator.parsing.nodes import Node, enum, find, name_of, relations, strings

NAMED = ("AEXPR_OP", "AEXPR_OP_ANY", "AEXPR_OP_ALL")
"""Expressions whose operator is written as one."""


@frozen
class Call:
    node: Node
    """A FuncCall."""
    sure: bool = True
    """Whether it means nothing else."""


def calls(node: Node, world: World, table: str = "") -> Iterator[Call]:
    """:param table: whose rows the expression is about, where it has no FROM."""
    yield from map(Call, find(node, "FuncCall"))
    for item in find(node, "A_Expr"):
        if enum(item, "kind") in NAMED:
            yield from _of_operator(item, world)
    yield from of_rows(node, world, table)


def of_rows(node: Node, world: World, table: str = "") -> Iterator[Call]:
    """t.f and (t).f for f(t)."""
    rows = {table.rpartition(".")[2]: table} if table else {}
    rows |= {one.alias.aliasname or one.relname: world.name(one) for one in relations(node)}
    for item in find(node, "ColumnRef"):
        parts = strings(item.fields)
        if len(parts) == 2 and parts[0] in rows:
            yield from _of_row(parts[1], rows[parts[0]], world)
    for item in find(node, "A_Indirection"):
        row, parts = strings(item.arg.column_ref.fields), strings(item.indirection)
        if len(row) == len(parts) == 1 and row[0] in rows:
            yield from _of_row(parts[0], rows[row[0]], world)


def callers(name: str, world: World) -> Iterator[tuple[str, FunctionFacts]]:
    """Functions by name that something calls which a restore computes anew, and that may call this one, whatever is
    between them."""
    known = world.facts.functions if world.facts is not None else {}
    above, size = {name}, 0
    while size != len(above):
        size = len(above)
        above |= {bare for bare, group in known.items() if any(not above.isdisjoint(_words(one.body)) for one in group)}
    for bare in sorted(above - {name}):
        for one in known[bare]:
            if one.restored:
                every = world.functions((one.schema, bare))
                yield bare, next((now for now in every if now.arguments == one.arguments), one)


@lru_cache(maxsize=4096)
def _words(body: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", body))


def _of_operator(item: Node, world: World) -> Iterator[Call]:
    parts = strings(item.name)
    operands = [one for one in (item.lexpr, item.rexpr) if name_of(one)]
    fitting = [
        one
        for one in world.operators(parts[-1])
        if len(one.operands) == len(operands) and one.schema == (parts[-2] if len(parts) > 1 else one.schema)
    ]
    sure = len(fitting) == 1 and (len(parts) > 1 or parts[0] not in OPERATORS)
    for one in fitting:
        yield Call(_call(*one.function, arg=operands), sure)


def _of_row(name: str, table: str, world: World) -> Iterator[Call]:
    """The field of a row that is no column."""
    if world.column(table, name) is None:
        for one in world.functions((name,)):
            if one.least <= 1 and one.arguments and world.dotted(tuple(one.arguments[0].split("."))) == table:
                yield Call(_call(one.schema, name))


def _call(schema: str, name: str, **arguments: Sequence[Node]) -> Node:
    made = build("SELECT sch.fun(arg)", sch=schema, fun=name, **arguments)
    return made.select_stmt.target_list[0].res_target.val.func_call
