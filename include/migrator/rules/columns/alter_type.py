"""ALTER COLUMN TYPE that writes the table anew."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.effects.world import commands
from migrator.nodes import enum
from migrator.plan import Severity
from migrator.rules.model import DOCS, Hit, Rule, Subject, severity_by_size, size_text


def check(subject: Subject) -> Iterator[Hit]:
    if subject.statement.name != "alter_table_stmt":
        return
    table = subject.world.name(subject.statement.tree.relation)
    if not subject.effects.rewrites:
        return
    for command in commands(subject.statement.tree):
        if enum(command, "subtype") == "AT_AlterColumnType":
            yield Hit(
                f"changing the type of {command.name} rewrites {table}{size_text(subject, table)}; nobody can read or"
                " write it meanwhile",
                severity=severity_by_size(subject, table),
            )


RULE = Rule(
    id="alter-column-type",
    severity=Severity.WARNING,
    condition="ALTER COLUMN TYPE to a type whose stored form differs",
    effect="ACCESS EXCLUSIVE lock while the whole table and its indexes are written anew",
    alternative="add a column of the new type, keep it in step with a trigger, fill it in batches, swap names",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-NOTES",
    aliases=("squawk:changing-column-type", "eugene:E5", "strong_migrations:change_column"),
    statement=check,
    on=("alter_table_stmt",),
)
