"""What a virtual generated column cannot be, or be part of: PostgreSQL 18 computes it wherever it is read.

check_virtual_generated_security in src/backend/catalog/heap.c and transformColumnDefinition in parse_utilcmd.c:
https://www.postgresql.org/docs/current/ddl-generated-columns.html
"""

from __future__ import annotations

from collections.abc import Iterable

from migrator.analysis.effects.model import Recorder
from migrator.analysis.effects.world import World
from migrator.facts.facts import RelationFacts
from migrator.parsing.nodes import Node, enum, find, strings

_KEYS = {
    "CONSTR_PRIMARY": "primary keys",
    "CONSTR_UNIQUE": "unique constraints",
    "CONSTR_FOREIGN": "foreign key constraints",
}


def allowed(column: Node, expression: Node, *, world: World, out: Recorder) -> None:
    """Of one that is made: keys, its type and the functions of its expression."""
    for item in column.constraints:
        kind = _KEYS.get(enum(item.constraint, "contype"))
        if kind is not None:
            out.fail("0A000", f"{kind} on virtual generated columns are not supported")
    parts = strings(column.type_name.names)
    if world.domain(parts) is not None:
        out.fail("0A000", f'virtual generated column "{column.colname}" cannot have a domain type')
    elif world.type(parts) is not None:
        out.fail("0A000", f'virtual generated column "{column.colname}" cannot have a user-defined type')
    for call in find(expression, "FuncCall"):
        known = world.functions(strings(call.funcname))
        fitting = [item for item in known if item.least <= len(call.args) <= item.most]
        if fitting and all(item.schema != "pg_catalog" for item in fitting):
            out.fail("0A000", "generation expression uses user-defined function")


def indexed(columns: Iterable[str], facts: RelationFacts, out: Recorder) -> None:
    """Of an index or a key on columns that are there."""
    for name in columns:
        known = facts.columns.get(name)
        if known is not None and known.generated == "v":
            out.fail("0A000", "indexes on virtual generated columns are not supported")
