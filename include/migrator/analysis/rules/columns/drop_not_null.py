"""DROP NOT NULL: instant for the database, a surprise for who reads."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.alteration import alterations
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    for item in alterations(subject, "AT_DropNotNull"):
        yield Hit(
            f"{item.table}.{item.command.name} may hold NULL from this moment on: code that runs now does not expect"
            " it",
            part=item.position,
        )


RULE = Rule(
    id="drop-not-null",
    severity=Severity.INFO,
    condition="ALTER COLUMN DROP NOT NULL on an existing table",
    effect="instant, but whoever reads the column may meet a NULL; to take it back every row must be read",
    alternative="deploy code that can read NULL first",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-DESC-SET-DROP-NOT-NULL",
    aliases=("squawk:ban-drop-not-null",),
    on=("alter_table_stmt",),
    subtypes=("AT_DropNotNull",),
    statement=check,
)
