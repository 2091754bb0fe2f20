"""UNIQUE or PRIMARY KEY that builds its index under ACCESS EXCLUSIVE."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.effects.world import commands
from migrator.nodes import enum, strings
from migrator.plan import Severity
from migrator.rules.model import DOCS, Hit, Rule, Subject, severity_by_size, size_text

KINDS = {"CONSTR_UNIQUE": ("UNIQUE", "key"), "CONSTR_PRIMARY": ("PRIMARY KEY", "pkey")}


def check(subject: Subject) -> Iterator[Hit]:
    if subject.statement.name != "alter_table_stmt":
        return
    table = subject.world.name(subject.statement.tree.relation)
    if subject.world.is_new(table):
        return
    for command in commands(subject.statement.tree):
        if enum(command, "subtype") != "AT_AddConstraint":
            continue
        constraint = getattr(command, "def").constraint
        kind = KINDS.get(enum(constraint, "contype"))
        if kind is None or constraint.indexname:
            continue
        columns = strings(constraint.keys)
        bare = table.rsplit(".", 1)[1]
        name = constraint.conname or "_".join((bare, *(columns if kind[1] == "key" else ()), kind[1]))
        yield Hit(
            f"{kind[0]} builds an index on {table}{size_text(subject, table)} while nobody can read or write it",
            severity=severity_by_size(subject, table),
            alternative_sql=(
                f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {table} ({', '.join(columns)});\n"
                f"-- in a migration after that one:\n"
                f"ALTER TABLE {table} ADD CONSTRAINT {name} {kind[0]} USING INDEX {name}"
            ),
        )


RULE = Rule(
    id="add-unique-builds-index",
    severity=Severity.WARNING,
    condition="ADD UNIQUE or PRIMARY KEY without USING INDEX on an existing table",
    effect="ACCESS EXCLUSIVE lock for the whole index build",
    alternative="CREATE UNIQUE INDEX CONCURRENTLY first, then ADD CONSTRAINT ... USING INDEX",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT-USING-INDEX",
    aliases=("squawk:disallowed-unique-constraint", "eugene:E7", "strong_migrations:add_unique_constraint"),
    statement=check,
    on=("alter_table_stmt",),
)
