"""Other databases and other machines, through this one."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.privileges import functions
from migrator.analysis.rules.privileges.functions import reached_in_extension
from migrator.analysis.walk.spots import Spot
from migrator.parsing.nodes import strings
from migrator.plan import Severity

_FUNCTIONS = """
dblink dblink_connect dblink_connect_u dblink_exec dblink_fetch dblink_get_result dblink_open dblink_send_query http
http_delete http_get http_head http_patch http_post http_put
"""
FUNCTIONS = frozenset(_FUNCTIONS.split())
SCHEMAS = ("aws_s3", "aws_commons", "aws_lambda", "cron", "net", "pglogical", "google_ml", "azure_storage", "azure_ai")
"""Of extensions that have a schema of their own, in which each function reaches out."""
EXTENSIONS = (
    "aws_lambda",
    "aws_s3",
    "azure_storage",
    "dblink",
    "http",
    "pg_cron",
    "pg_net",
    "pglogical",
    "plproxy",
    "postgres_fdw",
)
WRAPPERS = "_fdw"
"""How the name of an extension ends that brings a foreign data wrapper."""
FILES = "file_fdw"
MADE = {
    "CreateForeignServerStmt": "gives this database a way to another one; the dry run on the copy would use it, too",
    "AlterForeignServerStmt": "leads this database to another one; the dry run on the copy would go there, too",
    "CreateUserMappingStmt": "lets a role go to another database, as somebody there",
    "AlterUserMappingStmt": "lets a role go to another database, as somebody there",
    "CreateFdwStmt": "gives this database a way to others",
    "AlterFdwStmt": "gives this database a way to others",
    "CreateForeignTableStmt": "makes a table whose rows stand elsewhere",
    "ImportForeignSchemaStmt": "makes tables of whatever another database has when it runs",
}


def check(spot: Spot) -> Iterator[Hit]:
    node = spot.node
    if spot.kind in MADE:
        yield Hit(MADE[spot.kind])
    elif spot.kind == "CreateExtensionStmt":
        name = node.extname
        if name in EXTENSIONS or (name.endswith(WRAPPERS) and name != FILES):
            yield Hit(f"{name} reaches other databases or other machines")
    for what in reached_in_extension(spot, FUNCTIONS):
        yield Hit(f"{what}, which works elsewhere, also when it is called on the restored copy")
    if spot.kind == "FuncCall" and (parts := strings(node.funcname))[:-1] and parts[-2] in SCHEMAS:
        yield Hit(f"calls {'.'.join(parts)}(), which works elsewhere, also when it is called on the restored copy")


RULE = Rule(
    id="reaches-other-databases",
    severity=Severity.WARNING,
    condition="dblink(), http_get() and the like, their extensions, foreign data wrappers, servers, tables and user"
    " mappings",
    effect="what happens there is in no snapshot, no dry run and no rollback, and commits by itself",
    alternative="change each database by a migration of its own",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "dblink.html",
    spot=check,
    kinds=(*MADE, "CreateExtensionStmt", *(kind for kind in functions.KINDS if kind not in MADE)),
    in_rollback=True,
)
