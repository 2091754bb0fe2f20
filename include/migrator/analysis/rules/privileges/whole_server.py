"""What reaches beyond the database."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity

WHAT = {
    "alter_system_stmt": "changes the server's configuration, for all databases",
    "dropdb_stmt": "drops a whole database",
    "createdb_stmt": "makes a database, which no rollback of this one undoes",
    "alter_database_stmt": "changes a database as a whole; SET TABLESPACE moves all of its files",
    "alter_database_set_stmt": "changes the sessions of everybody who connects from now on",
    "alter_role_set_stmt": "changes the sessions of a role from now on",
    "create_table_space_stmt": "makes a tablespace of the server",
    "drop_table_space_stmt": "drops a tablespace of the server",
    "create_subscription_stmt": "connects to another server, and copies from it for ever",
}
NEVER = ("alter_system_stmt", "dropdb_stmt")


def check(subject: Subject) -> Iterator[Hit]:
    name = subject.statement.name
    yield Hit(WHAT[name], severity=Severity.ERROR if name in NEVER else None)


RULE = Rule(
    id="changes-the-server",
    severity=Severity.WARNING,
    condition="ALTER SYSTEM, CREATE, DROP, ALTER DATABASE, ALTER ROLE ... SET, tablespaces, CREATE SUBSCRIPTION",
    effect="snapshot, dry run and rollback are of one database: this is rehearsed nowhere and undone by nothing",
    alternative="let the administrators of the server do it, apart from migrations",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "sql-altersystem.html",
    statement=check,
    on=(
        "alter_system_stmt",
        "dropdb_stmt",
        "createdb_stmt",
        "alter_database_stmt",
        "alter_database_set_stmt",
        "alter_role_set_stmt",
        "create_table_space_stmt",
        "drop_table_space_stmt",
        "create_subscription_stmt",
    ),
    in_rollback=True,
)
