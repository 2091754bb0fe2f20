"""SET NOT NULL that has to read the whole table."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.alteration import alterations
from migrator.analysis.rules.in_steps import altered
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.online import safely
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    for item in alterations(subject, "AT_SetNotNull"):
        if item.effects.scans:
            yield Hit(
                f"all rows of {item.table}{item.size} are read under ACCESS EXCLUSIVE to see that {item.command.name}"
                f" has no NULL{item.doubt}",
                severity=item.severity,
                alternative_sql=safely(subject),
                steps=altered(subject),
                part=item.position,
            )


RULE = Rule(
    id="set-not-null",
    severity=Severity.WARNING,
    condition="SET NOT NULL without a valid constraint that proves it; without a connection, which would tell, `info`",
    effect="ACCESS EXCLUSIVE lock while every row is read",
    alternative="add CHECK (column IS NOT NULL) NOT VALID and validate it later: then SET NOT NULL is instant; on"
    " PostgreSQL 18 add the NOT NULL constraint itself NOT VALID and validate it",
    without_sql="when another part of the same ALTER TABLE has no way online: split the statement, and that part"
    " keeps its reason",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-DESC-SET-DROP-NOT-NULL",
    aliases=(
        "squawk:adding-not-nullable-field",
        "eugene:E2",
        "strong_migrations:change_column_null",
        "strong_migrations:change_column_null_postgresql",
    ),
    on=("alter_table_stmt",),
    subtypes=("AT_SetNotNull",),
    statement=check,
    in_rollback=True,
)
