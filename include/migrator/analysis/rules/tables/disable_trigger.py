"""DISABLE TRIGGER and RULE, and other conditions of when they fire."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.alteration import alterations
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity

OFF = {
    "AT_DisableTrigAll": "ALL also stops the checks of foreign keys: rows without a counterpart get in, and stay",
    "AT_DisableTrigUser": "what the triggers guard or keep in step is not done for any session, until they are enabled",
    "AT_DisableTrig": "what the trigger guards or keeps in step is not done for any session, until it is enabled",
    "AT_EnableReplicaTrig": "what the trigger guards or keeps in step is done in sessions that replicate, in no other",
    "AT_DisableRule": "what the rule refuses, turns aside or does beside it is not done for any session, until it is"
    " enabled",
    "AT_EnableReplicaRule": "what the rule refuses or turns aside is so in sessions that replicate, in no other",
}
ALWAYS = {
    "AT_EnableAlwaysTrig": "the trigger fires",
    "AT_EnableAlwaysRule": "the rule holds",
}
WORDS = (*OFF, *ALWAYS)
LIKE_ITS_NAME = ("AT_DisableTrig", "AT_DisableTrigUser")
"""Who has written it knows that something is off, and no foreign key is."""


def check(subject: Subject) -> Iterator[Hit]:
    for item in alterations(subject, *WORDS):
        if item.subtype in ALWAYS:
            yield Hit(
                f"{ALWAYS[item.subtype]} on {item.table} also for rows that replication brings, and on which it has"
                " worked where they come from",
                severity=Severity.INFO,
                part=item.position,
            )
            continue
        what = "rules" if item.subtype.endswith("Rule") else "triggers"
        whom = "all but replication" if "Replica" in item.subtype else "everybody"
        yield Hit(
            f"{what} of {item.table} are off for {whom}: {OFF[item.subtype]}",
            severity=Severity.INFO if item.subtype in LIKE_ITS_NAME else Severity.WARNING,
            part=item.position,
        )


RULE = Rule(
    id="disable-trigger",
    severity=Severity.WARNING,
    condition="ALTER TABLE ... DISABLE, ENABLE REPLICA or ENABLE ALWAYS of a TRIGGER or a RULE, on an existing table",
    effect="a lock (SHARE ROW EXCLUSIVE for triggers, ACCESS EXCLUSIVE for rules), and rows that they would have"
    " refused or completed",
    alternative="a condition in the trigger; or, for one session only, SET LOCAL session_replication_role = replica, of"
    " which reviewers are told, because foreign keys do not fire either",
    without_sql="always: whether a load may go without its triggers is a decision; SET LOCAL session_replication_role"
    " = replica is for the session only, needs its own right, and skips the same checks",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-DESC-DISABLE-ENABLE-TRIGGER",
    aliases=("pgfence:disable-trigger", "safe-migrate:disable-trigger"),
    statement=check,
    on=("alter_table_stmt",),
    subtypes=WORDS,
)
