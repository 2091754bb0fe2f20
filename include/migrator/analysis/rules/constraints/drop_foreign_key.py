"""DROP CONSTRAINT of a foreign key locks two tables."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.alteration import alterations
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    for item in alterations(subject, "AT_DropConstraint"):
        known = item.world.constraint(item.table, item.command.name)
        if known is not None and known.referenced and not item.world.is_new(known.referenced):
            yield Hit(
                f"dropping the foreign key {item.command.name} locks {known.referenced} ACCESS EXCLUSIVE as well as"
                f" {item.table}: for an instant nobody can read either, and everybody queues while we wait for both",
                part=item.position,
            )


RULE = Rule(
    id="drop-foreign-key",
    severity=Severity.INFO,
    condition="DROP CONSTRAINT, when the catalog says that it is a foreign key",
    effect="ACCESS EXCLUSIVE lock on both tables until the transaction ends",
    alternative="do it in a transaction of its own, with a short lock_timeout, when neither table is busy",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-DESC-DROP-CONSTRAINT",
    aliases=("squawk:ban-drop-constraint",),
    on=("alter_table_stmt",),
    subtypes=("AT_DropConstraint",),
    statement=check,
)
