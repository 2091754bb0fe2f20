"""ADD FOREIGN KEY that is validated while it is added."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.alteration import added_constraints
from migrator.analysis.rules.in_steps import altered
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.online import safely
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    for item in added_constraints(subject, "FOREIGN"):
        if not item.effects.scans:
            continue
        other = item.world.name(item.constraint.pktable)
        leaves = item.world.leaves(other)
        parts = f" and its {len(leaves)} partitions" if leaves else ""
        yield Hit(
            f"adding this foreign key reads all rows of {item.table}{item.size} while writes to it and to"
            f" {other}{parts} wait",
            severity=item.severity_of(assumed=False),
            alternative_sql=safely(subject),
            steps=altered(subject),
            part=item.position,
        )


RULE = Rule(
    id="add-foreign-key",
    severity=Severity.WARNING,
    condition="ADD FOREIGN KEY without NOT VALID on an existing table",
    effect="SHARE ROW EXCLUSIVE lock on both tables, and on every partition of either, while every row is looked up",
    alternative="add it NOT VALID, then VALIDATE CONSTRAINT in a later transaction, which lets everybody work",
    without_sql="when another part of the same ALTER TABLE has no way online: split the statement, and that part"
    " keeps its reason",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-NOTES",
    aliases=("squawk:adding-foreign-key-constraint", "eugene:E1", "strong_migrations:add_foreign_key"),
    on=("alter_table_stmt",),
    subtypes=("AT_AddConstraint",),
    statement=check,
    in_rollback=True,
)
