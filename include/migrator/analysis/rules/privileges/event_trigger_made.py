"""Code that runs at other DDL."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    yield Hit("its function runs at every later DDL of everybody, migrations included, with their rights")


RULE = Rule(
    id="makes-an-event-trigger",
    severity=Severity.WARNING,
    condition="CREATE or ALTER EVENT TRIGGER",
    effect="whoever owns the function decides what runs whenever anybody changes the schema",
    alternative="let the administrators of the server do it, apart from migrations",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "event-triggers.html",
    statement=check,
    on=("create_event_trig_stmt", "alter_event_trig_stmt"),
    in_rollback=True,
)
