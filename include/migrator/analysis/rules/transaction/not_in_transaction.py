"""A statement that cannot run in a transaction, where one was asked for."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.script import Script
from migrator.plan import Severity


def check(script: Script) -> Iterator[Hit]:
    for subject in script.everything():
        kind = subject.statement.kind
        if subject.statement.transactional:
            continue
        if subject.nested:
            message = f"{kind} cannot run inside a function or DO block"
            yield Hit(message, severity=Severity.WARNING, subject=subject)  # it may be caught there, or not be reached
        elif subject.transactional:
            yield Hit(f"{kind} cannot run inside the transaction that is open here", subject=subject)
        elif script.transaction_wanted is True:
            yield Hit(
                f"{kind} cannot run inside a transaction block, and the metadata says transaction: true",
                subject=subject,
            )


RULE = Rule(
    id="not-in-transaction",
    severity=Severity.ERROR,
    condition="a statement that PostgreSQL refuses inside a transaction block, in a transaction, function or DO block",
    effect="the migration fails with SQLSTATE 25001 when it reaches this statement",
    alternative="take `transaction: true` out of the metadata, or move the statement into a migration of its own",
    without_sql="always: it asks for transaction: false, or for a statement outside of the block",
    source=DOCS + "sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY",
    aliases=("squawk:ban-concurrent-index-creation-in-transaction", "strong_migrations:add_index"),
    script=check,
)
