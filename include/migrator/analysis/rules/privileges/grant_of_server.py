"""Privileges on what is the server's own."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.spots import Spot
from migrator.parsing.nodes import enum, strings
from migrator.plan import Severity

WHAT = {
    "OBJECT_PARAMETER_ACL": "may change a setting that was kept from it",
    "OBJECT_FDW": "may make servers of it, and connect this one to others",
    "OBJECT_FOREIGN_SERVER": "may work on another server through this one",
    "OBJECT_LANGUAGE": "may write functions in the language",
    "OBJECT_TABLESPACE": "may put its tables there",
    "OBJECT_DATABASE": "has it in the whole database",
}
SCHEMAS = ("pg_catalog", "information_schema")


def check(spot: Spot) -> Iterator[Hit]:
    grant = spot.node
    if not grant.is_grant:
        return
    objtype = enum(grant, "objtype")
    named = ", ".join(strings(grant.objects))
    if objtype == "OBJECT_DATABASE":
        if _all_of_database(spot):
            yield Hit(f"whoever gets CREATE on {named} makes schemas and extensions of its own there")
    elif objtype in WHAT:
        yield Hit(f"whoever gets the privilege on {named} {WHAT[objtype]}")
    elif objtype == "OBJECT_SCHEMA" and set(strings(grant.objects)) & set(SCHEMAS):
        yield Hit(f"{named} is the server's own: whoever may create there stands first in everybody's path")
    elif enum(grant, "targtype") == "ACL_TARGET_ALL_IN_SCHEMA":
        yield from (Hit(f"all of {name} is the server's own") for name in strings(grant.objects) if name in SCHEMAS)
    else:
        for item in grant.objects:
            if item.HasField("range_var"):
                name = spot.world.name(item.range_var)
                if name.startswith("pg_catalog."):
                    yield Hit(f"{name} is the server's own: not everybody may read what stands there")


def _all_of_database(spot: Spot) -> bool:
    wanted = [item.access_priv.priv_name for item in spot.node.privileges]
    return not wanted or "create" in wanted


RULE = Rule(
    id="grants-what-is-the-servers",
    severity=Severity.WARNING,
    condition="GRANT on a parameter, a foreign data wrapper, a foreign server, a language, a tablespace, the catalog;"
    " CREATE on a database",
    effect="whoever has it reaches beyond the tables that it was given",
    alternative="let the administrators of the server do it, apart from migrations",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "ddl-priv.html",
    spot=check,
    kinds=("GrantStmt",),
    in_rollback=True,
)
