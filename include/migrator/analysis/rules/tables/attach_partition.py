"""ATTACH PARTITION that has to read the table, or the default partition."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.alteration import alterations
from migrator.analysis.rules.model import DOCS, Hit, Rule, severity_by_size, size_text
from migrator.analysis.rules.online.partitions import attach
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    for item in alterations(subject, "AT_AttachPartition"):
        cmd = getattr(item.command, "def").partition_cmd
        if not cmd.HasField("bound"):
            continue  # ALTER INDEX ... ATTACH PARTITION
        part = subject.world.name(cmd.name)
        reads = [name for name in item.effects.scans if name != item.table]
        if not reads:
            continue
        known = subject.world.relation(item.table) is not None
        for name in reads:
            what = "the new partition" if name == part else "the default partition" if known else "the table"
            yield Hit(
                f"{what} {name}{size_text(subject, name)} is locked ACCESS EXCLUSIVE while all its rows are read to see"
                f" that {'they fit the bound' if name == part else 'none belongs to the new one'}{item.doubt}",
                severity=item.severity_of(assumed=True)
                if item.effects.assumptions
                else severity_by_size(subject, name),
                alternative_sql=attach(subject.statement.node, subject.world, reads=reads),
                part=item.position,
            )


RULE = Rule(
    id="attach-partition-scans",
    severity=Severity.WARNING,
    condition="ATTACH PARTITION without a valid CHECK that proves the bound, on the table and on a default partition",
    effect="ACCESS EXCLUSIVE lock on the table, and on the default partition, while each of their rows is read",
    alternative="CHECK NOT VALID, VALIDATE, ATTACH without reading, drop the CHECK; on a default partition, too",
    without_sql="where the bound has several key columns, an expression, HASH or NULL, the attached table is itself"
    " partitioned, the statement has other parts, or a default partition cannot be given a CHECK (it is"
    " partitioned, or its rows are unknown): no CHECK that the server would take for proof is known. Put"
    " the CHECK on the table while it is filled, or take a window",
    source=DOCS + "ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-MAINTENANCE",
    aliases=("pgfence:attach-partition", "pgsafe:attach-partition"),
    statement=check,
    on=("alter_table_stmt",),
    subtypes=("AT_AttachPartition",),
)
