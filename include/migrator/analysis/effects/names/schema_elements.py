"""CREATE SCHEMA with statements inside: they are statements of their own, which look into the new schema first.

https://www.postgresql.org/docs/current/sql-createschema.html
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from migrator.analysis.effects.world import World
from migrator.parsing.nodes import Node, name_of


def schema_of(stmt: Node) -> str:
    """Without a name it gets its owner's."""
    return str(stmt.schemaname or stmt.authrole.rolename)


def in_schema(name: str, world: World) -> World:
    path = (name, *(world.search_path or (world.schema,)))
    changes: dict[Hashable, Any] = {("schema", name): True, ("setting", "search_path"): path}
    return World(world.facts, world.assumed, world.branch().state.with_changes(changes))


def elements(stmt: Node) -> list[Node]:
    """In the order in which they are made (transformCreateSchemaStmtElements in src/backend/parser/parse_utilcmd.c)."""
    order = ("create_seq_stmt", "create_stmt", "view_stmt", "index_stmt", "create_trig_stmt", "grant_stmt")
    return sorted(stmt.schema_elts, key=lambda element: order.index(name_of(element)))
