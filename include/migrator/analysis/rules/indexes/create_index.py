"""CREATE INDEX without CONCURRENTLY on a table that others use."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.in_steps import built
from migrator.analysis.rules.model import DOCS, Hit, Rule, severity_by_size, size_text
from migrator.analysis.rules.online.indexes import on_partitions
from migrator.analysis.walk.subject import Subject
from migrator.parsing.build import script
from migrator.parsing.nodes import copy_of
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    tree = subject.statement.tree
    if tree.concurrent or not tree.relation.inh:  # ON ONLY makes an empty index on a partitioned table
        return
    table = subject.world.name(tree.relation)
    if subject.world.is_new(table) or not subject.effects.scans:  # IF NOT EXISTS, and there is one
        return
    facts = subject.world.relation(table)
    if facts is not None and facts.kind == "p":
        parts = len(facts.partitions)
        yield Hit(
            f"nobody can write to {table} and its {parts} partitions{size_text(subject, table)} until the indexes of"
            " all of them are built",
            severity=severity_by_size(subject, table),
            help="ON ONLY the parent first, CONCURRENTLY on each partition, then ALTER INDEX ... ATTACH PARTITION",
            alternative_sql=on_partitions(subject.statement.node, subject.world),
            steps=built(subject),
        )
        return
    node = copy_of(subject.statement.node)
    node.index_stmt.concurrent = True
    doubt = "" if facts is not None else "; a partitioned table needs another way, which only a connection can tell"
    yield Hit(
        f"nobody can write to {table}{size_text(subject, table)} while this index is built{doubt}",
        severity=severity_by_size(subject, table),
        alternative_sql=script((node,)),
        steps=built(subject),
    )


RULE = Rule(
    id="create-index",
    severity=Severity.WARNING,
    condition="CREATE INDEX without CONCURRENTLY on an existing table",
    effect="SHARE lock, on a partitioned table on every partition: INSERT, UPDATE and DELETE wait for the build",
    alternative="use CREATE INDEX CONCURRENTLY, in a migration of its own outside a transaction",
    without_sql="when the catalog does not know each partition, or one is a foreign table",
    source=DOCS + "sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY",
    aliases=(
        "squawk:require-concurrent-index-creation",
        "eugene:E6",
        "strong_migrations:add_index",
    ),
    statement=check,
    on=("index_stmt",),
    in_rollback=True,
)
