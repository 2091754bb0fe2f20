"""USING hash."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.skips import skips_all
from migrator.analysis.walk.subject import Subject
from migrator.parsing.build import script
from migrator.parsing.nodes import copy_of
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    tree = subject.statement.tree
    if tree.access_method != "hash" or skips_all(subject):
        return
    node = copy_of(subject.statement.node)
    node.index_stmt.access_method = "btree"
    if not subject.world.is_new(subject.world.name(tree.relation)):
        node.index_stmt.concurrent = True
    yield Hit(
        "a hash index only finds equal values: no ranges, no order, no UNIQUE, no second column",
        alternative_sql=script((node,)),
    )


RULE = Rule(
    id="hash-index",
    severity=Severity.INFO,
    condition="CREATE INDEX ... USING hash",
    effect="it serves equality only, and is rarely smaller or faster than a B-tree",
    alternative="a B-tree, unless measurements with your own values speak for the hash",
    source=DOCS + "indexes-types.html#INDEXES-TYPES-HASH",
    aliases=("online_migrations:add_hash_index",),
    statement=check,
    on=("index_stmt",),
)
