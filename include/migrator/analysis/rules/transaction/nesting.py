"""BEGIN inside a transaction, COMMIT outside of one, a transaction without an end."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.script import Script
from migrator.plan import Severity


def check(script: Script) -> Iterator[Hit]:
    for issue in script.issues:
        yield Hit(
            issue.message,
            severity=Severity.ERROR if issue.fails else Severity.WARNING,
            subject=script.subjects[issue.statement],
        )


RULE = Rule(
    id="transaction-nesting",
    severity=Severity.WARNING,
    condition="BEGIN in an open transaction, COMMIT or ROLLBACK without one, a savepoint that is not there, no COMMIT",
    effect="statements run in another transaction than it looks: half of them stay when the other half fails",
    alternative="one BEGIN and one COMMIT around what belongs together; in a migration of the engine neither",
    without_sql="always: the statement is to be left out, or its counterpart is missing",
    source=DOCS + "sql-begin.html",
    aliases=("squawk:transaction-nesting", "squawk:ban-uncommitted-transaction", "pgfence:unclosed-transaction"),
    script=check,
    in_rollback=True,
)
