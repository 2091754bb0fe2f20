"""FOREIGN KEY and CHECK that are validated while they are added."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.effects.world import commands
from migrator.nodes import Node, enum
from migrator.plan import Severity
from migrator.rules.model import DOCS, Hit, Rule, Subject, severity_by_size, size_text
from migrator.rules.rewrite import build, copy_of, script, single, without

KINDS = {"CONSTR_FOREIGN": "foreign key", "CONSTR_CHECK": "check", "CONSTR_NOTNULL": "not-null constraint"}


def check(subject: Subject) -> Iterator[Hit]:
    if subject.statement.name != "alter_table_stmt":
        return
    tree = subject.statement.tree
    table = subject.world.name(tree.relation)
    if subject.world.is_new(table):
        return
    for command in commands(tree):
        if enum(command, "subtype") != "AT_AddConstraint":
            continue
        constraint = getattr(command, "def").constraint
        kind = KINDS.get(enum(constraint, "contype"))
        if kind is None or constraint.skip_validation:
            continue
        blocked = "writes to both tables wait" if kind == "foreign key" else "everybody waits"
        yield Hit(
            f"adding this {kind} reads all rows of {table}{size_text(subject, table)} while {blocked}",
            severity=severity_by_size(subject, table),
            alternative_sql=_alternative(subject, command) if constraint.conname else None,
        )


def _alternative(subject: Subject, command: Node) -> str:
    statement, tree = subject.statement.node, subject.statement.tree
    unchecked = copy_of(command)
    constraint = getattr(unchecked, "def").constraint
    constraint.skip_validation = True
    constraint.initially_valid = False
    validate = build("ALTER TABLE tbl VALIDATE CONSTRAINT con", tbl=tree.relation, con=constraint.conname)
    return script((*without(statement, command), single(statement, unchecked)), (validate,))


RULE = Rule(
    id="add-constraint-validates",
    severity=Severity.WARNING,
    condition="ADD FOREIGN KEY, CHECK or NOT NULL without NOT VALID on an existing table",
    effect="SHARE ROW EXCLUSIVE (foreign key, on both tables) or ACCESS EXCLUSIVE lock while every row is checked",
    alternative="add it NOT VALID, then VALIDATE CONSTRAINT in a later transaction, which lets everybody work",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-NOTES",
    aliases=(
        "squawk:adding-foreign-key-constraint",
        "squawk:constraint-missing-not-valid",
        "eugene:E1",
        "strong_migrations:add_foreign_key",
        "strong_migrations:add_check_constraint",
    ),
    statement=check,
    on=("alter_table_stmt",),
)
