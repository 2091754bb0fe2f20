"""A row for another tool in a table of the same name."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.script import Script
from migrator.plan import Severity


def check(script: Script) -> Iterator[Hit]:
    for one in script.parsed.aside.foreign:
        subject = script.subjects[one.statement]
        yield Hit(
            f"{subject.statement.kind} of the row {one.version!r} in schema_migrations: it has the form of another"
            " tool's (Rails, Ecto, dbmate: 14 digits; golang-migrate: a column `dirty`), so it is run as it is",
            subject=subject,
        )


RULE = Rule(
    id="other-tools-row",
    severity=Severity.WARNING,
    condition="a statement that writes rows of a table `schema_migrations` which another tool keeps, and none of this"
    " migration",
    effect="it is no bookkeeping of this migration, and the other tool goes on reading the table: it takes that version"
    " for applied, or for not applied",
    alternative="nothing, if the other tool shall see it so; else take it out: the engine keeps its own ledger",
    without_sql="always: only the author knows whether the other tool is in use",
    source=DOCS + "sql-insert.html",
    script=check,
    in_rollback=True,
)
