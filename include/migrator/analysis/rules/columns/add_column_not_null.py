"""ADD COLUMN ... NOT NULL without a default."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.effects.types.types import is_serial
from migrator.analysis.rules.alteration import alterations
from migrator.analysis.rules.in_steps import altered
from migrator.analysis.rules.model import DOCS, Hit, Rule, rows_of
from migrator.analysis.rules.online import safely
from migrator.analysis.rules.online.columns import parts_of_column
from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import Node, name_of
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    for item in alterations(subject, "AT_AddColumn"):
        if not len(item.column_def.constraints):
            continue
        parts = parts_of_column(item)
        generated = parts.identity is not None or parts.stored or is_serial(item.column_def.type_name)
        if parts.required is None or generated or _has_value(parts.default):
            continue
        rows = rows_of(subject, item.table)
        if rows == 0:
            continue
        if parts.virtual:
            yield Hit(
                f"all rows of {item.table}{item.size} are read under ACCESS EXCLUSIVE to see that"
                f" {item.column_def.colname}, which is computed, is never NULL",
                severity=item.severity_of(assumed=False),
                alternative_sql=safely(subject),
                steps=altered(subject),
                part=item.position,
            )
            continue
        held = "if the table has a row" if rows is None else f"because the table has about {rows:,} rows"
        yield Hit(
            f"adding {item.column_def.colname} may fail (23502) {held}: they would hold NULL",
            alternative_sql=safely(subject),
            part=item.position,
        )


def _has_value(default: Node | None) -> bool:
    return default is not None and not (name_of(default) == "a_const" and default.a_const.isnull)


RULE = Rule(
    id="add-column-not-null",
    severity=Severity.WARNING,
    condition="ADD COLUMN ... NOT NULL without a default, or of a virtual generated column, unless the catalog says"
    " that the table is empty",
    effect="fails with SQLSTATE 23502 as soon as the table has a row; on an empty table it is instant",
    alternative="give it a constant default, which is instant; or add it nullable, fill it in batches, and make it"
    " NOT NULL afterwards",
    without_sql="for stored generated columns and domains with constraints, whose own rules say more, and when"
    " another part of the same ALTER TABLE has no way online: split the statement, and that part keeps its"
    " reason",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-NOTES",
    aliases=("squawk:adding-required-field",),
    on=("alter_table_stmt",),
    subtypes=("AT_AddColumn",),
    statement=check,
    predicts=True,
)
