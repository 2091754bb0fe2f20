"""Whose objects are."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.privileges.roles import called
from migrator.analysis.walk.spots import Spot
from migrator.parsing.kinds import object_name
from migrator.parsing.nodes import enum
from migrator.plan import Severity

SHARED = ("OBJECT_DATABASE", "OBJECT_TABLESPACE")
"""`changes-the-server`'s."""


def check(spot: Spot) -> Iterator[Hit]:
    node = spot.node
    if spot.kind == "AlterTableStmt":
        for item in node.cmds:
            command = item.alter_table_cmd
            if enum(command, "subtype") == "AT_ChangeOwner":
                table = spot.world.name(node.relation)
                yield _given(table, called(command.newowner), new=spot.world.is_new(table))
    elif spot.kind == "AlterOwnerStmt":
        about = enum(node, "object_type")
        if about not in SHARED:
            yield _given(f"the {object_name(about).lower()}", called(node.newowner), new=False)
    elif spot.kind == "ReassignOwnedStmt":
        roles = ", ".join(called(item.role_spec) for item in node.roles)
        yield _given(f"all that {roles} owns, in this database and of the server,", called(node.newrole), new=False)
    else:
        roles = ", ".join(called(item.role_spec) for item in node.roles)
        yield Hit(f"all that {roles} owns is dropped, and all of its privileges are taken, in this database")


def _given(what: str, owner: str, *, new: bool) -> Hit:
    """Of a table that the migration itself makes nobody loses anything."""
    severity = Severity.INFO if new else None
    return Hit(f"{what} is {owner}'s from then on: no privilege and no policy binds it", severity=severity)


RULE = Rule(
    id="changes-the-owner",
    severity=Severity.WARNING,
    condition="ALTER ... OWNER TO of what exists, REASSIGN OWNED, DROP OWNED",
    effect="an owner may do everything, and hand it on; a function with SECURITY DEFINER, a view and a trigger's"
    " function work with the rights of its owner",
    alternative="GRANT what is needed; let the target's role own what migrations make",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "ddl-priv.html",
    spot=check,
    kinds=("AlterTableStmt", "AlterOwnerStmt", "ReassignOwnedStmt", "DropOwnedStmt"),
    in_rollback=True,
)
