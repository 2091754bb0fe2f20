"""Roles that are given more than they had."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.privileges.roles import called, given
from migrator.analysis.walk.spots import Spot
from migrator.parsing.nodes import Node
from migrator.plan import Severity

POWERS = ("superuser", "createrole", "createdb", "isreplication", "bypassrls")
"""defname of the grammar, beside the name that people write."""
TITLES = {"isreplication": "replication"}
ADDING = 1
"""AlterRoleStmt.action of ALTER GROUP ... ADD USER; DROP USER is -1."""


def check(spot: Spot) -> Iterator[Hit]:
    tree = spot.node
    if spot.kind == "GrantRoleStmt":
        if tree.is_grant:
            takers = ", ".join(called(item.role_spec) for item in tree.grantee_roles)
            for item in tree.granted_roles:
                yield Hit(given(item.access_priv.priv_name, takers))
        return
    who = tree.role if isinstance(tree.role, str) else called(tree.role)
    for item in tree.options:
        option = item.def_elem
        if option.defname in POWERS and option.arg.boolean.boolval:
            yield Hit(f"{who or 'the role'} gets {TITLES.get(option.defname, option.defname).upper()}")
        elif option.defname == "canlogin" and option.arg.boolean.boolval and spot.kind == "AlterRoleStmt":
            yield Hit(f"{who} may log in from now on")
        elif option.defname == "validUntil" and spot.kind == "AlterRoleStmt":
            yield Hit(f"the password of {who} is good until {option.arg.string.sval!r} from now on")
        else:
            yield from _members(option, who, adding=spot.kind == "CreateRoleStmt" or tree.action == ADDING)


def _members(option: Node, who: str, *, adding: bool) -> Iterator[Hit]:
    names = [called(item.role_spec) for item in option.arg.list.items]
    if option.defname == "addroleto":
        yield from (Hit(given(name, who)) for name in names)
    elif option.defname in ("rolemembers", "adminmembers") and adding:
        yield from (Hit(given(who, name)) for name in names)


RULE = Rule(
    id="role-powers",
    severity=Severity.WARNING,
    condition="CREATE or ALTER ROLE with SUPERUSER, CREATEROLE, CREATEDB, REPLICATION, BYPASSRLS or, later, LOGIN or"
    " VALID UNTIL; GRANT of a role, CREATE ROLE ... IN ROLE, ROLE or ADMIN, ALTER GROUP ... ADD USER",
    effect="whoever has the role can do more than a migration is reviewed for, in every database of the server",
    alternative="let the administrators of the server do it, apart from migrations",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "predefined-roles.html",
    spot=check,
    kinds=("CreateRoleStmt", "AlterRoleStmt", "GrantRoleStmt"),
    in_rollback=True,
)
