"""CREATE TABLE without a primary key."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.skips import skips_all
from migrator.analysis.walk.script import Script
from migrator.parsing.nodes import Node, commands, enum
from migrator.plan import Severity

COPIES_INDEXES = 1 << 6
"""CREATE_TABLE_LIKE_INDEXES of parsenodes.h: LIKE ... INCLUDING INDEXES or ALL brings the key along."""


def check(script: Script) -> Iterator[Hit]:
    later = {
        subject.world.name(subject.statement.tree.relation)
        for subject in script.everything()
        if subject.statement.name == "alter_table_stmt" and _adds_key(subject.statement.tree)
    }
    for subject in script.everything():
        if subject.statement.name != "create_stmt" or _has_key(subject.statement.tree) or skips_all(subject):
            continue
        table = subject.world.name(subject.statement.tree.relation)
        if table not in later:
            yield Hit(
                f"{table} has no primary key: rows cannot be told apart, and logical replication refuses UPDATE and"
                " DELETE",
                subject=subject,
            )


def _adds_key(tree: Node) -> bool:
    return any(
        enum(command, "subtype") in ("AT_AddConstraint", "AT_AddColumn") and _is_key(getattr(command, "def"))
        for command in commands(tree)
    )


def _has_key(tree: Node) -> bool:
    """Also where the key comes from elsewhere: a parent, a template; temporary tables need none."""
    if tree.relation.relpersistence == "t" or len(tree.inh_relations) or tree.HasField("of_typename"):
        return True
    copies = any(
        item.table_like_clause.options & COPIES_INDEXES
        for item in tree.table_elts
        if item.HasField("table_like_clause")
    )
    return copies or any(_is_key(item) for item in (*tree.table_elts, *tree.constraints))


def _is_key(item: Node) -> bool:
    """Of a Node with a Constraint, or a ColumnDef that has some."""
    if item.HasField("constraint"):
        return enum(item.constraint, "contype") == "CONSTR_PRIMARY"
    return item.HasField("column_def") and any(_is_key(part) for part in item.column_def.constraints)


RULE = Rule(
    id="require-primary-key",
    severity=Severity.INFO,
    condition="CREATE TABLE without PRIMARY KEY, unless the same file adds it",
    effect="rows cannot be told apart; logical replication refuses UPDATE and DELETE",
    alternative="add a primary key",
    source=DOCS + "logical-replication-publication.html",
    aliases=("pgsafe:require-primary-key",),
    script=check,
)
