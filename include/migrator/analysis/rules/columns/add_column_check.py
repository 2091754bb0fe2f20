"""ADD COLUMN with a CHECK of its own."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.alteration import alterations
from migrator.analysis.rules.in_steps import altered
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.online import safely
from migrator.analysis.rules.online.columns import parts_of_column
from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import enum
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    for item in alterations(subject, "AT_AddColumn"):
        if not item.effects.scans:
            continue
        checks = [part for part in parts_of_column(item).tables if enum(part, "contype") == "CONSTR_CHECK"]
        if any(part.is_enforced for part in checks):
            yield Hit(
                f"the CHECK of the new column {item.column_def.colname} reads all rows of {item.table}{item.size} while"
                " nobody can read or write the table",
                severity=item.severity_of(assumed=False),
                alternative_sql=safely(subject),
                steps=altered(subject),
                part=item.position,
            )


RULE = Rule(
    id="add-column-check",
    severity=Severity.WARNING,
    condition="ADD COLUMN ... CHECK (...), with or without a default",
    effect="ACCESS EXCLUSIVE lock while every row is checked, although all have the same value",
    alternative="add the column alone, then the CHECK as NOT VALID, then VALIDATE CONSTRAINT in a later transaction",
    without_sql="when another part of the same ALTER TABLE has no way online: split the statement, and that part"
    " keeps its reason",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-NOTES",
    aliases=("eugene:E1", "strong_migrations:add_check_constraint"),
    on=("alter_table_stmt",),
    subtypes=("AT_AddColumn",),
    statement=check,
    in_rollback=True,
)
