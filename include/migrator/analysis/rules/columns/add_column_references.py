"""ADD COLUMN with REFERENCES."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.alteration import Alteration, alterations
from migrator.analysis.rules.in_steps import altered
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.online import safely
from migrator.analysis.rules.online.columns import parts_of_column
from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import enum
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    for item in alterations(subject, "AT_AddColumn"):
        for part in parts_of_column(item).tables if len(item.column_def.constraints) else ():
            if enum(part, "contype") == "CONSTR_FOREIGN":
                other = item.world.name(part.pktable)
                if item.heavy or not item.world.is_new(other):
                    yield _hit(item, other, enforced=part.is_enforced)


def _hit(item: Alteration, other: str, *, enforced: bool) -> Hit:
    column = item.column_def.colname
    if item.heavy and enforced:
        return Hit(
            f"the foreign key of the new column {column} reads {item.table}{item.size} and {other} while nobody can"
            f" read or write {item.table}, and nobody can write {other}",
            severity=item.severity_of(assumed=False),
            alternative_sql=safely(item.subject),
            steps=altered(item.subject),
            part=item.position,
        )
    return Hit(
        f"adding {column} locks {other}, too (SHARE ROW EXCLUSIVE: writes to it wait), for an instant, but only once"
        f" {item.table} is locked ACCESS EXCLUSIVE, so that everybody waits for whoever holds {other}",
        severity=Severity.INFO,
        alternative_sql=safely(item.subject) if enforced else None,
        part=item.position,
    )


RULE = Rule(
    id="add-column-references",
    severity=Severity.WARNING,
    condition="ADD COLUMN ... REFERENCES; with a default every row is looked up, without one nothing is read (info)",
    effect="ACCESS EXCLUSIVE lock on the table and SHARE ROW EXCLUSIVE on the referenced one in one transaction",
    alternative="add the column alone, then the foreign key NOT VALID, then VALIDATE CONSTRAINT, each by itself",
    without_sql="before PostgreSQL 18 for a partitioned table, which refuses a foreign key NOT VALID, for a reference"
    " that is NOT ENFORCED, and when another part of the same ALTER TABLE has no way online: split the"
    " statement, and that part keeps its reason",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-NOTES",
    aliases=("squawk:adding-foreign-key-constraint", "eugene:E1", "strong_migrations:add_reference"),
    on=("alter_table_stmt",),
    subtypes=("AT_AddColumn",),
    statement=check,
    in_rollback=True,
)
