"""The name that PostgreSQL gives an expression: FigureColname in src/backend/parser/parse_target.c."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from migrator.parsing.nodes import Node, content, enum, name_of, strings

_WORDS: Mapping[str, str] = {
    "a_array_expr": "array",
    "row_expr": "row",
    "coalesce_expr": "coalesce",
}


def of_index(columns: Iterable[Node]) -> tuple[str, ...]:
    """Of the columns of an index, from its IndexElems: each another one (ChooseIndexColumnNames in indexcmds.c)."""
    names: list[str] = []
    for item in columns:
        name = item.name or result_name(item.expr) or "expr"
        others = (f"{name}{number}" for number in range(1, len(names) + 1))
        names.append(next(one for one in (name, *others) if one not in names))
    return tuple(names)


def result_name(expression: Node) -> str | None:
    """None: it gets none of its own."""
    return _named(expression)[0]


def _named(node: Node) -> tuple[str | None, bool]:
    """The name, and whether it counts more than that of a cast around it."""
    kind, inner = name_of(node), content(node)
    if kind == "column_ref":
        return _last(strings(inner.fields))
    if kind == "func_call":
        return _last(strings(inner.funcname))
    if kind == "a_indirection":
        return _last(strings(inner.indirection)) if strings(inner.indirection) else _named(inner.arg)
    if kind == "collate_clause":
        return _named(inner.arg)
    if kind == "type_cast":
        return _or_else(inner.arg, strings(inner.type_name.names)[-1])
    if kind == "case_expr":
        return _or_else(inner.defresult, "case")
    if kind == "min_max_expr":
        return enum(inner, "op").removeprefix("IS_").lower(), True
    if kind == "a_expr" and enum(inner, "kind") == "AEXPR_NULLIF":
        return "nullif", True
    return _WORDS.get(kind), kind in _WORDS


def _last(names: tuple[str, ...]) -> tuple[str | None, bool]:
    return (names[-1], True) if names else (None, False)


def _or_else(node: Node, name: str) -> tuple[str | None, bool]:
    found, counts = _named(node)
    return (found, True) if counts else (name, False)
