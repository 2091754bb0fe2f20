"""A statement that only makes sense in a transaction, where there is none."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.parsing.kinds import needs_transaction
from migrator.plan import Severity

FAILS = ("lock_stmt", "declare_cursor_stmt")
"""The others answer with a warning only."""


def check(subject: Subject) -> Iterator[Hit]:
    if subject.transactional or not needs_transaction(subject.statement.node):
        return
    kind = subject.statement.kind
    if subject.statement.name in FAILS:
        yield Hit(f"{kind} outside of a transaction fails with 25P01", severity=Severity.ERROR)
    else:
        yield Hit(f"{kind} outside of a transaction does nothing")


RULE = Rule(
    id="needs-transaction",
    severity=Severity.WARNING,
    condition="LOCK TABLE, DECLARE CURSOR or SET CONSTRAINTS outside of a transaction",
    effect="LOCK TABLE and DECLARE fail with 25P01; SET CONSTRAINTS has no effect",
    alternative="put it and the statements that it is for into a file that runs as one transaction",
    without_sql="always: it asks for BEGIN around it, which the engine sends when the metadata says transaction: true",
    source=DOCS + "sql-lock.html",
    statement=check,
    on=("lock_stmt", "declare_cursor_stmt", "constraints_set_stmt"),
)
