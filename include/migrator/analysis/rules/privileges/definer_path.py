"""SECURITY DEFINER without a path of its own."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.effects import World
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.path_lookups import about_path
from migrator.analysis.walk.spots import Spot
from migrator.parsing.nodes import Node, enum
from migrator.plan import Severity

LAST = "pg_temp"
CALLERS = "$user"
"""The schema of whoever calls."""
DOUBTFUL = "public"
"""Everybody may create there who has not been stopped: the default up to PostgreSQL 14, which upgrades keep."""
SERVERS = "pg_catalog"


def check(spot: Spot) -> Iterator[Hit]:
    made = spot.kind == "CreateFunctionStmt"
    elements = [item.def_elem for item in (spot.node.options if made else spot.node.actions)]
    definer = any(item.defname == "security" and item.arg.boolean.boolval for item in elements)
    paths = [item.arg.variable_set_stmt for item in elements if about_path(item)]
    if definer and not paths:
        yield Hit("it runs with its owner's rights, and finds what it calls through the path of whoever calls it")
    elif paths and (definer or not made):
        wrong = _wrong(paths[-1], spot.world)
        doubt = "" if definer else "if it is SECURITY DEFINER, "
        if wrong:
            yield Hit(f"{doubt}it runs with its owner's rights, and {wrong}")


def _wrong(setting: Node, world: World) -> str:
    """What lets somebody else's objects come first; "" for nothing."""
    if enum(setting, "kind") in ("VAR_RESET", "VAR_RESET_ALL", "VAR_SET_DEFAULT", "VAR_SET_CURRENT"):
        return "its path is that of whoever calls it, or changes it"
    schemas = [str(value.a_const.sval.sval) for value in setting.args]
    if not schemas or schemas[-1] != LAST or LAST in schemas[:-1]:
        return f"the temporary tables of whoever calls it come before its own: {LAST} is not the last of its path"
    loose = next((name for name in schemas if name not in (LAST, SERVERS) and _open(name, world)), None)
    return f"others, who may create in {loose}, put objects before its own" if loose is not None else ""


def _open(schema: str, world: World) -> bool:
    """Whether others than its owner may create in it; without a connection that of public is likely."""
    known = world.facts.schemas.get(schema) if world.facts is not None else None
    return schema == CALLERS or (known.others_create if known is not None else schema == DOUBTFUL)


RULE = Rule(
    id="security-definer-path",
    severity=Severity.WARNING,
    condition="a function with SECURITY DEFINER that does not SET search_path, does not end it with pg_temp, or has a"
    " schema in it in which others may create ($user; public, where no connection tells better); RESET of it",
    effect="who may create objects in a schema of the path runs code as the owner (CVE-2018-1058)",
    alternative="SET search_path = pg_catalog, <a schema that is its owner's alone>, pg_temp, as part of the function",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "sql-createfunction.html#SQL-CREATEFUNCTION-SECURITY",
    spot=check,
    kinds=("CreateFunctionStmt", "AlterFunctionStmt"),
    in_rollback=True,
)
