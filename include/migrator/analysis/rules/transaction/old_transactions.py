"""CONCURRENTLY behind a transaction that is old already."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity

OLD_SECONDS = 60.0


def check(subject: Subject) -> Iterator[Hit]:
    around = subject.world.facts.surroundings if subject.world.facts is not None else None
    if around is None or not subject.effects.waits_for_old_transactions:
        return
    old = [item for item in around.transactions if item.seconds is None or item.seconds >= OLD_SECONDS]
    if old:
        first = old[0]
        age = "" if first.seconds is None else f", open for {first.seconds:,.0f} s"
        more = f" and {len(old) - 1} more" if len(old) > 1 else ""
        yield Hit(f"{subject.statement.kind} waits until {first.who}{age}{more} has ended; right now it would wait")


RULE = Rule(
    id="waits-for-old-transactions",
    severity=Severity.WARNING,
    condition="CREATE, DROP or REINDEX INDEX CONCURRENTLY, or DETACH CONCURRENTLY, while old transactions are open",
    effect="it waits for every transaction with an older snapshot or a lock on the table, prepared ones included",
    alternative="end or wait for those transactions first; preflight looks again right before apply",
    without_sql="always: what must end is another session; end it, or wait, before the window",
    source=DOCS + "sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY",
    statement=check,
)
