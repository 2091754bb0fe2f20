"""Walking PostgreSQL's parse tree: the few verbs that kinds, effects and rules need.

A tree is libpg_query's protobuf message. Nothing here imports the parser, so only `statements.py` knows which one it
is. Walks are iterative: a tree may be deeper than Python's stack.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Node = Any
"""A protobuf message of the parse tree (typed as Any: the classes are generated and belong to the parser)."""


def name_of(node: Node) -> str:
    """Which statement or expression a Node holds: "alter_table_stmt", "func_call"; "" for an empty one."""
    return node.WhichOneof("node") or ""


def content(node: Node) -> Node:
    """The message inside a Node."""
    name = node.WhichOneof("node")
    return getattr(node, name) if name else node


def enum(message: Node, field: str) -> str:
    """Symbolic name of an enum field: enum(cmd, "subtype") == "AT_AddColumn"."""
    key = type(message), field
    names = _ENUMS.get(key)
    if names is None:
        values = message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number
        names = _ENUMS[key] = {number: str(value.name) for number, value in values.items()}
    return names[getattr(message, field)]


_ENUMS: dict[tuple[Node, str], dict[int, str]] = {}
"""By type of message and field, the names by number: asking the descriptor each time takes ten times as long."""


def walk(message: Node) -> Iterator[Node]:
    """Every message of the tree, parents before children, without the Node envelopes' own level."""
    stack = [message]
    while stack:
        current = stack.pop()
        yield current
        stack += _below(current)


def _below(message: Node) -> list[Node]:
    """The messages right below one, the last first."""
    if type(message).__name__ == "Node":  # has a field for each of 270 types, which ListFields() goes through
        name = message.WhichOneof("node")
        return [getattr(message, name)] if name else []
    below: list[Node] = []
    for _, value in message.ListFields():
        shape = _SHAPES.get(type(value))
        if shape is None:
            shape = _SHAPES[type(value)] = _shape(type(value))
        if shape == "message":
            below.append(value)
        elif shape == "messages":
            below.extend(value)
    below.reverse()
    return below


def _shape(kind: Node) -> str:
    """Of the values of a field: one message, a list of them, or what has none below it."""
    if hasattr(kind, "ListFields"):
        return "message"
    return "messages" if hasattr(kind, "add") else "scalar"  # a list of numbers has no `add`


_SHAPES: dict[Node, str] = {}


def copy_of(node: Node) -> Node:
    """A copy to change: trees of statements are shared and must stay as they are."""
    return type(node).FromString(node.SerializeToString())


def assign(message: Node, value: Node) -> None:
    """Makes a part of a tree equal to another one. CopyFrom() does it, too, in twice the time: for each Node it goes
    through all of its fields.

    :raises TypeError: for messages of different types.
    """
    if type(message) is not type(value):
        raise TypeError(f"a {type(value).__name__} cannot stand for a {type(message).__name__}")
    message.ParseFromString(value.SerializeToString())


def find(message: Node, *types: str) -> Iterator[Node]:
    """Messages of the given protobuf types ("FuncCall", "RangeVar") anywhere below, in source order."""
    wanted = frozenset(types)
    stack = [message]
    while stack:
        current = stack.pop()
        if type(current).__name__ in wanted:
            yield current
        stack += _below(current)


def relations(message: Node) -> Iterator[Node]:
    """RangeVars anywhere below that mean relations: not what WITH defines, nor the aliases of FOR UPDATE OF.

    A name of WITH is seen by the statement, by what comes after it in the same WITH, and by all of WITH RECURSIVE. What
    a statement writes to is none, though it may be called the same; the grammar has it outside of a Node.
    """
    stack: list[tuple[Node, frozenset[str]]] = [(message, frozenset())]
    while stack:
        current, common = stack.pop()
        kind = type(current).__name__
        if kind == "RangeVar":
            yield current
        elif kind == "WithClause":
            names = [item.common_table_expr.ctename for item in current.ctes]
            seen = [common.union(names if current.recursive else names[:at]) for at in range(len(names))]
            stack += [*zip(current.ctes, seen, strict=True)][::-1]
        elif kind != "LockingClause" and not (kind == "Node" and _is_common(current, common)):
            given = current.with_clause.ctes if kind in _WITH else ()
            inside = common.union(item.common_table_expr.ctename for item in given)
            stack += [(one, common if type(one).__name__ == "WithClause" else inside) for one in _below(current)]


_WITH = ("SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt")


def _is_common(node: Node, common: frozenset[str]) -> bool:
    return name_of(node) == "range_var" and not node.range_var.schemaname and node.range_var.relname in common


def strings(items: Node) -> tuple[str, ...]:
    """The parts of a dotted name, or a list of column names: repeated Node with String inside."""
    return tuple([item.string.sval for item in items if item.HasField("string")])


def option(items: Node, name: str) -> Node | None:
    """The value of `name` in a list of DefElem (WITH (...) options); None when it is not given."""
    for item in items:
        if item.HasField("def_elem") and item.def_elem.defname.lower() == name:
            return item.def_elem
    return None


def flag(items: Node, name: str, default: bool) -> bool:
    """A boolean option of a list of DefElem, read as PostgreSQL's defGetBoolean does."""
    found = option(items, name)
    if found is None:
        return default
    if not found.HasField("arg"):
        return True
    value = content(found.arg)
    kind = name_of(found.arg)
    if kind == "integer":
        return bool(value.ival)
    if kind == "boolean":
        return bool(value.boolval)
    if kind == "string":
        return str(value.sval).lower() in ("true", "on", "yes", "1", "t", "y")
    return default


def option_text(items: Node, name: str) -> str | None:
    """A string option of a list of DefElem; None when it is not given or has no text."""
    found = option(items, name)
    if found is None or not found.HasField("arg"):
        return None
    if name_of(found.arg) == "string":
        return str(found.arg.string.sval)
    if name_of(found.arg) == "type_name":
        return ".".join(strings(found.arg.type_name.names))
    return None


def commands(stmt: Node) -> list[Node]:
    """The subcommands of an ALTER TABLE."""
    return [item.alter_table_cmd for item in stmt.cmds]


def type_parts(type_name: Node) -> tuple[str, ...]:
    return strings(type_name.names)
