"""Privileges for everybody."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.spots import Spot
from migrator.parsing.nodes import enum
from migrator.plan import Severity


def check(spot: Spot) -> Iterator[Hit]:
    grant = spot.node
    if not grant.is_grant:
        return
    if any(enum(item.role_spec, "roletype") == "ROLESPEC_PUBLIC" for item in grant.grantees):
        yield Hit("every role of the server, those of tomorrow included, has this privilege now")
    elif grant.grant_option:
        yield Hit("whoever gets the privilege may hand it on")


RULE = Rule(
    id="grant-to-public",
    severity=Severity.WARNING,
    condition="GRANT ... TO PUBLIC, ALTER DEFAULT PRIVILEGES ... TO PUBLIC, WITH GRANT OPTION",
    effect="who may read or change the object is not decided here any more",
    alternative="GRANT it to the roles that need it, by name",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "sql-grant.html",
    spot=check,
    kinds=("GrantStmt",),
    in_rollback=True,
)
