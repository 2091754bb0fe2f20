"""Event triggers that run with the migration's statements."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.event_firing import events_of, tag_of
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.script import Script
from migrator.plan import Severity


def check(script: Script) -> Iterator[Hit]:
    """One finding for each event trigger, at the first statement that fires it."""
    seen: set[str] = set()
    for subject in script.everything():
        facts = subject.world.facts
        if facts is None or not facts.event_triggers:
            continue
        tag, events = tag_of(subject.statement), events_of(subject.statement, subject.effects, subject.world.major)
        for trigger in facts.event_triggers:
            if trigger.name in seen or trigger.event not in events or (trigger.tags and tag not in trigger.tags):
                continue
            seen.add(trigger.name)
            yield Hit(
                f"event trigger {trigger.name} ({trigger.event}) runs {trigger.function}() with {tag}: it can refuse"
                " the statement, or do more than is seen here",
                subject=subject,
            )


RULE = Rule(
    id="event-trigger",
    severity=Severity.INFO,
    condition="a statement for which the target has an event trigger",
    effect="its function runs in the migration's transaction, with unknown locks and work",
    alternative="read the function; the dry run on the restored copy runs it, too",
    source=DOCS + "event-triggers.html",
    script=check,
)
