"""ADD COLUMN of type serial."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.effects.types.types import is_serial
from migrator.analysis.rules.columns.numbered import numbered
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    return numbered(subject, lambda item: is_serial(item.column_def.type_name))


RULE = Rule(
    id="add-column-serial",
    severity=Severity.WARNING,
    condition="ADD COLUMN of type smallserial, serial or bigserial",
    effect="ACCESS EXCLUSIVE lock while the whole table and its indexes are written anew",
    alternative="add a plain column with a sequence as its default, fill old rows in batches, then make it NOT NULL",
    without_sql="when another part of the same ALTER TABLE has no way online: split the statement, and that part"
    " keeps its reason",
    source=DOCS + "datatype-numeric.html#DATATYPE-SERIAL",
    aliases=("eugene:E11", "strong_migrations:add_column_auto_incrementing"),
    on=("alter_table_stmt",),
    subtypes=("AT_AddColumn",),
    statement=check,
    in_rollback=True,
)
