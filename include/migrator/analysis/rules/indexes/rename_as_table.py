"""ALTER TABLE ... RENAME of an index."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.parsing.build import build, script
from migrator.parsing.nodes import enum
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    tree, world = subject.statement.tree, subject.world
    if enum(tree, "rename_type") != "OBJECT_TABLE":
        return
    facts = world.relation(world.name(tree.relation))
    if facts is None or facts.kind not in ("i", "I"):
        return
    yield Hit(
        f"{facts.name} is an index: renamed with ALTER TABLE it is locked ACCESS EXCLUSIVE, and every query that plans"
        " with it waits",
        alternative_sql=script((build("ALTER INDEX idx RENAME TO new", idx=tree.relation, new=tree.newname),)),
    )


RULE = Rule(
    id="rename-index-as-table",
    severity=Severity.WARNING,
    condition="ALTER TABLE ... RENAME TO where the name is an index's",
    effect="ACCESS EXCLUSIVE lock on the index instead of SHARE UPDATE EXCLUSIVE",
    alternative="ALTER INDEX ... RENAME TO, which lets everybody read and write",
    source=DOCS + "sql-alterindex.html",
    statement=check,
    on=("rename_stmt",),
    in_rollback=True,
)
