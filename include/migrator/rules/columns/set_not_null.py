"""SET NOT NULL that has to read the whole table."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.effects.world import commands
from migrator.nodes import Node, enum
from migrator.plan import Severity
from migrator.rules.model import DOCS, Hit, Rule, Subject, severity_by_size, size_text
from migrator.rules.names import object_name
from migrator.rules.rewrite import build, script, single, without


def check(subject: Subject) -> Iterator[Hit]:
    if subject.statement.name != "alter_table_stmt":
        return
    table = subject.world.name(subject.statement.tree.relation)
    if subject.world.is_new(table):
        return
    for command in commands(subject.statement.tree):
        if enum(command, "subtype") != "AT_SetNotNull" or subject.world.proves_not_null(table, command.name):
            continue
        yield Hit(
            f"all rows of {table}{size_text(subject, table)} are read under ACCESS EXCLUSIVE to see that"
            f" {command.name} has no NULL",
            severity=severity_by_size(subject, table),
            alternative_sql=_alternative(subject, command),
        )


def _alternative(subject: Subject, command: Node) -> str:
    statement, table = subject.statement.node, subject.statement.tree.relation
    name = object_name(table.relname, command.name, "not_null")
    add = build(
        "ALTER TABLE tbl ADD CONSTRAINT con CHECK (col IS NOT NULL) NOT VALID", tbl=table, con=name, col=command.name
    )
    validate = build("ALTER TABLE tbl VALIDATE CONSTRAINT con", tbl=table, con=name)
    drop = build("ALTER TABLE tbl DROP CONSTRAINT con", tbl=table, con=name)
    return script((*without(statement, command), add), (validate,), (single(statement, command), drop))


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
