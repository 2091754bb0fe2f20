"""ADD FOREIGN KEY ... NOT VALID on a partitioned table before PostgreSQL 18."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.alteration import Alteration, added_constraints
from migrator.analysis.rules.model import Hit, Rule
from migrator.analysis.rules.online.constraints import by_partition
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    for item in added_constraints(subject, "FOREIGN"):
        if item.constraint.skip_validation and item.is_partitioned and item.world.major < 18:
            yield Hit(
                f"{item.table} is partitioned, and PostgreSQL {item.world.major} cannot add a foreign key to a"
                " partitioned table as NOT VALID (42809)",
                alternative_sql=_alternative(item),
                part=item.position,
            )


def _alternative(item: Alteration) -> str | None:
    steps = by_partition(item, item.constraint) if len(item.subject.statement.tree.cmds) == 1 else None
    return steps.script() if steps is not None else None


RULE = Rule(
    id="foreign-key-not-valid-partitioned",
    severity=Severity.WARNING,
    condition="ADD FOREIGN KEY ... NOT VALID on a partitioned table",
    effect="fails with SQLSTATE 42809",
    alternative="add the foreign key NOT VALID to each partition and validate it there; then add it to the partitioned"
    " table, which takes over the partitions' own constraints without reading them",
    without_sql="when the catalog does not know all partitions, or one is a foreign table",
    source="https://www.postgresql.org/docs/17/sql-altertable.html#SQL-ALTERTABLE-NOTES",
    versions="before 18",
    explains=("42809",),
    predicts=True,
    on=("alter_table_stmt",),
    subtypes=("AT_AddConstraint",),
    statement=check,
)
