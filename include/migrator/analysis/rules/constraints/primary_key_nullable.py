"""PRIMARY KEY USING INDEX on columns that may be NULL."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.alteration import added_constraints
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.online import safely
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    for item in added_constraints(subject, "PRIMARY"):
        if item.constraint.indexname and item.effects.scans:
            yield Hit(
                f"the columns of {item.constraint.indexname} may be NULL, so all rows of {item.table}{item.size} are"
                " read while nobody can read or write the table",
                severity=item.severity_of(assumed=False),
                alternative_sql=safely(subject),
                part=item.position,
            )


RULE = Rule(
    id="primary-key-nullable-column",
    severity=Severity.WARNING,
    condition="ADD PRIMARY KEY USING INDEX, when the catalog says that one of the index's columns may be NULL",
    effect="ACCESS EXCLUSIVE lock while every row is read: the index is there already, NOT NULL is not",
    alternative="make the columns NOT NULL first, by a constraint that is added NOT VALID and validated later",
    without_sql="for a partitioned table with foreign partitions, and when another part of the same ALTER TABLE has"
    " no way online: split the statement, and that part keeps its reason",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT-USING-INDEX",
    aliases=("eugene:W14",),
    on=("alter_table_stmt",),
    subtypes=("AT_AddConstraint",),
    statement=check,
)
