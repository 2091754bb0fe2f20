"""ADD CHECK that is validated while it is added."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.alteration import added_constraints
from migrator.analysis.rules.in_steps import altered
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.online import safely
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    for item in added_constraints(subject, "CHECK"):
        if item.effects.scans:
            yield Hit(
                f"adding this CHECK reads all rows of {item.table}{item.size} while nobody can read or write the table",
                severity=item.severity_of(assumed=False),
                alternative_sql=safely(subject),
                steps=altered(subject),
                part=item.position,
            )


RULE = Rule(
    id="add-check",
    severity=Severity.WARNING,
    condition="ADD CHECK without NOT VALID on an existing table",
    effect="ACCESS EXCLUSIVE lock while every row is checked",
    alternative="add it NOT VALID, then VALIDATE CONSTRAINT in a later transaction, which lets everybody work",
    without_sql="when another part of the same ALTER TABLE has no way online: split the statement, and that part"
    " keeps its reason",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-NOTES",
    aliases=("squawk:constraint-missing-not-valid", "eugene:E1", "strong_migrations:add_check_constraint"),
    on=("alter_table_stmt",),
    subtypes=("AT_AddConstraint",),
    statement=check,
    in_rollback=True,
)
