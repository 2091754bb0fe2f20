"""A sequence or an integer key that is nearly used up."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.script import Script
from migrator.plan import Severity

HALF, MOST = 0.5, 0.8


def check(script: Script) -> Iterator[Hit]:
    """One finding for each sequence, at the first statement that touches its table."""
    seen: set[str] = set()
    for subject in script.everything():
        around = subject.world.facts.surroundings if subject.world.facts is not None else None
        if around is None:
            continue
        touched = {lock.relation for lock in subject.effects.locks}
        for item in around.sequences:
            table = item.column.rpartition(".")[0]
            if table not in touched or item.sequence in seen or item.used < HALF:
                continue
            seen.add(item.sequence)
            yield Hit(
                f"{item.column} ({item.type}) is at {item.last_value:,} of {item.limit:,}: {item.used:.0%} are used;"
                " afterwards every INSERT fails with 2200H or 22003",
                severity=Severity.WARNING if item.used >= MOST else Severity.INFO,
                subject=subject,
            )


RULE = Rule(
    id="sequence-headroom",
    severity=Severity.INFO,
    condition="a statement on a table whose sequence, or integer column, is more than half used up",
    effect="when it is used up no row can be inserted, and the change to bigint then rewrites the table in downtime",
    alternative="begin the change to bigint now: a new column, a trigger, batches, then swap",
    without_sql="always: prefer-bigint and alter-column-type have the SQL that widens the column; a sequence of its"
    " own is widened by ALTER SEQUENCE ... AS bigint MAXVALUE ...",
    source=DOCS + "datatype-numeric.html#DATATYPE-SERIAL",
    script=check,
)
