"""TRUNCATE."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule, size_text
from migrator.analysis.walk.subject import Subject
from migrator.lock_modes import AX
from migrator.parsing.nodes import enum
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    tree, world = subject.statement.tree, subject.world
    named = [world.name(item.range_var) for item in tree.relations]
    for table in named:
        if world.is_certainly_new(table):
            continue
        cascade = ""
        if enum(tree, "behavior") == "DROP_CASCADE":
            leaves = {leaf for name in named for leaf in world.leaves(name)}
            others = [
                lock.relation
                for lock in subject.effects.locks
                if lock.mode == AX
                and lock.relation not in (*named, *leaves)
                and lock.relation in subject.effects.rewrites
            ]
            cascade = f" and, by CASCADE, of {', '.join(others)}" if others else ""
            if world.relation(table) is None:
                cascade = " and, by CASCADE, of every table that refers to it"
        yield Hit(f"all rows of {table}{size_text(subject, table)}{cascade} are lost")


RULE = Rule(
    id="truncate",
    severity=Severity.WARNING,
    condition="TRUNCATE of an existing table",
    effect="ACCESS EXCLUSIVE lock, and the rows are gone; a rollback script cannot bring them back",
    alternative="delete in batches what is really not needed, or keep the old table under another name",
    without_sql="always: whether the rows may go is a decision; a backup, or a rename and a new table, keep a way back",
    source=DOCS + "sql-truncate.html",
    aliases=("squawk:ban-truncate-cascade",),
    statement=check,
    on=("truncate_stmt",),
)
