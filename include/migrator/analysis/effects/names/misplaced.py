"""Expressions that PostgreSQL does not take where they stand: sub-queries, aggregates, columns in a DEFAULT.

transformSubLink in src/backend/parser/parse_expr.c, check_agglevels_and_constraints and transformWindowFuncCall in
parse_agg.c, cookDefault in src/backend/catalog/heap.c.
"""

from __future__ import annotations

from migrator.analysis.effects.model import Recorder
from migrator.analysis.effects.types.builtin_functions import AGGREGATES
from migrator.analysis.effects.world import World
from migrator.parsing.nodes import Node, enum, find, name_of, strings

DEFAULT = "DEFAULT expression"
CHECK = "check constraint"
INDEX = "index expression"
PREDICATE = "index predicate"
GENERATED = "column generation expression"


def misplaced(expression: Node, where: str, world: World, out: Recorder) -> None:
    """Fail for the first thing in an expression that cannot stand there."""
    if name_of(expression) == "a_const":
        return
    for item in find(expression, "SubLink", "FuncCall", "ColumnRef"):
        kind = item.DESCRIPTOR.name
        if kind == "ColumnRef":
            if where == DEFAULT:
                out.fail("0A000", f"cannot use column reference in {where}")
                return
        elif kind == "SubLink":
            out.fail("0A000", f"cannot use subquery in {where}")
            return
        elif item.HasField("over"):
            out.fail("42P20", f"window functions are not allowed in {where}s")
            return
        elif _is_aggregate(item, world):
            out.fail("42803", f"aggregate functions are not allowed in {where}s")
            return


def in_constraints(constraints: Node, world: World, out: Recorder) -> None:
    """Of a column: its DEFAULT, CHECK and GENERATED."""
    places = {"CONSTR_DEFAULT": DEFAULT, "CONSTR_CHECK": CHECK, "CONSTR_GENERATED": GENERATED}
    for item in constraints:
        where = places.get(enum(item.constraint, "contype"))
        if where is not None and name_of(item.constraint.raw_expr):
            misplaced(item.constraint.raw_expr, where, world, out)


def _is_aggregate(call: Node, world: World) -> bool:
    parts = strings(call.funcname)
    if call.agg_star or call.agg_distinct or len(call.agg_order) or call.HasField("agg_filter"):
        return True
    if len(parts) == 1 and parts[0] in AGGREGATES and not world.functions(parts):
        return True
    fitting = [item for item in world.functions(parts) if item.least <= len(call.args) <= item.most]
    return bool(fitting) and all(item.kind == "a" for item in fitting)
