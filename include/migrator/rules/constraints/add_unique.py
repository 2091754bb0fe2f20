"""UNIQUE or PRIMARY KEY that builds its index under ACCESS EXCLUSIVE."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.effects.world import commands
from migrator.nodes import Node, enum, strings
from migrator.plan import Severity
from migrator.rules.model import DOCS, Hit, Rule, Subject, severity_by_size, size_text
from migrator.rules.names import object_name
from migrator.rules.rewrite import build, copy_of, script, single, without

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
        yield Hit(
            f"{kind[0]} builds an index on {table}{size_text(subject, table)} while nobody can read or write it",
            severity=severity_by_size(subject, table),
            alternative_sql=_alternative(subject, command, kind[1]),
        )


def _alternative(subject: Subject, command: Node, label: str) -> str:
    statement, tree = subject.statement.node, subject.statement.tree
    using = copy_of(command)
    constraint = getattr(using, "def").constraint
    columns = strings(constraint.keys)
    named = "_".join(columns) if label == "key" else ""
    name = constraint.conname or object_name(tree.relation.relname, named, label)
    index = build(
        "CREATE UNIQUE INDEX CONCURRENTLY idx ON tbl (keys) INCLUDE (more)",
        idx=name,
        tbl=tree.relation,
        keys=columns,
        more=strings(constraint.including),
    )
    index.index_stmt.nulls_not_distinct = constraint.nulls_not_distinct
    index.index_stmt.options.extend(constraint.options)
    index.index_stmt.table_space = constraint.indexspace
    for field in ("keys", "including", "options", "indexspace", "nulls_not_distinct"):
        constraint.ClearField(field)
    constraint.conname = constraint.indexname = name
    return script((index,), (*without(statement, command), single(statement, using)))


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
