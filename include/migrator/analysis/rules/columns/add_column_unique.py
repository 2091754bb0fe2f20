"""ADD COLUMN with UNIQUE or PRIMARY KEY."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.alteration import alterations
from migrator.analysis.rules.in_steps import altered
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.online import safely
from migrator.analysis.rules.online.columns import parts_of_column
from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import enum
from migrator.plan import Severity

KEYS = {"CONSTR_UNIQUE": "UNIQUE", "CONSTR_PRIMARY": "PRIMARY KEY"}


def check(subject: Subject) -> Iterator[Hit]:
    for item in alterations(subject, "AT_AddColumn"):
        for part in parts_of_column(item).tables if item.heavy else ():
            key = KEYS.get(enum(part, "contype"))
            if key is not None:
                yield Hit(
                    f"{key} on the new column {item.column_def.colname} builds an index on {item.table}{item.size}"
                    " while nobody can read or write the table",
                    severity=item.severity_of(assumed=False),
                    alternative_sql=safely(subject),
                    steps=altered(subject),
                    part=item.position,
                )


RULE = Rule(
    id="add-column-unique",
    severity=Severity.WARNING,
    condition="ADD COLUMN ... UNIQUE or PRIMARY KEY",
    effect="ACCESS EXCLUSIVE lock for the whole index build",
    alternative="add the column alone, CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT ... USING INDEX",
    without_sql="for a partitioned table with foreign partitions, and when another part of the same ALTER TABLE has"
    " no way online: split the statement, and that part keeps its reason",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT-USING-INDEX",
    aliases=("squawk:disallowed-unique-constraint", "squawk:adding-serial-primary-key-field", "eugene:E7"),
    on=("alter_table_stmt",),
    subtypes=("AT_AddColumn",),
    statement=check,
    in_rollback=True,
)
