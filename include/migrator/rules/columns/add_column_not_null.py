"""ADD COLUMN ... NOT NULL without a default."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.effects.types import is_serial
from migrator.plan import Severity
from migrator.rules.alteration import alterations
from migrator.rules.model import DOCS, Hit, Rule, Subject, rows_of
from migrator.rules.online import safely
from migrator.rules.online.columns import take_apart


def check(subject: Subject) -> Iterator[Hit]:
    for item in alterations(subject, "AT_AddColumn"):
        parts = take_apart(item.column_def)
        generated = parts.identity is not None or parts.stored or is_serial(item.column_def.type_name)
        if parts.required is None or parts.default is not None or generated or parts.virtual:
            continue
        rows = rows_of(subject, item.table)
        if rows == 0:
            continue
        held = "if the table has a row" if rows is None else f"because the table has about {rows:,} rows"
        yield Hit(
            f"adding {item.column_def.colname} fails (23502) {held}: they would hold NULL",
            severity=Severity.WARNING if rows is None else Severity.ERROR,
            alternative_sql=safely(subject),
        )


RULE = Rule(
    id="add-column-not-null",
    severity=Severity.WARNING,
    condition="ADD COLUMN ... NOT NULL without a default, unless the catalog says that the table is empty",
    effect="fails with SQLSTATE 23502 as soon as the table has a row; on an empty table it is instant",
    alternative="give it a constant default, which is instant; or add it nullable, fill it in batches, and make it"
    " NOT NULL afterwards",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-NOTES",
    aliases=("squawk:adding-required-field",),
    on=("alter_table_stmt",),
    statement=check,
)
