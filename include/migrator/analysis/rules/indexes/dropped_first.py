"""An index that is dropped before the one that replaces it is there."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.lock_modes import blocks_reads
from migrator.parsing.nodes import enum, strings
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    tree, world = subject.statement.tree, subject.world
    table = world.name(tree.relation)
    if any(item.relation == table and blocks_reads(item.mode) for item in subject.held):
        return  # nobody can read in between: lock-held-during-work says so
    columns = [item.index_elem.name for item in tree.index_params]
    for earlier in subject.earlier:
        gone = earlier.statement.tree
        if earlier.statement.name != "drop_stmt" or enum(gone, "remove_type") != "OBJECT_INDEX":
            continue
        for item in gone.objects:
            found = earlier.world.index_of(earlier.world.dotted(strings(item.list.items)))
            if found is not None and found[0].name == table and columns[:1] == list(found[1].columns[:1]):
                yield Hit(
                    f"{found[1].name}, dropped in line {earlier.statement.line}, begins with {columns[0]} as this index"
                    f" does: until it is built, queries by {columns[0]} read all of {table}"
                )


RULE = Rule(
    id="index-dropped-before-replacement",
    severity=Severity.WARNING,
    condition="CREATE INDEX after DROP INDEX, in an earlier transaction, of one on the same table that begins with the"
    " same column",
    effect="between the two, queries that need the index read the whole table",
    alternative="build the new one under another name, drop the old one, then rename it with ALTER INDEX",
    without_sql="always: the two statements change places, CREATE INDEX CONCURRENTLY first and DROP INDEX in a later"
    " migration; a new name is for its author to choose",
    source=DOCS + "sql-reindex.html#SQL-REINDEX-CONCURRENTLY",
    statement=check,
    on=("index_stmt",),
)
