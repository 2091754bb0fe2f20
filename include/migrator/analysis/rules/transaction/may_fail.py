"""A statement that cannot succeed, as the catalog and the file are understood.

It is a forecast, and was wrong for one in sixty of the migrations that others really ran: what a server derives,
inlines or looks up only when it runs, nobody tells without one. So it warns, and the restored copy decides by running.
"""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.plan import MAY_FAIL, Severity


def check(subject: Subject) -> Iterator[Hit]:
    failure = subject.effects.fails
    if failure is None or "CONCURRENTLY" in subject.statement.kind:  # concurrently-refused says what to do instead
        return
    if subject.world.facts is None:
        return
    maybe = subject.conditional or any(not item.effects.known for item in subject.earlier)
    yield Hit(
        f"may fail with {failure.sqlstate}: {failure.message}"
        + (", unless what runs before it changes that" if maybe else "")
    )


RULE = Rule(
    id=MAY_FAIL,
    severity=Severity.WARNING,
    condition="an object that seems to be missing, to exist already, to belong to somebody else, or to have dependents",
    effect="if so, the migration stops at this statement: the dry run tells by running it on the restored copy",
    alternative="see the message: the name, the order of statements, the owner, or what depends on the object",
    without_sql="always: the statement seems wrong for this catalog, and what was meant is not known",
    source=DOCS + "errcodes-appendix.html",
    aliases=("migrator:will-fail",),
    statement=check,
    predicts=True,
)
