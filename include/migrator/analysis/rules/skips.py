"""Where IF NOT EXISTS makes a statement, or a part of it, do nothing, because the object is there."""

from __future__ import annotations

from migrator.analysis.effects import World
from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import Node, enum


def skips_column(command: Node, table: str, world: World) -> bool:
    """Whether it is an ADD COLUMN of a column that exists."""
    if enum(command, "subtype") != "AT_AddColumn" or not command.missing_ok:
        return False
    return world.column(table, getattr(command, "def").column_def.colname) is not None


def skips_all(subject: Subject) -> bool:
    """Of a CREATE TABLE or CREATE INDEX: whether there is a relation of the name."""
    tree, world = subject.statement.tree, subject.world
    if subject.statement.name not in ("create_stmt", "index_stmt") or not tree.if_not_exists:
        return False
    name = world.name(tree.relation)
    if subject.statement.name == "index_stmt":
        if not tree.idxname:
            return False
        name = f"{name.partition('.')[0]}.{tree.idxname}"
    return world.exists(name) is True
