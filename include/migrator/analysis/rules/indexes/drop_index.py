"""DROP INDEX without CONCURRENTLY."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.in_steps import dropped
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.parsing.build import build, script
from migrator.parsing.nodes import enum, strings
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    tree = subject.statement.tree
    if enum(tree, "remove_type") != "OBJECT_INDEX" or tree.concurrent:
        return
    objects = [strings(item.list.items) for item in tree.objects]
    names = [subject.world.dotted(parts) for parts in objects]
    old = [name for name in names if not subject.world.is_new(name)]
    if not old:
        return
    facts = [subject.world.relation(name) for name in old]
    if any(item is not None and item.kind == "I" for item in facts):
        yield Hit(
            f"dropping {', '.join(old)} locks the partitioned table and all its partitions ACCESS EXCLUSIVE; there is"
            " no CONCURRENTLY for it",
            severity=Severity.INFO,
            help="drop it alone in a migration, with a short lock_timeout",
        )
        return
    if any(_backs_constraint(subject, name) for name in old):
        return  # DROP INDEX fails: another rule says so
    yield Hit(
        f"dropping {', '.join(old)} locks its table ACCESS EXCLUSIVE: everybody waits, and queues behind us meanwhile",
        alternative_sql=script(
            *((build("DROP INDEX CONCURRENTLY IF EXISTS idx", idx=parts),) for parts in objects),
        )
        if len(old) == len(names)
        else None,
        steps=dropped(names) if len(old) == len(names) else (),
    )


def _backs_constraint(subject: Subject, name: str) -> bool:
    found = subject.world.index_of(name)
    return found is not None and found[1].constraint


RULE = Rule(
    id="drop-index",
    severity=Severity.WARNING,
    condition="DROP INDEX without CONCURRENTLY",
    effect="ACCESS EXCLUSIVE lock on the table: reads wait, too, until the transaction ends",
    alternative="use DROP INDEX CONCURRENTLY, outside a transaction",
    without_sql="with an index that the same migration creates in the same DROP: name it in one of its own",
    source=DOCS + "sql-dropindex.html",
    aliases=("squawk:require-concurrent-index-deletion", "eugene:E9", "strong_migrations:remove_index"),
    statement=check,
    on=("drop_stmt",),
)
