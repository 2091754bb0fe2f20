"""Privileges on what does not exist yet."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.privileges.roles import called
from migrator.analysis.walk.spots import Spot
from migrator.parsing.nodes import enum
from migrator.plan import Severity


def check(spot: Spot) -> Iterator[Hit]:
    grant = spot.node
    specs = [item.role_spec for item in grant.grantees]
    everybody = any(enum(spec, "roletype") == "ROLESPEC_PUBLIC" for spec in specs)  # `grant-to-public` tells
    if grant.is_grant and enum(grant, "targtype") == "ACL_TARGET_DEFAULTS" and not everybody:
        kind = enum(grant, "objtype").removeprefix("OBJECT_").lower().replace("largeobject", "large object")
        yield Hit(f"every {kind} that is made later is open to {', '.join(map(called, specs))}, unasked")


RULE = Rule(
    id="opens-what-comes-later",
    severity=Severity.WARNING,
    condition="ALTER DEFAULT PRIVILEGES ... GRANT ... TO a role",
    effect="who may read or change a later table is decided here, and no migration that makes one shows it",
    alternative="GRANT on each object in the migration that makes it",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "sql-alterdefaultprivileges.html",
    spot=check,
    kinds=("GrantStmt",),
    in_rollback=True,
)
