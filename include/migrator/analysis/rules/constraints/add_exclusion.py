"""EXCLUDE constraints: there is no way to build their index concurrently."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.alteration import added_constraints
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    for item in added_constraints(subject, "EXCLUSION"):
        if item.effects.scans:
            yield Hit(
                f"this exclusion constraint builds an index on {item.table}{item.size} while nobody can read or write"
                " the table",
                severity=item.severity_of(assumed=False),
                part=item.position,
            )


RULE = Rule(
    id="add-exclusion",
    severity=Severity.WARNING,
    condition="ADD CONSTRAINT ... EXCLUDE on an existing table",
    effect="ACCESS EXCLUSIVE lock for the whole index build and a check of every row",
    alternative="there is no way online: NOT VALID is refused (0A000), USING INDEX is not in the grammar, and an index"
    " built CONCURRENTLY before is not taken over. Take a window that is long enough, or fill a new table that has the"
    " constraint from the start, kept in step by triggers, and swap names",
    without_sql="always: NOT VALID is refused (0A000), USING INDEX is not in the grammar for EXCLUDE (42601), and an"
    " index that is built CONCURRENTLY before is not taken over",
    source=DOCS + "sql-createtable.html#SQL-CREATETABLE-EXCLUDE",
    aliases=("eugene:E8", "strong_migrations:add_exclusion_constraint"),
    on=("alter_table_stmt",),
    subtypes=("AT_AddConstraint",),
    statement=check,
    in_rollback=True,
)
