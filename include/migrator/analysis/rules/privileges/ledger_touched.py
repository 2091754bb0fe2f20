"""The ledger is the engine's."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.privileges.ledger_names import named, named_in_body
from migrator.analysis.walk.subject import Subject
from migrator.parsing.routines import body_of
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    """What runs inside of a statement is asked by itself; a body that is only written down runs later: it is read."""
    what = named(subject.statement)
    body = body_of(subject.statement)
    if what is None and body is not None and not any(named(item.statement) for item in subject.inner):
        what = named_in_body(body)
    if what is not None:
        yield Hit(f"{subject.statement.kind} names {what}")


RULE = Rule(
    id="touches-the-ledger",
    severity=Severity.ERROR,
    condition="a statement, or the body of a routine, names something in the ledger's schema",
    effect="reviews and what was applied are proved by what lies there: whoever writes there approves what nobody has"
    " read. What is put together at run time is found before it commits",
    alternative="leave it to the engine: `migrator ledger` corrects and says who did it, `migrator status` reads",
    without_sql="always: there is no SQL for it",
    source=DOCS + "ddl-schemas.html",
    statement=check,
    in_rollback=True,
    allowable=False,
)
