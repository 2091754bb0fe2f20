"""Prepared statements whose result changes under them."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.alteration import alterations
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.script import Script
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity

CHANGES = ("AT_AddColumn", "AT_DropColumn", "AT_AlterColumnType")


def check(script: Script) -> Iterator[Hit]:
    first: dict[str, Subject] = {}
    for subject in script.everything():
        if subject.statement.subtypes.isdisjoint(CHANGES):
            continue
        for item in alterations(subject, *CHANGES):
            first.setdefault(item.table, subject)
    if first:
        tables = ", ".join(first)
        yield Hit(
            f"prepared statements that read all columns of {tables}, or one whose type changes, fail once with"
            ' 0A000, "cached plan must not change result type"',
            subject=next(iter(first.values())),
        )


RULE = Rule(
    id="cached-plan",
    severity=Severity.INFO,
    condition="ADD COLUMN, DROP COLUMN or ALTER COLUMN TYPE on an existing table",
    effect="an application that keeps prepared statements sees them fail, and inside a transaction that one is lost",
    alternative="name columns instead of *, and let connections reconnect, or run DISCARD PLANS, afterwards",
    source=DOCS + "sql-prepare.html",
    script=check,
)
