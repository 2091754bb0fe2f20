"""ADD COLUMN ... GENERATED AS IDENTITY."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.columns.numbered import numbered
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.online.columns import parts_of_column
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    return numbered(subject, lambda item: parts_of_column(item).identity is not None)


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
