"""DETACH PARTITION without CONCURRENTLY."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.alteration import alterations
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.parsing.build import script
from migrator.parsing.nodes import copy_of
from migrator.plan import Severity

CONCURRENTLY = 14


def check(subject: Subject) -> Iterator[Hit]:
    for item in alterations(subject, "AT_DetachPartition"):
        if getattr(item.command, "def").partition_cmd.concurrent:
            continue
        message = f"{item.table} is locked ACCESS EXCLUSIVE: everybody queues behind us while we wait for it"
        if subject.world.major < CONCURRENTLY or (item.facts is not None and item.facts.default_partition):
            why = (
                "it has a default partition" if item.facts and item.facts.default_partition else "this server is older"
            )
            reads = f", and {', '.join(item.effects.scans)} is read meanwhile" if item.effects.scans else ""
            yield Hit(
                f"{message}{reads}; CONCURRENTLY is not possible here, {why}",
                severity=Severity.WARNING if item.effects.scans else Severity.INFO,
                help="do it alone in a migration, with a short lock_timeout",
                part=item.position,
            )
            continue
        node = copy_of(item.alone)
        getattr(node.alter_table_stmt.cmds[0].alter_table_cmd, "def").partition_cmd.concurrent = True
        yield Hit(message, alternative_sql=script((node,)) if len(subject.statement.tree.cmds) == 1 else None)


RULE = Rule(
    id="detach-partition",
    severity=Severity.WARNING,
    condition="DETACH PARTITION without CONCURRENTLY on PostgreSQL 14 and later",
    effect="ACCESS EXCLUSIVE lock on the partitioned table and the partition",
    alternative="DETACH PARTITION ... CONCURRENTLY, outside a transaction; it waits for old transactions",
    without_sql="with other parts in the same ALTER TABLE, before PostgreSQL 14, and with a default partition, where"
    " CONCURRENTLY is refused (55000)",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-DETACH-PARTITION",
    aliases=("squawk:require-concurrent-partition-detach", "pgfence:detach-partition"),
    statement=check,
    on=("alter_table_stmt",),
    subtypes=("AT_DetachPartition",),
    versions="14 and later",
)
