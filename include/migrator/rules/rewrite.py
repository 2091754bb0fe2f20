"""Builds the safe alternative of a statement as parse trees, and writes it as SQL.

Nothing is put together from names: a template is parsed once, its placeholders are replaced in the tree by names and
by parts of the user's own statement, and the parser's deparser quotes what must be quoted. What has to run in
separate transactions comes as separate migrations.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias, Union

from migrator.nodes import Node, content, strings
from migrator.statements import deparse, parse

NEXT = "-- in a migration after that one:"
"""Between the parts of an alternative that must be migrations, and so transactions, of their own."""

Value: TypeAlias = Union[str, Node, Sequence[Union[str, Node]]]
"""What stands for a placeholder: a name, a part of a tree, or several of either where a list may stand."""


def build(template: str, **values: Value) -> Node:
    """The statement `template` with each identifier that is a key of `values` replaced.

    `build("ALTER TABLE tbl VALIDATE CONSTRAINT con", tbl=tree.relation, con="is positive")`. A tree stands for a
    placeholder of its own type: RangeVar for a table, TypeName for a type, ColumnDef for `ADD COLUMN col int`,
    Constraint for `ADD CONSTRAINT con CHECK (true)`, any Node for an expression.
    """
    node = copy_of(_template(template))
    if not values:
        return node
    used: set[str] = set()
    _fill(node, values, used)
    if unused := values.keys() - used:
        raise ValueError(f"{template!r} has no {sorted(unused)}")
    return node


def copy_of(node: Node) -> Node:
    """A copy to change: trees of statements are shared and must stay as they are."""
    result = type(node)()
    result.CopyFrom(node)
    return result


def single(statement: Node, command: Node) -> Node:
    """An ALTER TABLE with only this one of its subcommands, to be changed at will."""
    result = copy_of(statement)
    del result.alter_table_stmt.cmds[:]
    result.alter_table_stmt.cmds.add().alter_table_cmd.CopyFrom(command)
    return result


def without(statement: Node, *commands: Node) -> tuple[Node, ...]:
    """What is left of an ALTER TABLE when these subcommands are taken out: one statement or none."""
    result = copy_of(statement)
    kept = [item for item in statement.alter_table_stmt.cmds if content(item) not in commands]
    del result.alter_table_stmt.cmds[:]
    result.alter_table_stmt.cmds.extend(kept)
    return (result,) if kept else ()


def range_var(relation: str) -> Node:
    """A relation as effects and facts name it ("public.messages") as a part of a tree."""
    schema, _, name = relation.partition(".")
    return build("TABLE x.y", x=schema, y=name).select_stmt.from_clause[0].range_var


def expression_text(expression: Node) -> str:
    """An expression as SQL, for the body of a function, which is text."""
    return deparse(build("SELECT val", val=expression)).removeprefix("SELECT ")


def name_text(name: str) -> str:
    """A name, quoted when it must be."""
    return deparse(build("SELECT col", col=name)).removeprefix("SELECT ")


def relation_text(relation: Node) -> str:
    """The name of a RangeVar, quoted when it must be."""
    return deparse(build("SELECT FROM tbl", tbl=relation)).removeprefix("SELECT FROM ").removeprefix("ONLY ")


def literal_text(text: str) -> str:
    """A string constant."""
    return deparse(build("SELECT 'lit'", lit=text)).removeprefix("SELECT ")


def beside(relation: Node, name: str) -> Node:
    """The RangeVar of `name` in the schema of another relation, as far as the statement names it."""
    result = copy_of(relation)
    result.relname = name
    result.inh = True
    return result


def parts_of(relation: Node) -> tuple[str, ...]:
    """A RangeVar as the list of names that some statements want."""
    return tuple(part for part in (relation.schemaname, relation.relname) if part)


def script(*migrations: Iterable[Node]) -> str:
    """Each migration's statements, one a line; between migrations stands `NEXT`."""
    written = ("\n".join(f"{deparse(node)};" for node in nodes) for nodes in migrations)
    return f"\n{NEXT}\n".join(text for text in written if text)


def later(node: Node) -> str:
    """The statement as it is, but in a migration after the one with the statements before it."""
    return f"{NEXT}\n{deparse(node)};"


def migrations_of(alternative: str) -> tuple[str, ...]:
    """The texts of an alternative that run as migrations of their own, in order."""
    return tuple(alternative.split(f"\n{NEXT}\n"))


@functools.cache
def _template(text: str) -> Node:
    parsed = parse(text, file="template")
    if parsed.problems or len(parsed.statements) != 1:
        raise ValueError(f"not one statement: {text!r} {parsed.problems}")
    return parsed.statements[0].node


def _fill(message: Node, values: Mapping[str, Value], used: set[str]) -> None:
    for field, value in message.ListFields():
        if field.message_type is None:
            if isinstance(value, str) and isinstance(values.get(value), str):
                setattr(message, field.name, values[value])
                used.add(value)
        elif field.is_repeated:
            _fill_list(value, values, used)
        else:
            _replace(value, values, used)


def _fill_list(items: Node, values: Mapping[str, Value], used: set[str]) -> None:
    result = []
    for item in items:
        name = _placeholder(item)
        several = values.get(name) if name else None
        if isinstance(several, str) or several is None or hasattr(several, "DESCRIPTOR"):
            _replace(item, values, used)
            result.append(copy_of(item))
            continue
        for one in several:
            part = copy_of(item)
            _replace(part, {name: one}, used)
            result.append(part)
        used.add(name)
    del items[:]
    items.extend(result)


def _replace(message: Node, values: Mapping[str, Value], used: set[str]) -> None:
    name = _placeholder(message)
    value = values.get(name) if name else None
    for target in (message, content(message) if message.DESCRIPTOR.name == "Node" else message):
        if value is not None and hasattr(value, "DESCRIPTOR") and value.DESCRIPTOR.name == target.DESCRIPTOR.name:
            target.CopyFrom(value)
            used.add(name)
            return
    _fill(message, values, used)


def _placeholder(message: Node) -> str:
    """The one name that a part of a template consists of; "" when it is anything else."""
    part = content(message) if message.DESCRIPTOR.name == "Node" else message
    kind = part.DESCRIPTOR.name
    if kind == "RangeVar":
        return "" if part.schemaname else str(part.relname)
    if kind in ("ColumnRef", "TypeName"):
        names = strings(part.fields if kind == "ColumnRef" else part.names)
        return names[0] if len(names) == 1 else ""
    field = {"String": "sval", "IndexElem": "name", "ColumnDef": "colname", "Constraint": "conname"}.get(kind)
    return str(getattr(part, field)) if field else ""
