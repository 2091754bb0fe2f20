"""Roles that are given more than they had."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity

POWERS = ("superuser", "createrole", "createdb", "isreplication", "bypassrls")
"""defname of the grammar, beside the name that people write."""
TITLES = {"isreplication": "replication"}


def check(subject: Subject) -> Iterator[Hit]:
    tree = subject.statement.tree
    if subject.statement.name == "grant_role_stmt":
        if tree.is_grant:
            given = ", ".join(item.access_priv.priv_name for item in tree.granted_roles)
            taker = ", ".join(item.role_spec.rolename or "PUBLIC" for item in tree.grantee_roles)
            yield Hit(f"{taker} may now do whatever {given} may")
        return
    for item in tree.options:
        name = item.def_elem.defname
        if name in POWERS and item.def_elem.arg.boolean.boolval:
            who = tree.role if isinstance(tree.role, str) else tree.role.rolename
            yield Hit(f"{who or 'the role'} gets {TITLES.get(name, name).upper()}")


RULE = Rule(
    id="role-powers",
    severity=Severity.WARNING,
    condition="CREATE or ALTER ROLE with SUPERUSER, CREATEROLE, CREATEDB, REPLICATION or BYPASSRLS, GRANT of a role",
    effect="whoever has the role can do more than a migration is reviewed for, in every database of the server",
    alternative="let the administrators of the server do it, apart from migrations",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "sql-createrole.html",
    statement=check,
    on=("create_role_stmt", "alter_role_stmt", "grant_role_stmt"),
    in_rollback=True,
)
