"""A lock that autovacuum does not make way for."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.lock_modes import SUX, conflicts
from migrator.plan import Severity

NEAR = 0.95
"""Of autovacuum_freeze_max_age: the vacuum may begin at any moment."""


def check(subject: Subject) -> Iterator[Hit]:
    around = subject.world.facts.surroundings if subject.world.facts is not None else None
    if around is None:
        return
    for lock in subject.effects.locks:
        if not conflicts(lock.mode, SUX):
            continue
        if lock.relation in around.wraparound:
            yield Hit(
                f"autovacuum works on {lock.relation} to prevent wraparound and does not give way:"
                f" {subject.statement.kind} needs {lock.mode} and would wait until it is done"
            )
        elif around.ages.get(lock.relation, 0) >= NEAR * around.freeze_max_age:
            yield Hit(
                f"{lock.relation} is due for an autovacuum to prevent wraparound (age"
                f" {around.ages[lock.relation]:,} of {around.freeze_max_age:,}), which does not give way to"
                f" {lock.mode}",
                severity=Severity.INFO,
            )


RULE = Rule(
    id="waits-for-wraparound-vacuum",
    severity=Severity.WARNING,
    condition="SHARE UPDATE EXCLUSIVE or more on a table that autovacuum must freeze",
    effect="a usual autovacuum is cancelled, this one is not: the statement waits for hours, or until lock_timeout",
    alternative="let the vacuum finish, or run VACUUM (FREEZE) on the table well before the window",
    without_sql="always: what must end is a vacuum that has to finish; wait for it, or run VACUUM (FREEZE) before the"
    " window",
    source=DOCS + "routine-vacuuming.html#VACUUM-FOR-WRAPAROUND",
    statement=check,
    in_rollback=True,
)
