"""The catalog, written by hand."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    name = subject.world.name(subject.statement.tree.relation)
    if name.startswith("pg_catalog."):
        # Without a connection pg_search_documents, an application's table, cannot be told from the server's own.
        certain = subject.world.facts is not None or subject.statement.tree.relation.schemaname == "pg_catalog"
        yield Hit(
            f"{name} is the server's own: a wrong row there can make the database unusable, for ever",
            severity=None if certain else Severity.WARNING,
        )


RULE = Rule(
    id="writes-the-catalog",
    severity=Severity.ERROR,
    condition="INSERT, UPDATE, DELETE or MERGE on a table of pg_catalog",
    effect="nothing checks what is written; dumps do not carry it, so no restore proves it",
    alternative="use the statement that PostgreSQL has for it",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "catalogs.html",
    statement=check,
    on=("insert_stmt", "update_stmt", "delete_stmt", "merge_stmt"),
    in_rollback=True,
)
