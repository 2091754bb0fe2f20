"""CREATE INDEX without CONCURRENTLY on a table that others use."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.plan import Severity
from migrator.rules.model import DOCS, Hit, Rule, Subject, severity_by_size, size_text
from migrator.rules.rewrite import copy_of, script


def check(subject: Subject) -> Iterator[Hit]:
    if subject.statement.name != "index_stmt" or subject.statement.tree.concurrent:
        return
    table = subject.world.name(subject.statement.tree.relation)
    if subject.world.is_new(table):
        return
    facts = subject.world.relation(table)
    alternative = None
    if facts is None or facts.kind != "p":
        node = copy_of(subject.statement.node)
        node.index_stmt.concurrent = True
        alternative = script((node,))
    yield Hit(
        f"nobody can write to {table}{size_text(subject, table)} while this index is built",
        severity=severity_by_size(subject, table),
        alternative_sql=alternative,
    )


RULE = Rule(
    id="create-index",
    severity=Severity.WARNING,
    condition="CREATE INDEX without CONCURRENTLY on an existing table",
    effect="SHARE lock: INSERT, UPDATE and DELETE wait until the index is built",
    alternative="use CREATE INDEX CONCURRENTLY, in a migration of its own outside a transaction",
    source=DOCS + "sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY",
    aliases=(
        "squawk:require-concurrent-index-creation",
        "eugene:E6",
        "strong_migrations:add_index",
    ),
    statement=check,
    on=("index_stmt",),
)
