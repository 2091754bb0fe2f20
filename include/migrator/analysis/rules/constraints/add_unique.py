"""UNIQUE or PRIMARY KEY that builds its index under ACCESS EXCLUSIVE."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.alteration import added_constraints
from migrator.analysis.rules.in_steps import altered
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.online import safely
from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import enum
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    for item in added_constraints(subject, "UNIQUE", "PRIMARY"):
        if not item.constraint.indexname and item.effects.scans:
            kind = "UNIQUE" if enum(item.constraint, "contype") == "CONSTR_UNIQUE" else "PRIMARY KEY"
            yield Hit(
                f"{kind} builds an index on {item.table}{item.size} while nobody can read or write it",
                severity=item.severity_of(assumed=False),
                alternative_sql=safely(subject),
                steps=altered(subject),
                part=item.position,
            )


RULE = Rule(
    id="add-unique-builds-index",
    severity=Severity.WARNING,
    condition="ADD UNIQUE or PRIMARY KEY without USING INDEX on an existing table",
    effect="ACCESS EXCLUSIVE lock for the whole index build, and for a PRIMARY KEY on nullable columns while all rows"
    " are read to see that they hold no NULL",
    alternative="CREATE UNIQUE INDEX CONCURRENTLY first, then ADD CONSTRAINT ... USING INDEX",
    without_sql="WITHOUT OVERLAPS and indexes of foreign partitions cannot be built before, and when another part of"
    " the same ALTER TABLE has no way online: split the statement, and that part keeps its reason",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT-USING-INDEX",
    aliases=("squawk:disallowed-unique-constraint", "eugene:E7", "strong_migrations:add_unique_constraint"),
    on=("alter_table_stmt",),
    subtypes=("AT_AddConstraint",),
    statement=check,
    in_rollback=True,
)
