"""ALTER COLUMN TYPE that rewrites nothing, on a column with a CHECK."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.alteration import alterations
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.online import safely
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    for item in alterations(subject, "AT_AlterColumnType"):
        effects = item.effects
        if effects.scans and not effects.rewrites and not effects.indexes_rebuilt:
            yield Hit(
                f"the new type of {item.command.name} is stored alike, but its constraints are checked again: all rows"
                f" of {', '.join(effects.scans)} are read while nobody can read or write {item.table}{item.size}",
                severity=item.severity,
                alternative_sql=safely(subject),
                part=item.position,
            )


RULE = Rule(
    id="alter-type-rechecks",
    severity=Severity.WARNING,
    condition="ALTER COLUMN TYPE without a rewrite, when a CHECK or a foreign key is on the column",
    effect="ACCESS EXCLUSIVE lock while every row is checked again",
    alternative="drop the CHECK, change the type, add the CHECK again NOT VALID, and validate it later",
    without_sql="for partitioned tables, identity columns, keys that foreign keys refer to, and when another part of"
    " the same ALTER TABLE has no way online: split the statement, and that part keeps its reason",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-NOTES",
    aliases=("strong_migrations:change_column_constraint",),
    on=("alter_table_stmt",),
    subtypes=("AT_AlterColumnType",),
    statement=check,
    in_rollback=True,
)
