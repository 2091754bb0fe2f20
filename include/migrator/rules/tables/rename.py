"""RENAME of something that the running application names."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.nodes import enum
from migrator.plan import Severity
from migrator.rules.model import DOCS, Hit, Rule, Subject

KINDS = {
    "OBJECT_TABLE": "table",
    "OBJECT_COLUMN": "column",
    "OBJECT_VIEW": "view",
    "OBJECT_MATVIEW": "materialized view",
}


def check(subject: Subject) -> Iterator[Hit]:
    if subject.statement.name != "rename_stmt":
        return
    tree = subject.statement.tree
    kind = KINDS.get(enum(tree, "rename_type"))
    table = subject.world.name(tree.relation) if tree.HasField("relation") else ""
    if kind is None or subject.world.is_new(table):
        return
    old = f"{table}.{tree.subname}" if kind == "column" else table
    yield Hit(f"{kind} {old} is called {tree.newname} from this moment on: whoever uses the old name fails")


RULE = Rule(
    id="rename",
    severity=Severity.WARNING,
    condition="RENAME of a table, column or view",
    effect="the application that runs now fails until its next version is deployed, and the old one after a rollback",
    alternative="add the new name beside the old one (a column kept in step, or a view), and drop the old one later",
    source=DOCS + "sql-altertable.html",
    aliases=("squawk:renaming-column", "squawk:renaming-table", "strong_migrations:rename_column"),
    statement=check,
    on=("rename_stmt",),
)
