"""ADD COLUMN ... GENERATED AS IDENTITY."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.alteration import alterations
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.online import safely
from migrator.analysis.rules.online.columns import parts_of_column
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    for item in alterations(subject, "AT_AddColumn"):
        if item.effects.rewrites and parts_of_column(item).identity is not None:
            yield Hit(
                f"adding {item.column_def.colname} rewrites {item.table}{item.size}, because every row gets a number"
                " of its own; nobody can read or write the table meanwhile",
                severity=item.severity_of(assumed=False),
                alternative_sql=safely(subject),
                part=item.position,
            )


RULE = Rule(
    id="add-column-identity",
    severity=Severity.WARNING,
    condition="ADD COLUMN ... GENERATED ALWAYS or BY DEFAULT AS IDENTITY",
    effect="ACCESS EXCLUSIVE lock while the whole table and its indexes are written anew",
    alternative="add a plain column with a sequence as its default, fill old rows in batches, make it NOT NULL, and"
    " turn it into an identity column in the end, which is instant",
    without_sql="when another part of the same ALTER TABLE has no way online: split the statement, and that part"
    " keeps its reason",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-NOTES",
    aliases=("squawk:adding-field-with-default", "eugene:E11", "strong_migrations:add_column_auto_incrementing"),
    on=("alter_table_stmt",),
    subtypes=("AT_AddColumn",),
    statement=check,
    in_rollback=True,
)
