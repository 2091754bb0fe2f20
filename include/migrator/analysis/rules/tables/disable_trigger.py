"""DISABLE TRIGGER."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.alteration import alterations
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity

WORDS = {
    "AT_DisableTrigAll": "ALL also stops the checks of foreign keys: rows without a counterpart get in, and stay",
    "AT_DisableTrigUser": "what the triggers guard or keep in step is not done for any session, until they are enabled",
    "AT_DisableTrig": "what the trigger guards or keeps in step is not done for any session, until it is enabled",
}


def check(subject: Subject) -> Iterator[Hit]:
    for item in alterations(subject, *WORDS):
        yield Hit(
            f"triggers of {item.table} are off for everybody: {WORDS[item.subtype]}",
            severity=Severity.WARNING if item.subtype == "AT_DisableTrigAll" else Severity.INFO,
            part=item.position,
        )


RULE = Rule(
    id="disable-trigger",
    severity=Severity.WARNING,
    condition="ALTER TABLE ... DISABLE TRIGGER on an existing table",
    effect="SHARE ROW EXCLUSIVE lock, and rows that the triggers would have refused or completed",
    alternative="a condition in the trigger; or, for one session only, SET LOCAL session_replication_role = replica, of"
    " which reviewers are told, because foreign keys do not fire either",
    without_sql="always: whether a load may go without its triggers is a decision; SET LOCAL session_replication_role"
    " = replica is for the session only, needs its own right, and skips the same checks",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-DESC-DISABLE-ENABLE-TRIGGER",
    aliases=("pgfence:disable-trigger", "safe-migrate:disable-trigger"),
    statement=check,
    on=("alter_table_stmt",),
    subtypes=tuple(WORDS),
)
