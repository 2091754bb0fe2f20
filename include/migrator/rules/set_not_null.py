"""SET NOT NULL that has to read the whole table."""

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
    if subject.world.is_new(table):
        return
    for command in commands(subject.statement.tree):
        if enum(command, "subtype") != "AT_SetNotNull" or subject.world.proves_not_null(table, command.name):
            continue
        name = f"{table.rsplit('.', 1)[1]}_{command.name}_not_null"
        yield Hit(
            f"all rows of {table}{size_text(subject, table)} are read under ACCESS EXCLUSIVE to see that"
            f" {command.name} has no NULL",
            severity=severity_by_size(subject, table),
            alternative_sql=(
                f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({command.name} IS NOT NULL) NOT VALID;\n"
                f"-- in a migration after that one:\n"
                f"ALTER TABLE {table} VALIDATE CONSTRAINT {name};\n"
                f"ALTER TABLE {table} ALTER COLUMN {command.name} SET NOT NULL;\n"
                f"ALTER TABLE {table} DROP CONSTRAINT {name}"
            ),
        )


RULE = Rule(
    id="set-not-null",
    severity=Severity.WARNING,
    condition="SET NOT NULL without a validated CHECK (column IS NOT NULL)",
    effect="ACCESS EXCLUSIVE lock while every row is read",
    alternative="add CHECK (column IS NOT NULL) NOT VALID, validate it later; then SET NOT NULL is instant",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-DESC-SET-DROP-NOT-NULL",
    aliases=("squawk:adding-not-nullable-field", "eugene:E2", "strong_migrations:change_column_null"),
    statement=check,
    on=("alter_table_stmt",),
)
