"""A statement that the catalog says cannot succeed."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    failure = subject.effects.fails
    if failure is None or "CONCURRENTLY" in subject.statement.kind:  # concurrently-refused says what to do instead
        return
    if subject.world.facts is None:
        return
    maybe = subject.conditional or any(not item.effects.known for item in subject.earlier)
    yield Hit(
        f"fails with {failure.sqlstate}: {failure.message}"
        + (", unless what runs before it changes that" if maybe else ""),
        severity=Severity.WARNING if maybe else Severity.ERROR,
    )


RULE = Rule(
    id="will-fail",
    severity=Severity.ERROR,
    condition="an object that is missing, exists already, belongs to somebody else, or has dependents",
    effect="the migration stops at this statement",
    alternative="see the message: the name, the order of statements, the owner, or what depends on the object",
    without_sql="always: the statement is wrong for this catalog, and what was meant is not known",
    source=DOCS + "errcodes-appendix.html",
    statement=check,
)
