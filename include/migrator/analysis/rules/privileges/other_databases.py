"""Other databases, through this one."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.privileges.calls import called
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity

FUNCTIONS = ("dblink", "dblink_exec", "dblink_connect", "dblink_connect_u", "dblink_send_query", "dblink_open")
MADE = (
    "create_foreign_server_stmt",
    "alter_foreign_server_stmt",
    "create_user_mapping_stmt",
    "alter_user_mapping_stmt",
)


def check(subject: Subject) -> Iterator[Hit]:
    if subject.statement.name in MADE:
        yield Hit("gives this database a way to another one; the dry run on the copy would use it, too")
    for name in called(subject, FUNCTIONS):
        yield Hit(f"{name}() works in another database, also when it is called on the restored copy")


RULE = Rule(
    id="reaches-other-databases",
    severity=Severity.WARNING,
    condition="dblink(), foreign servers and user mappings",
    effect="what happens there is in no snapshot, no dry run and no rollback, and commits by itself",
    alternative="change each database by a migration of its own",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "dblink.html",
    statement=check,
    in_rollback=True,
)
