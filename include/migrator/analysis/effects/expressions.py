"""What an expression proves, and what it mentions."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache

from migrator.parsing.nodes import Node, assign, copy_of, enum, find, name_of, strings


def proven_not_null(expression: Node) -> Iterator[str]:
    """Columns that an expression proves to be not null, the way PostgreSQL looks at it: IS NOT NULL, alone or in AND
    (NotNullImpliedByRelConstraints in tablecmds.c)."""
    stack = [expression]
    while stack:
        current = stack.pop()
        name = name_of(current)
        if name == "bool_expr" and enum(current.bool_expr, "boolop") == "AND_EXPR":
            stack.extend(current.bool_expr.args)
        elif name == "null_test" and enum(current.null_test, "nulltesttype") == "IS_NOT_NULL":
            column = name_of(current.null_test.arg) == "column_ref"
            if column:
                yield from strings(current.null_test.arg.column_ref.fields)[-1:]


@lru_cache(maxsize=4096)
def not_null_columns(definition: str) -> frozenset[str]:
    """The same for a constraint as pg_get_constraintdef() prints it."""
    constraint = constraint_node(definition)
    if constraint is None:
        return frozenset()
    if enum(constraint, "contype") == "CONSTR_NOTNULL":
        return frozenset(strings(constraint.keys))
    return frozenset(proven_not_null(constraint.raw_expr))


@lru_cache(maxsize=4096)
def columns_of(definition: str) -> frozenset[str]:
    """Columns that a constraint mentions."""
    constraint = constraint_node(definition)
    return frozenset(mentioned(constraint.raw_expr)) if constraint is not None else frozenset()


def mentioned(expression: Node) -> Iterator[str]:
    for item in find(expression, "ColumnRef"):
        yield from strings(item.fields)[-1:]


def check_text(expression: Node) -> str:
    """A CHECK of the migration's own, as constraint_node() reads it."""
    from migrator.parsing.statements import deparse

    node = copy_of(_select_true())
    assign(node.select_stmt.target_list[0].res_target.val, expression)
    return f"CHECK ({deparse(node).removeprefix('SELECT ')})"


@cache
def _select_true() -> Node:
    from migrator.parsing.statements import parse

    return parse("SELECT true", file="template").statements[0].node


@lru_cache(maxsize=4096)
def constraint_node(definition: str) -> Node | None:
    """The Constraint that pg_get_constraintdef() has printed."""
    from migrator.parsing.statements import parse

    parsed = parse(f"ALTER TABLE t ADD CONSTRAINT c {definition}", file="catalog")
    if not parsed.statements:
        return None
    for item in parsed.statements[0].tree.cmds:
        return getattr(item.alter_table_cmd, "def").constraint
    return None
