"""REINDEX without CONCURRENTLY."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.in_steps import rebuilt
from migrator.analysis.rules.model import DOCS, Hit, Rule, severity_by_size, size_text
from migrator.analysis.walk.subject import Subject
from migrator.parsing.build import build, script
from migrator.parsing.nodes import copy_of, enum, flag
from migrator.plan import Severity

KINDS = ("REINDEX_OBJECT_INDEX", "REINDEX_OBJECT_TABLE", "REINDEX_OBJECT_SCHEMA", "REINDEX_OBJECT_DATABASE")


def check(subject: Subject) -> Iterator[Hit]:
    tree, world = subject.statement.tree, subject.world
    kind = enum(tree, "kind")
    if flag(tree.params, "concurrently", False) or kind not in KINDS:
        return
    node = copy_of(subject.statement.node)
    node.reindex_stmt.params.append(build("REINDEX (CONCURRENTLY) TABLE t").reindex_stmt.params[0])
    if not tree.HasField("relation"):
        yield Hit(
            f"{subject.statement.kind} blocks writers of one table after the other, and readers that plan to use the"
            " index at work",
            alternative_sql=script((node,)),
        )
        return
    name = world.name(tree.relation)
    found = world.index_of(name)
    table = found[0].name if found is not None else name
    if world.is_new(table) or not (subject.effects.scans or subject.effects.indexes_rebuilt):  # a table without indexes
        return
    yield Hit(
        f"{subject.statement.kind} {name} blocks writers of its table{size_text(subject, table)}, and readers that plan"
        " to use an index at work",
        severity=severity_by_size(subject, table),
        alternative_sql=script((node,)),
        steps=rebuilt(name, table=kind == KINDS[1]),
    )


RULE = Rule(
    id="reindex",
    severity=Severity.WARNING,
    condition="REINDEX of an existing index, table, schema or database without CONCURRENTLY",
    effect="SHARE lock on the table and ACCESS EXCLUSIVE on each index while it is built",
    alternative="REINDEX CONCURRENTLY, outside a transaction; it cannot do indexes of exclusion constraints",
    source=DOCS + "sql-reindex.html#SQL-REINDEX-CONCURRENTLY",
    aliases=("squawk:require-concurrent-reindex", "pgfence:reindex-non-concurrent"),
    statement=check,
    on=("reindex_stmt",),
    in_rollback=True,
)
