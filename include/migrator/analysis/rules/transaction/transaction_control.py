"""BEGIN, COMMIT, ROLLBACK in a migration: the engine owns the transaction."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.script import Script
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    if subject.statement.name == "transaction_stmt" and not subject.nested:  # COMMIT inside a block ends its own batch
        yield Hit(f"{subject.statement.kind} in a migration: the engine opens and closes the transaction itself")


def check_around(script: Script) -> Iterator[Hit]:
    """One BEGIN and one COMMIT around a file are the engine's own, as long as the file is one transaction with them."""
    aside = script.parsed.aside
    for one in aside.refused:
        if not one.mixed:
            yield Hit(one.message, help=one.hint, place=(one.line, one.column))
    if aside.wrapped and script.transaction_wanted is False:
        begin = next(one for one in aside.left_out if not one.bookkeeping)
        message = "BEGIN and COMMIT make the file one transaction, but the metadata says transaction: false"
        yield Hit(message, help="take out either of the two", place=(begin.line, begin.column))


RULE = Rule(
    id="transaction-control",
    severity=Severity.ERROR,
    condition="BEGIN, COMMIT, ROLLBACK, SAVEPOINT in the middle of a migration; around it, what cannot be in one"
    " transaction with it: statements before BEGIN and after COMMIT (but for SET), options of BEGIN other than READ"
    " COMMITTED, statements that PostgreSQL refuses in a transaction, transaction: false",
    effect="the ledger's row could not be in the same transaction as the change, so nobody would know what is applied",
    alternative="remove it: a file runs in one transaction when all its statements can; where it must be two, name two"
    " files under `steps`",
    without_sql="always: the statement is to be left out",
    source=DOCS + "sql-begin.html",
    aliases=("squawk:transaction-nesting",),
    statement=check,
    script=check_around,
    in_rollback=True,
    allowable=False,
)
