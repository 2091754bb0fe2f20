"""CREATE TABLE ... PARTITION OF a table that others use."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule, severity_by_size, size_text
from migrator.analysis.rules.online.partitions import create
from migrator.analysis.walk.subject import Subject
from migrator.lock_modes import AX
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    tree, world, effects = subject.statement.tree, subject.world, subject.effects
    if not tree.HasField("partbound") or not len(tree.inh_relations):
        return
    parent = world.name(tree.inh_relations[0].range_var)
    if world.is_new(parent) or effects.mode_on(parent) != AX:
        return
    alternative = create(subject.statement.node, world, reads=effects.scans)
    for name in effects.scans:
        yield Hit(
            f"the default partition {name}{size_text(subject, name)} is read under ACCESS EXCLUSIVE to see that none of"
            f" its rows belongs to the new one; {parent} is closed meanwhile, for readers, too",
            severity=severity_by_size(subject, name),
            alternative_sql=alternative,
        )
    if not effects.scans:
        doubt = "" if world.facts is not None else "; whether a default partition must be read needs a connection"
        yield Hit(
            f"{parent} is locked ACCESS EXCLUSIVE for an instant: everybody queues behind us while we wait for it"
            f"{doubt}",
            severity=Severity.INFO,
            alternative_sql=alternative,
        )


RULE = Rule(
    id="create-partition-locks-parent",
    severity=Severity.WARNING,
    condition="CREATE TABLE ... PARTITION OF an existing table",
    effect="ACCESS EXCLUSIVE lock on the parent, and on a default partition while all its rows are read",
    alternative="create the table by itself (LIKE parent), then ATTACH PARTITION, which lets everybody use the parent",
    without_sql="for a partition with columns or constraints of its own, for the default partition, and, beside a"
    " default partition, for a bound of several key columns, an expression, HASH or NULL",
    source=DOCS + "sql-createtable.html#SQL-CREATETABLE-PARTITION",
    statement=check,
    on=("create_stmt",),
)
