"""DROP TABLE locks other tables: those that its foreign keys point to, and the partitioned table that it belongs to."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.parsing.build import build, range_var, script
from migrator.parsing.nodes import Node, enum, strings
from migrator.plan import Severity

DETACH_CONCURRENTLY = 14


def check(subject: Subject) -> Iterator[Hit]:
    tree, world = subject.statement.tree, subject.world
    if enum(tree, "remove_type") != "OBJECT_TABLE":
        return
    names = [world.dotted(strings(item.list.items)) for item in tree.objects]
    before: list[Node] = []
    others: list[str] = []
    for name in names:
        facts = world.relation(name)
        if facts is None:
            continue
        for item in facts.constraints:
            if item.kind == "f" and item.referenced and item.referenced not in names and not item.inherited:
                others.append(item.referenced)
                before.append(build("ALTER TABLE tbl DROP CONSTRAINT con", tbl=range_var(name), con=item.name))
        if facts.is_partition and facts.parent and facts.parent not in names:
            others.append(facts.parent)
            before.append(_detach(subject, facts.parent, name))
    if others:
        listed = ", ".join(dict.fromkeys(others))
        yield Hit(
            f"dropping {', '.join(names)} locks {listed} ACCESS EXCLUSIVE, too, all at once: for as long as we wait for"
            " one of them, everybody queues at the others",
            alternative_sql=script(*([node] for node in before), [subject.statement.node]),
        )


def _detach(subject: Subject, parent: str, part: str) -> Node:
    facts = subject.world.relation(parent)
    node = build("ALTER TABLE par DETACH PARTITION part", par=range_var(parent), part=range_var(part))
    if subject.world.major >= DETACH_CONCURRENTLY and (facts is None or facts.default_partition is None):
        getattr(node.alter_table_stmt.cmds[0].alter_table_cmd, "def").partition_cmd.concurrent = True
    return node


RULE = Rule(
    id="drop-table-locks-others",
    severity=Severity.WARNING,
    condition="DROP TABLE of a table with foreign keys to other tables, or of a partition",
    effect="ACCESS EXCLUSIVE lock on every table that its foreign keys point to, or on the partitioned table",
    alternative="drop the foreign keys one by one, or detach the partition, each in a migration of its own; then drop",
    source=DOCS + "sql-droptable.html",
    aliases=("online_migrations:drop_table_multiple_foreign_keys",),
    statement=check,
    on=("drop_stmt",),
)
