"""Which functions a node calls, or makes callable by another name: what reaches beyond the database is called, and
stands in no clause.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from migrator.analysis.walk.spots import Spot
from migrator.parsing.nodes import Node, find, name_of, strings

KINDS = (
    "FuncCall",
    "GrantStmt",
    "DefineStmt",
    "CreateCastStmt",
    "CreateConversionStmt",
    "CreateEventTrigStmt",
    "CreateFdwStmt",
    "CreateOpClassItem",
    "CreatePLangStmt",
    "CreateRangeStmt",
    "CreateTransformStmt",
    "CreateTrigStmt",
    "AlterOperatorStmt",
)
"""What names a function that runs when it runs, or when somebody uses what it makes."""
_OF_EXTENSIONS = frozenset(
    ["", "public", "pg_catalog", "extensions", "extension", "ext", "contrib", "dblink", "utils", "util"]
)
"""Where extensions are put, for the analysis without a connection."""


def reached(spot: Spot, names: Collection[str]) -> Iterator[str]:
    """What is done with which of `names`, functions of the server itself, in words: "calls lo_export()"."""
    for parts in _named(spot):
        if parts[-1] in names and parts[:-1] in ((), ("pg_catalog",)):
            yield f"{_verb(spot)} {parts[-1]}()"


def reached_in_extension(spot: Spot, names: Collection[str]) -> Iterator[str]:
    """The same of functions that an extension brings, in whatever schema. A function of the same name that somebody
    wrote is in SQL or another language, where extensions have C."""
    for parts in _named(spot):
        if parts[-1] in names and _from_extension(parts, spot):
            yield f"{_verb(spot)} {'.'.join(parts)}()"


def _from_extension(parts: tuple[str, ...], spot: Spot) -> bool:
    schema = parts[-2] if len(parts) > 1 else ""
    facts = spot.world.facts
    known = facts.functions.get(parts[-1], ()) if facts is not None else ()
    fitting = [item for item in known if schema in ("", item.schema)]
    mine = [item for item in spot.world.functions(parts) if item not in known]
    if fitting or mine:
        return any(item.language == "c" for item in (*fitting, *mine))
    return schema in _OF_EXTENSIONS


def _verb(spot: Spot) -> str:
    if spot.kind == "FuncCall":
        return "calls"
    return "lets others call" if spot.kind == "GrantStmt" else "makes another way to"


def _named(spot: Spot) -> Iterator[tuple[str, ...]]:
    node, kind = spot.node, spot.kind
    if kind == "FuncCall":
        found = [strings(node.funcname)]
    elif kind == "GrantStmt":
        found = [strings(item.object_with_args.objname) for item in node.objects] if node.is_grant else []
    elif kind in ("DefineStmt", "CreateRangeStmt", "CreateFdwStmt", "AlterOperatorStmt"):
        found = list(_defined(node))
    elif kind == "CreateCastStmt":
        found = [strings(node.func.objname)]
    elif kind == "CreateOpClassItem":
        found = [strings(node.name.objname)]
    elif kind == "CreateTransformStmt":
        found = [strings(node.fromsql.objname), strings(node.tosql.objname)]
    elif kind == "CreatePLangStmt":
        found = [strings(names) for names in (node.plhandler, node.plinline, node.plvalidator)]
    elif kind == "CreateConversionStmt":
        found = [strings(node.func_name)]
    else:
        found = [strings(node.funcname)] if kind in ("CreateTrigStmt", "CreateEventTrigStmt") else []
    return (parts for parts in found if parts)


def _defined(node: Node) -> Iterator[tuple[str, ...]]:
    """In definitions a function stands where a type could."""
    for item in find(node, "DefElem"):
        kind = name_of(item.arg)
        if kind == "type_name":
            yield strings(item.arg.type_name.names)
        elif kind == "list":
            yield strings(item.arg.list.items)
        elif kind == "string":
            yield (item.arg.string.sval,)
