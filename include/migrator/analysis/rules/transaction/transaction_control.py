"""BEGIN, COMMIT, ROLLBACK in a migration: the engine owns the transaction."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    if subject.statement.name == "transaction_stmt" and not subject.nested:  # COMMIT inside a block ends its own batch
        yield Hit(f"{subject.statement.kind} in a migration: the engine opens and closes the transaction itself")


RULE = Rule(
    id="transaction-control",
    severity=Severity.ERROR,
    condition="BEGIN, COMMIT, ROLLBACK, SAVEPOINT in a migration",
    effect="the ledger's row could not be in the same transaction as the change, so nobody would know what is applied",
    alternative="remove it: a file runs in one transaction when all its statements can",
    without_sql="always: the statement is to be left out",
    source=DOCS + "sql-begin.html",
    aliases=("squawk:transaction-nesting",),
    statement=check,
    in_rollback=True,
)
