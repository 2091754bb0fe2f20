"""What an expression costs for each row: operators, patterns, functions."""

from __future__ import annotations

from migrator.analysis.effects.types.builtin_functions import STEADY, VOLATILE
from migrator.analysis.estimate.costs import Costs
from migrator.parsing.nodes import Node, enum, strings, walk

PATTERNS = ("~", "~*", "!~", "!~*", "~~", "~~*", "!~~", "!~~*")
"""Regular expressions, LIKE and ILIKE."""
RANDOM_BYTES = ("gen_random_uuid", "uuidv4", "uuidv7", "uuid_generate_v4", "gen_random_bytes")
PATTERN_FUNCTIONS = ("regexp_replace", "regexp_match", "regexp_like", "regexp_count", "to_tsvector")
TEXT_FUNCTIONS = ("lower", "upper", "initcap", "md5", "sha256")
SEQUENCES = ("nextval",)
CLOCKS = ("clock_timestamp", "timeofday")
SERIALS = ("serial", "bigserial", "smallserial", "serial4", "serial8", "serial2")
NUMERICS = ("numeric", "decimal")
AGGREGATES = ("count", "sum", "min", "max", "avg", "bool_and", "bool_or", "every")
LENGTHS = ("length", "char_length", "octet_length", "substr", "substring", "left", "right", "btrim", "concat")


def seconds_per_million(expression: Node | None, costs: Costs) -> float:
    """Of one evaluation for each of a million rows."""
    if expression is None:
        return 0.0
    seconds = 0.0
    for item in walk(expression):
        kind = item.DESCRIPTOR.name
        if kind == "A_Expr":
            name = strings(item.name)[-1:] or ("",)
            like = enum(item, "kind") in ("AEXPR_LIKE", "AEXPR_ILIKE", "AEXPR_SIMILAR")
            seconds += costs.pattern if like or name[0] in PATTERNS else costs.operator
        elif kind in ("NullTest", "BooleanTest", "CaseExpr", "CoalesceExpr", "TypeCast"):
            seconds += costs.operator
        elif kind == "FuncCall":
            seconds += _call(strings(item.funcname)[-1:], costs)
        elif kind == "TypeName":
            seconds += _type(strings(item.names)[-1:], costs)
        elif kind == "Constraint" and enum(item, "contype") == "CONSTR_IDENTITY":
            seconds += costs.sequence
        elif kind == "SubLink":
            seconds += costs.call
    return seconds


def _call(name: tuple[str, ...], costs: Costs) -> float:
    if name and name[0] in RANDOM_BYTES:
        return costs.random_bytes
    if name and name[0] in PATTERN_FUNCTIONS:
        return costs.pattern
    if name and name[0] in TEXT_FUNCTIONS:
        return costs.text_function
    if name and name[0] in AGGREGATES:
        return costs.operator
    if name and name[0] in SEQUENCES:
        return costs.sequence
    if name and name[0] in CLOCKS:
        return costs.clock
    if name and name[0] in LENGTHS:
        return costs.text_function / 3
    return costs.operator * 2 if name and (name[0] in STEADY or name[0] in VOLATILE) else costs.call


def _type(name: tuple[str, ...], costs: Costs) -> float:
    """Values of a new type, or of a cast: a serial takes numbers from its sequence, decimal numbers are computed with
    in software."""
    if name and name[0] in SERIALS:
        return costs.sequence
    return costs.numeric if name and name[0] in NUMERICS else 0.0
