"""ALTER COLUMN TYPE that writes the table anew."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.plan import Severity
from migrator.rules.alteration import alterations
from migrator.rules.columns.alter_type_timezone import is_change_of_zone
from migrator.rules.model import DOCS, Hit, Rule, Subject
from migrator.rules.online import safely


def check(subject: Subject) -> Iterator[Hit]:
    for item in alterations(subject, "AT_AlterColumnType"):
        if item.effects.rewrites and not is_change_of_zone(item):
            yield Hit(
                f"changing the type of {item.command.name} rewrites {item.table}{item.size}; nobody can read or write"
                f" it meanwhile{item.doubt}",
                severity=item.severity,
                alternative_sql=safely(subject),
            )


RULE = Rule(
    id="alter-column-type",
    severity=Severity.WARNING,
    condition="ALTER COLUMN TYPE to a type whose stored form differs; without a connection, which would tell, `info`",
    effect="ACCESS EXCLUSIVE lock while the whole table and its indexes are written anew; longer varchar, varchar to"
    " text and higher numeric precision are instant",
    alternative="add a column of the new type, keep it in step with a trigger, fill it in batches, swap names",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-NOTES",
    aliases=("squawk:changing-column-type", "eugene:E5", "eugene:E10", "strong_migrations:change_column"),
    on=("alter_table_stmt",),
    subtypes=("AT_AlterColumnType",),
    statement=check,
)
