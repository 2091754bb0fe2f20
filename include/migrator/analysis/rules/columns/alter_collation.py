"""Another collation, or another way to compare: the table stays, its indexes are built again."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.alteration import alterations
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.online import safely
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    for item in alterations(subject, "AT_AlterColumnType"):
        if item.effects.indexes_rebuilt and not item.effects.rewrites:
            indexes = ", ".join(item.effects.indexes_rebuilt)
            yield Hit(
                f"changing {item.command.name} builds {indexes} again, from all rows of {item.table}{item.size}, while"
                " nobody can read or write the table",
                severity=item.severity,
                alternative_sql=safely(subject),
                part=item.position,
            )


RULE = Rule(
    id="alter-type-rebuilds-index",
    severity=Severity.WARNING,
    condition="ALTER COLUMN TYPE that changes the collation, or how values compare, of an indexed column",
    effect="ACCESS EXCLUSIVE lock while each index of the column is built again; the table itself is not rewritten",
    alternative="build an index with the new collation CONCURRENTLY first; the change then takes it as it is",
    without_sql="where the index belongs to a constraint, a CHECK is on the column, or the table is partitioned: an"
    " index made before is not taken over then. Then it takes a window",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-NOTES",
    on=("alter_table_stmt",),
    subtypes=("AT_AlterColumnType",),
    statement=check,
    in_rollback=True,
)
