"""Column definitions wherever a statement writes one: CREATE TABLE, ADD COLUMN, ALTER COLUMN TYPE."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

from migrator.analysis.rules.model import Hit
from migrator.analysis.rules.skips import skips_all, skips_column
from migrator.analysis.walk.subject import Subject
from migrator.frozen import frozen
from migrator.parsing.build import build, script
from migrator.parsing.nodes import Node, assign, commands, copy_of, enum, strings

STATEMENTS = ("create_stmt", "alter_table_stmt")
SUBTYPES = ("AT_AddColumn", "AT_AlterColumnType")


@frozen
class Definition:
    subject: Subject
    table: str
    name: str
    node: Node
    """The ColumnDef; of ALTER COLUMN TYPE it holds the type alone."""
    place: tuple[str, int]
    """Where in the statement: the list and the position in it."""

    @functools.cached_property
    def type(self) -> str:
        """Bare and as the parser names it: "int4", "varchar", "bpchar", "serial"."""
        parts = strings(self.node.type_name.names)
        return parts[-1] if len(parts) == 1 or parts[:1] == ("pg_catalog",) else ".".join(parts)

    @property
    def is_array(self) -> bool:
        return bool(len(self.node.type_name.array_bounds))

    @property
    def is_key(self) -> bool:
        """Whether its values number something: a primary key, an identity, a serial, or a name that says so."""
        kinds = {enum(item.constraint, "contype") for item in self.node.constraints}
        return bool(kinds & {"CONSTR_PRIMARY", "CONSTR_IDENTITY"}) or self.name == "id" or self.name.endswith("_id")

    def rewritten(self, change: Callable[[Node], None]) -> str:
        """The whole statement with this definition changed."""
        node = copy_of(self.subject.statement.node)
        items, position = self.place
        item = getattr(getattr(node, self.subject.statement.name), items)[position]
        change(item.column_def if items == "table_elts" else getattr(item.alter_table_cmd, "def").column_def)
        return script((node,))


def definitions(subject: Subject) -> tuple[Definition, ...]:
    if "definitions" not in subject.memo:
        subject.memo["definitions"] = tuple(_all(subject))
    found: tuple[Definition, ...] = subject.memo["definitions"]
    return found


def _all(subject: Subject) -> Iterator[Definition]:
    tree = subject.statement.tree
    table = subject.world.name(tree.relation)
    if skips_all(subject):
        return
    if subject.statement.name == "create_stmt":
        for position, item in enumerate(tree.table_elts):
            if item.HasField("column_def"):
                column = item.column_def
                yield Definition(subject, table, column.colname, column, ("table_elts", position))
        return
    for position, command in enumerate(commands(tree)):
        if enum(command, "subtype") in SUBTYPES and not skips_column(command, table, subject.world):
            column = getattr(command, "def").column_def
            yield Definition(subject, table, column.colname or command.name, column, ("cmds", position))


@functools.cache
def type_node(name: str) -> Node:
    """The TypeName of a type as SQL writes it."""
    node = build(f"ALTER TABLE t ADD COLUMN c {name}")
    return getattr(node.alter_table_stmt.cmds[0].alter_table_cmd, "def").column_def.type_name


def retyped(definition: Definition, name: str) -> str:
    """The statement with another type for this column; arrays stay arrays."""

    def change(column: Node) -> None:
        bounds = [copy_of(item) for item in column.type_name.array_bounds]
        assign(column.type_name, type_node(name))
        column.type_name.array_bounds.extend(bounds)

    return definition.rewritten(change)


def instead_of(types: frozenset[str], better: str, why: str) -> Callable[[Subject], Iterator[Hit]]:
    """A check that proposes one type for others."""

    def check(subject: Subject) -> Iterator[Hit]:
        for item in definitions(subject):
            if item.type in types:
                yield Hit(f"{item.table}.{item.name}: {why}", alternative_sql=retyped(item, better), part=item.place[1])

    return check
