"""Event triggers that run with the migration's statements."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.plan import Severity
from migrator.rules.model import DOCS, Hit, Rule, Script


def check(script: Script) -> Iterator[Hit]:
    """One finding for each event trigger, at the first statement that fires it."""
    seen: set[str] = set()
    for subject in script.everything():
        facts = subject.world.facts
        tag = subject.statement.kind.removesuffix(" CONCURRENTLY").removesuffix(" DETACH PARTITION")
        for trigger in facts.event_triggers if facts is not None else ():
            if trigger.name in seen or not _fires(trigger.event, trigger.tags, tag, bool(subject.effects.rewrites)):
                continue
            seen.add(trigger.name)
            yield Hit(
                f"event trigger {trigger.name} ({trigger.event}) runs {trigger.function}() with {tag}: it can refuse"
                " the statement, or do more than is seen here",
                subject=subject,
            )


def _fires(event: str, tags: tuple[str, ...], tag: str, rewrites: bool) -> bool:
    if tags and tag not in tags:
        return False
    if event == "table_rewrite":
        return rewrites and tag.startswith("ALTER")
    if event == "sql_drop":
        return tag.startswith("DROP")
    return event in ("ddl_command_start", "ddl_command_end") and tag.split(" ", 1)[0] in ("CREATE", "ALTER", "DROP")


RULE = Rule(
    id="event-trigger",
    severity=Severity.INFO,
    condition="a statement for which the target has an event trigger",
    effect="its function runs in the migration's transaction, with unknown locks and work",
    alternative="read the function; the dry run on the restored copy runs it, too",
    source=DOCS + "event-triggers.html",
    script=check,
)
