"""Expressions over other columns than those that they were written for."""

from __future__ import annotations

from collections.abc import Callable

from migrator.parsing.build import build
from migrator.parsing.nodes import Node, assign, copy_of, find, strings
from migrator.parsing.statements import parse


def expression_of(text: str) -> Node | None:
    """An expression as the catalog prints it; None when the grammar here does not know it."""
    parsed = parse(f"SELECT {text}", file="catalog")
    if len(parsed.statements) != 1 or parsed.problems:
        return None
    targets = parsed.statements[0].node.select_stmt.target_list
    return targets[0].res_target.val if len(targets) == 1 else None


def constraint_of(definition: str, name: str) -> Node | None:
    """A constraint as pg_get_constraintdef() prints it, under a name."""
    parsed = parse(f"ALTER TABLE t ADD CONSTRAINT c {definition}", file="catalog")
    if len(parsed.statements) != 1 or parsed.problems:
        return None
    command = parsed.statements[0].node.alter_table_stmt.cmds[0].alter_table_cmd
    result = copy_of(getattr(command, "def").constraint)
    result.conname = name
    return result


def type_of(name: str) -> Node | None:
    """A type as format_type() writes it, as the ColumnDef of a column of it."""
    made = statement_of(f"ALTER TABLE t ADD COLUMN c {name}")
    return getattr(made.alter_table_stmt.cmds[0].alter_table_cmd, "def").column_def if made is not None else None


def statement_of(text: str) -> Node | None:
    """A statement as the catalog prints it: pg_get_indexdef()."""
    parsed = parse(text, file="catalog")
    return copy_of(parsed.statements[0].node) if len(parsed.statements) == 1 and not parsed.problems else None


def of_new_row(expression: Node) -> Node:
    """As a trigger sees it: each column is the new row's."""
    return _changed(expression, lambda names: ("new", names[-1]))


def with_column(expression: Node, old: str, new: Node) -> Node:
    """Another expression in place of a column."""
    result = copy_of(expression)
    wrapper = build("SELECT val", val=result)
    for node in find(wrapper, "Node"):
        if node.WhichOneof("node") == "column_ref" and strings(node.column_ref.fields)[-1:] == (old,):
            assign(node, new)
    return wrapper.select_stmt.target_list[0].res_target.val


def renamed(message: Node, old: str, new: str) -> Node:
    """Any part of a tree with a column under its new name, as a plain index key, too."""
    result = _changed(message, lambda names: (*names[:-1], new if names[-1] == old else names[-1]))
    for element in find(result, "IndexElem"):
        if element.name == old:
            element.name = new
    return result


def uses(message: Node, column: str) -> bool:
    """Whether it names the column."""
    return any(strings(item.fields)[-1:] == (column,) for item in find(message, "ColumnRef")) or any(
        item.name == column for item in find(message, "IndexElem")
    )


def _changed(message: Node, change: Callable[[tuple[str, ...]], tuple[str, ...]]) -> Node:
    result = copy_of(message)
    for reference in find(result, "ColumnRef"):
        names = strings(reference.fields)
        if names:
            del reference.fields[:]
            for name in change(names):
                reference.fields.add().string.sval = name
    return result
