"""Builds the safe alternative of a statement as parse trees, and writes it as SQL.

Nothing is put together from names: a template is parsed once, its placeholders are replaced in the tree by names and
by parts of the user's own statement, and the parser's deparser quotes what must be quoted. What has to run in
separate transactions comes as separate migrations.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, Union

from migrator.parsing.nodes import Node, assign, content, copy_of, name_of, strings
from migrator.parsing.statements import deparse, parse

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
    kind, written = _template_bytes(template)
    node = kind.FromString(written)
    if not values:
        return node
    used: set[str] = set()
    _fill(node, _spots(template, frozenset(values)), values, used)
    if unused := values.keys() - used:
        raise ValueError(f"{template!r} has no {sorted(unused)}")
    return node


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
    return _relation_text(relation.catalogname, relation.schemaname, relation.relname)


@functools.lru_cache(maxsize=1024)
def _relation_text(catalog: str, schema: str, name: str) -> str:
    node = build("SELECT FROM tbl")
    relation = node.select_stmt.from_clause[0].range_var
    relation.catalogname, relation.schemaname, relation.relname = catalog, schema, name
    return deparse(node).removeprefix("SELECT FROM ")


@functools.lru_cache(maxsize=1024)
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


@functools.cache
def _template_bytes(text: str) -> tuple[type[Node], bytes]:
    """Twenty times as fast to make a tree of as the tree is to copy."""
    node = _template(text)
    return type(node), node.SerializeToString()


@dataclass(frozen=True, slots=True)
class _Spot:
    """A part of a template that is a placeholder, or that has some below it."""

    field: str
    position: int
    """In a repeated field; -1: the field holds one."""
    text: str = ""
    """Of a string: the placeholder that it is."""
    name: str = ""
    """Of a message: the placeholder that it consists of."""
    type: str = ""
    """Its protobuf type, and inside of a Node that of what it holds."""
    inner: str = ""
    inner_type: str = ""
    below: tuple[_Spot, ...] = ()


@functools.cache
def _spots(template: str, keys: frozenset[str]) -> tuple[_Spot, ...]:
    """Where the placeholders are, so that building does not have to walk through the whole template each time."""
    return tuple(_find_spots(_template(template), keys))


def _find_spots(message: Node, keys: frozenset[str]) -> Iterator[_Spot]:
    for field, value in message.ListFields():
        if field.message_type is None:
            if isinstance(value, str) and value in keys:
                yield _Spot(field.name, -1, text=value)
        elif field.is_repeated:
            yield from filter(None, (_spot(item, field.name, place, keys) for place, item in enumerate(value)))
        else:
            yield from filter(None, (_spot(value, field.name, -1, keys),))


def _spot(message: Node, field: str, position: int, keys: frozenset[str]) -> _Spot | None:
    name, below = _placeholder(message), tuple(_find_spots(message, keys))
    if name not in keys and not below:
        return None
    kind = type(message).__name__
    inner = name_of(message) if kind == "Node" else ""
    inner_type = type(content(message)).__name__ if inner else ""
    return _Spot(field, position, "", name if name in keys else "", kind, inner, inner_type, below)


def _fill(message: Node, spots: Iterable[_Spot], values: Mapping[str, Value], used: set[str]) -> None:
    lists: dict[str, list[_Spot]] = {}
    for spot in spots:
        if spot.text:
            value = values.get(spot.text)
            if isinstance(value, str):
                setattr(message, spot.field, value)
                used.add(spot.text)
        elif spot.position < 0:
            _replace(getattr(message, spot.field), spot, values, used)
        else:
            lists.setdefault(spot.field, []).append(spot)
    for field, items in lists.items():
        _fill_list(getattr(message, field), items, values, used)


def _fill_list(items: Node, spots: list[_Spot], values: Mapping[str, Value], used: set[str]) -> None:
    for spot in reversed(spots):  # from the end, as a list that takes a place moves what follows
        several = values.get(spot.name, "")
        if isinstance(several, str) or hasattr(several, "DESCRIPTOR"):
            _replace(items[spot.position], spot, values, used)
            continue
        after = list(items)[spot.position :]
        del items[spot.position :]
        for one in several:
            items.append(after[0])
            _replace(items[-1], spot, {spot.name: one}, used)
        items.extend(after[1:])
        used.add(spot.name)


def _replace(message: Node, spot: _Spot, values: Mapping[str, Value], used: set[str]) -> None:
    value = values.get(spot.name)
    kind = type(value).__name__
    if kind == spot.type or (kind == spot.inner_type and kind):
        assign(message if kind == spot.type else getattr(message, spot.inner), value)
        used.add(spot.name)
        return
    _fill(message, spot.below, values, used)


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


def as_written(qualified: str) -> str:
    """A qualified name ("public.Odd Names") as SQL has to write it (`public."Odd Names"`)."""
    schema, _, name = qualified.partition(".")
    return deparse(build("ANALYZE sch.tbl", sch=schema, tbl=name)).removeprefix("ANALYZE ")
