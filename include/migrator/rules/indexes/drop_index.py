"""DROP INDEX without CONCURRENTLY."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.nodes import enum, strings
from migrator.plan import Severity
from migrator.rules.model import DOCS, Hit, Rule, Subject
from migrator.rules.rewrite import build, script


def check(subject: Subject) -> Iterator[Hit]:
    if subject.statement.name != "drop_stmt":
        return
    tree = subject.statement.tree
    if enum(tree, "remove_type") != "OBJECT_INDEX" or tree.concurrent:
        return
    for item in tree.objects:
        parts = strings(item.list.items)
        name = subject.world.dotted(parts)
        if not subject.world.is_new(name):
            yield Hit(
                f"dropping {name} locks its table ACCESS EXCLUSIVE: everybody waits, and queues behind us meanwhile",
                alternative_sql=script((build("DROP INDEX CONCURRENTLY IF EXISTS idx", idx=parts),)),
            )


RULE = Rule(
    id="drop-index",
    severity=Severity.WARNING,
    condition="DROP INDEX without CONCURRENTLY",
    effect="ACCESS EXCLUSIVE lock on the table: reads wait, too, until the transaction ends",
    alternative="use DROP INDEX CONCURRENTLY, outside a transaction",
    source=DOCS + "sql-dropindex.html",
    aliases=("squawk:require-concurrent-index-deletion", "eugene:E9", "strong_migrations:remove_index"),
    statement=check,
    on=("drop_stmt",),
)
