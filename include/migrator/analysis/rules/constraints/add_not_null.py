"""ADD CONSTRAINT ... NOT NULL that is validated while it is added."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.alteration import added_constraints
from migrator.analysis.rules.in_steps import altered
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.online import safely
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    for item in added_constraints(subject, "NOTNULL"):
        if item.effects.scans:
            yield Hit(
                f"adding this NOT NULL constraint reads all rows of {item.table}{item.size} while nobody can read or"
                f" write the table{item.doubt}",
                severity=item.severity,
                alternative_sql=safely(subject),
                steps=altered(subject),
                part=item.position,
            )


RULE = Rule(
    id="add-not-null-constraint",
    severity=Severity.WARNING,
    condition="ADD CONSTRAINT ... NOT NULL column without NOT VALID, unless a valid constraint proves it",
    effect="ACCESS EXCLUSIVE lock while every row is read",
    alternative="add it NOT VALID, then VALIDATE CONSTRAINT in a later transaction, which lets everybody work",
    without_sql="when another part of the same ALTER TABLE has no way online: split the statement, and that part"
    " keeps its reason",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT",
    aliases=("squawk:adding-not-nullable-field", "eugene:E2", "strong_migrations:change_column_null"),
    versions="18 and later; before, the grammar does not know it",
    on=("alter_table_stmt",),
    subtypes=("AT_AddConstraint",),
    statement=check,
    in_rollback=True,
)
