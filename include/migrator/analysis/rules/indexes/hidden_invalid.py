"""IF NOT EXISTS over the invalid rest of a failed build."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.parsing.build import build, script
from migrator.parsing.nodes import copy_of
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    tree, world = subject.statement.tree, subject.world
    if not tree.if_not_exists or not tree.idxname or world.is_new(world.name(tree.relation)):
        return
    name = f"{world.name(tree.relation).partition('.')[0]}.{tree.idxname}"
    found = world.index_of(name)
    if found is None:
        if world.facts is None and tree.concurrent:
            yield Hit(
                f"if an earlier build of {name} failed, its INVALID rest is there and IF NOT EXISTS takes it for the"
                " index; a connection would tell",
                severity=Severity.INFO,
            )
        return
    if not found[1].valid and not found[1].partitioned:
        again = copy_of(subject.statement.node)
        again.index_stmt.if_not_exists = False
        drop = build("DROP INDEX CONCURRENTLY idx", idx=(name.partition(".")[0], tree.idxname))
        yield Hit(
            f"{name} exists but is INVALID: with IF NOT EXISTS this statement does nothing, and no query ever uses it",
            alternative_sql=script((drop,), (again,)),
        )


RULE = Rule(
    id="invalid-index-hidden",
    severity=Severity.ERROR,
    condition="CREATE INDEX IF NOT EXISTS where an invalid index of that name exists",
    effect="the statement succeeds and changes nothing; writes maintain the invalid index and queries do not use it",
    alternative="DROP INDEX CONCURRENTLY first, then build it again; the engine does so with its own failed builds",
    source=DOCS + "sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY",
    aliases=("strong_migrations:remove_invalid_indexes",),
    statement=check,
    on=("index_stmt",),
)
