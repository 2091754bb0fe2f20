"""SET EXPRESSION of a stored generated column."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.alteration import alterations
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.online import safely
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    for item in alterations(subject, "AT_SetExpression"):
        if item.heavy:
            work = "rewrites" if item.effects.rewrites else "reads all rows of"
            yield Hit(
                f"another expression for {item.command.name} {work} {item.table}{item.size}; nobody can read or write"
                f" it meanwhile{item.doubt}",
                severity=item.severity,
                alternative_sql=safely(subject),
                part=item.position,
            )


RULE = Rule(
    id="set-expression",
    severity=Severity.WARNING,
    condition="ALTER COLUMN SET EXPRESSION of a stored generated column",
    effect="ACCESS EXCLUSIVE lock while the whole table and its indexes are written anew",
    alternative="a plain column that a trigger computes, filled in batches, takes the generated one's place; the"
    " trigger stays, because a column can only become a generated one by writing the table anew",
    without_sql="for a virtual column, another collation, a column of a partitioned table that is in an index or a"
    " constraint, and without a connection: nothing can take its place unseen",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-DESC-SET-EXPRESSION",
    versions="17 and later; before, the grammar does not know it",
    on=("alter_table_stmt",),
    subtypes=("AT_SetExpression",),
    statement=check,
    in_rollback=True,
)
