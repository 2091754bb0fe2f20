"""DROP of what holds data or is used by the application."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.effects.objects.indexes import dotted_names
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import commands, enum
from migrator.plan import Severity

HOLDERS = {"OBJECT_TABLE": "table", "OBJECT_MATVIEW": "materialized view", "OBJECT_SCHEMA": "schema"}
COPIED = "a rollback script brings back only what was copied before"


def check(subject: Subject) -> Iterator[Hit]:
    tree = subject.statement.tree
    if subject.statement.name == "drop_stmt":
        kind = HOLDERS.get(enum(tree, "remove_type"))
        if kind is None:
            return
        names = dotted_names(tree, subject.world) or [
            item.string.sval for item in tree.objects if item.HasField("string")
        ]
        for name in names:
            absent = kind != "schema" and subject.world.exists(name) is False
            if not absent and not subject.world.is_certainly_new(name):
                cascade = " and everything that depends on it" if tree.behavior == 2 else ""
                yield Hit(f"{kind} {name}{cascade} goes with its rows: {COPIED}")
    elif subject.statement.name == "alter_table_stmt":
        table = subject.world.name(tree.relation)
        for command in commands(tree):
            if enum(command, "subtype") == "AT_DropColumn" and not subject.world.is_certainly_new(table):
                yield Hit(f"column {table}.{command.name} goes with its values: {COPIED}")


RULE = Rule(
    id="drop-loses-data",
    severity=Severity.WARNING,
    condition="DROP TABLE, SCHEMA, MATERIALIZED VIEW or COLUMN",
    effect="the data is lost, and whatever still uses it fails at once",
    alternative="stop using it first, and keep it under another name for a while; drop it in a later migration",
    without_sql="always: what is dropped goes; a copy (CREATE TABLE ... AS), a rename, and the drop in a later"
    " release keep a way back",
    source=DOCS + "sql-droptable.html",
    aliases=(
        "squawk:ban-drop-table",
        "squawk:ban-drop-column",
        "strong_migrations:remove_column",
        "strong_migrations:drop_table",
    ),
    statement=check,
    on=("drop_stmt", "alter_table_stmt"),
    subtypes=("AT_DropColumn",),
)
