"""Several tables locked in one transaction, and their order."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.lock_order import LockOrder, opposite, orders
from migrator.analysis.walk.script import Script, Whole
from migrator.analysis.walk.subject import Subject
from migrator.parsing.build import later
from migrator.plan import Severity


def check(whole: Whole) -> Iterator[Hit]:
    earlier: list[LockOrder] = []
    for item in whole.scripts:
        for order in orders(item.parsed.file, item.timeline):
            yield from _judge(order, item, [*earlier, *whole.pending])
            earlier.append(order)


def _judge(order: LockOrder, item: Script, others: list[LockOrder]) -> Iterator[Hit]:
    _, second = next(order.pairs())
    at = next(subject for subject in item.everything() if subject.statement.index == second.statement)
    names = ", ".join(dict.fromkeys(taken.relation for taken in order.taken))
    message = f"{names} are locked in this order and all held until the end of the transaction"
    severity = Severity.INFO
    for other in others:
        pair = opposite(order, other)
        if pair is not None:
            message += f"; {other.file} locks {pair[1].relation} before {pair[0].relation}: the two can deadlock"
            severity = Severity.WARNING
            break
    else:
        child = _child_first(order, at)
        if child:
            message += f"; {child}"
        else:
            message += "; whether an application transaction uses them in another order, only its own code can tell"
    yield Hit(message, severity=severity, alternative_sql=None if at.inner else later(at.statement.node), subject=at)


def _child_first(order: LockOrder, subject: Subject) -> str | None:
    """Applications insert the referenced row first, so they lock the referenced table first."""
    referenced: dict[str, set[str | None]] = {}
    for item in order.taken:
        facts = subject.world.relation(item.relation)
        if facts is not None:
            referenced[item.relation] = {constraint.referenced for constraint in facts.constraints}
    for first, second in order.pairs() if any(referenced.values()) else ():
        if second.relation in referenced.get(first.relation, ()):
            return (
                f"{first.relation} refers to {second.relation}, so whoever inserts into both locks {second.relation}"
                " first and can deadlock with this"
            )
    return None


RULE = Rule(
    id="lock-order",
    severity=Severity.INFO,
    condition="statements of one transaction that lock different existing tables against writers",
    effect="a transaction that uses the tables in another order waits for this one, and this one for it: a deadlock",
    alternative="one table a migration; where they must change together, first lock the table that is written first",
    without_sql="inside of a function or DO block, which is to be changed itself",
    source=DOCS + "explicit-locking.html#LOCKING-DEADLOCKS",
    whole=check,
)
