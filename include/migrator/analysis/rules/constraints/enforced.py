"""ALTER CONSTRAINT ... ENFORCED."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.alteration import alterations
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.online import safely
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    for item in alterations(subject, "AT_AlterConstraint"):
        if item.heavy:
            yield Hit(
                f"to enforce this constraint reads all rows of {', '.join(item.effects.scans)} while nobody can read"
                f" or write {item.table}{item.size}",
                severity=item.severity,
                alternative_sql=safely(subject),
                part=item.position,
            )


RULE = Rule(
    id="constraint-enforced",
    severity=Severity.WARNING,
    condition="ALTER CONSTRAINT ... ENFORCED of a constraint that was NOT ENFORCED",
    effect="ACCESS EXCLUSIVE lock while every row is checked",
    alternative="drop the constraint, add it again NOT VALID, and validate it in a later transaction",
    without_sql="for a partitioned table, and with a change of DEFERRABLE in the same command",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-DESC-ALTER-CONSTRAINT",
    versions="18 and later; before, the grammar does not know it",
    on=("alter_table_stmt",),
    subtypes=("AT_AlterConstraint",),
    statement=check,
    in_rollback=True,
)
