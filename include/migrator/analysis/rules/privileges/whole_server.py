"""What reaches beyond the database."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.spots import Spot
from migrator.parsing.nodes import enum
from migrator.plan import Severity

WHAT = {
    "AlterSystemStmt": "changes the server's configuration, for all databases",
    "DropdbStmt": "drops a whole database",
    "CreatedbStmt": "makes a database, which no rollback of this one undoes",
    "AlterDatabaseStmt": "changes a database as a whole; SET TABLESPACE moves all of its files",
    "AlterDatabaseSetStmt": "changes the sessions of everybody who connects from now on",
    "AlterDatabaseRefreshCollStmt": "says that all indexes fit the new collation, which nobody has checked",
    "AlterRoleSetStmt": "changes the sessions of a role from now on",
    "CreateRoleStmt": "makes a role of the server, in all of its databases",
    "DropRoleStmt": "drops a role of the server, in all of its databases",
    "CreateTableSpaceStmt": "makes a tablespace of the server",
    "DropTableSpaceStmt": "drops a tablespace of the server",
    "AlterTableSpaceOptionsStmt": "changes a tablespace of the server",
    "CreateSubscriptionStmt": "connects to another server, and copies from it for ever",
    "AlterSubscriptionStmt": "changes what is copied from another server",
    "DropSubscriptionStmt": "ends what is copied from another server, and drops its slot there",
}
NEVER = ("AlterSystemStmt", "DropdbStmt")
SHARED = {"OBJECT_DATABASE": "a database", "OBJECT_ROLE": "a role", "OBJECT_TABLESPACE": "a tablespace"}


def check(spot: Spot) -> Iterator[Hit]:
    kind = spot.kind
    if kind in WHAT:
        yield Hit(WHAT[kind], severity=Severity.ERROR if kind in NEVER else None)
        return
    about = enum(spot.node, "rename_type" if kind == "RenameStmt" else "object_type")
    if about in SHARED:
        doing = "renames" if kind == "RenameStmt" else "gives away"
        yield Hit(f"{doing} {SHARED[about]} of the server")


RULE = Rule(
    id="changes-the-server",
    severity=Severity.WARNING,
    condition="ALTER SYSTEM, CREATE, DROP, ALTER DATABASE, CREATE, DROP ROLE, ALTER ROLE ... SET, tablespaces,"
    " subscriptions",
    effect="snapshot, dry run and rollback are of one database: this is rehearsed nowhere and undone by nothing",
    alternative="let the administrators of the server do it, apart from migrations",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "sql-altersystem.html",
    spot=check,
    kinds=(*WHAT, "RenameStmt", "AlterOwnerStmt"),
    in_rollback=True,
)
