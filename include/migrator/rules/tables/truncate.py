"""TRUNCATE."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.plan import Severity
from migrator.rules.model import DOCS, Hit, Rule, Subject, size_text


def check(subject: Subject) -> Iterator[Hit]:
    if subject.statement.name != "truncate_stmt":
        return
    for item in subject.statement.tree.relations:
        table = subject.world.name(item.range_var)
        if not subject.world.is_new(table):
            cascade = (
                " and, by CASCADE, of every table that refers to it" if subject.statement.tree.behavior == 2 else ""
            )
            yield Hit(f"all rows of {table}{size_text(subject, table)}{cascade} are lost")


RULE = Rule(
    id="truncate",
    severity=Severity.WARNING,
    condition="TRUNCATE of an existing table",
    effect="ACCESS EXCLUSIVE lock, and the rows are gone; a rollback script cannot bring them back",
    alternative="delete in batches what is really not needed, or keep the old table under another name",
    source=DOCS + "sql-truncate.html",
    aliases=("squawk:ban-truncate-cascade",),
    statement=check,
    on=("truncate_stmt",),
)
