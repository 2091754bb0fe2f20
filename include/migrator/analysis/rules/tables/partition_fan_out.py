"""ALTER TABLE of a partitioned table: every partition is locked, too."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.lock_modes import blocks_writes
from migrator.plan import Severity

MANY = 50
"""Each needs a place in the shared lock table: max_locks_per_transaction is 64 by default."""


def check(subject: Subject) -> Iterator[Hit]:
    world = subject.world
    table = world.name(subject.statement.tree.relation)
    leaves = frozenset(world.leaves(table))
    locked = [lock for lock in subject.effects.locks if lock.relation in leaves and blocks_writes(lock.mode)]
    if not locked:
        return
    work = [name for name in (*subject.effects.rewrites, *subject.effects.scans) if name in leaves]
    doing = f", and works on {len(work)} of them one after the other" if work else ""
    yield Hit(
        f"locks {table} and {len(locked)} partitions {locked[0].mode} until the transaction ends{doing}",
        severity=Severity.WARNING if len(locked) >= MANY else Severity.INFO,
    )


RULE = Rule(
    id="partition-fan-out",
    severity=Severity.INFO,
    condition="ALTER TABLE of a partitioned table that locks its partitions against writers",
    effect="it needs all the locks at once, waits for the busiest partition, and can deadlock with who uses several",
    alternative="ONLY the parent where that is possible, and partition by partition; alone in a migration otherwise",
    source=DOCS + "ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-MAINTENANCE",
    statement=check,
    on=("alter_table_stmt",),
)
