"""The text of an EXECUTE that is the same in each run: strings, format(), quote_ident(), quote_literal() and variables
that keep what they were declared with. Whatever is not certain is no constant.

https://www.postgresql.org/docs/current/functions-string.html#FUNCTIONS-STRING-FORMAT
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from migrator.parsing.nodes import Node, enum, name_of, strings
from migrator.parsing.statements import parse

PLACE = re.compile(r"%(?:(?P<number>\d+)\$)?(?P<kind>[sIL%])|%")
TEXT = ("text", "pg_catalog.text")


def variables(tree: Any) -> dict[str, str]:
    """Variables of type text that are never assigned, by name. Of names that are declared twice, none."""
    kinds = ("PLpgSQL_var", "PLpgSQL_rec", "PLpgSQL_row")
    names = Counter(item.get("refname") for kind in kinds for item in _named(tree, kind))
    numbers = [item for part in _named(tree, "PLpgSQL_function") for item in part.get("datums", ())]
    assigned = set(_assigned(tree))
    calls = any(True for _ in _named(tree, "PLpgSQL_stmt_call"))  # an INOUT argument is written to
    found: dict[str, str] = {}
    for number, datum in enumerate(numbers):
        item = datum.get("PLpgSQL_var", {})
        kind = item.get("datatype", {}).get("PLpgSQL_type", {}).get("typname")
        default = item.get("default_val", {}).get("PLpgSQL_expr", {}).get("query")
        kept = item.get("isconst") or not (calls or number in assigned)
        if default is not None and kind in TEXT and kept and names[item["refname"]] == 1:
            value = constant(default, found)
            if value is not None:
                found[item["refname"]] = value
    return found


def constant(query: str, known: Mapping[str, str]) -> str | None:
    """The value of an expression, as text; None when it is not certain."""
    parsed = parse(f"SELECT {query}", file="")
    if len(parsed.statements) != 1 or parsed.problems or parsed.statements[0].name != "select_stmt":
        return None
    tree = parsed.statements[0].tree
    if len(tree.target_list) != 1 or len(tree.from_clause) or tree.HasField("where_clause"):
        return None
    return constant_of(tree.target_list[0].res_target.val, known)


def constant_of(node: Node, known: Mapping[str, str]) -> str | None:
    """The same of an expression of a parse tree."""
    kind = name_of(node)
    if kind == "a_const":
        which = node.a_const.WhichOneof("val")
        if which == "ival":
            return str(node.a_const.ival.ival)
        return str(node.a_const.sval.sval) if which == "sval" else None
    if kind == "column_ref":
        names = strings(node.column_ref.fields)
        return known.get(names[0]) if len(names) == 1 else None
    if kind == "type_cast":
        names = strings(node.type_cast.type_name.names)
        plain = names[-1:] == ("text",) and not len(node.type_cast.type_name.array_bounds)
        return constant_of(node.type_cast.arg, known) if plain else None
    if kind == "a_expr" and enum(node.a_expr, "kind") == "AEXPR_OP":
        left, right = constant_of(node.a_expr.lexpr, known), constant_of(node.a_expr.rexpr, known)
        joined = strings(node.a_expr.name) == ("||",) and left is not None and right is not None
        return f"{left}{right}" if joined else None
    return _called(node.func_call, known) if kind == "func_call" else None


def _called(call: Node, known: Mapping[str, str]) -> str | None:
    names = strings(call.funcname)
    if call.func_variadic or (len(names) == 2 and names[0] != "pg_catalog"):
        return None
    arguments = [constant_of(item, known) for item in call.args]
    values = [item for item in arguments if item is not None]
    if len(values) < len(arguments) or not values:
        return None
    if names[-1] == "format":
        return _formatted(values[0], values[1:])
    if len(values) == 1 and names[-1] in ("quote_ident", "quote_literal"):
        return _identifier(values[0]) if names[-1] == "quote_ident" else _literal(values[0])
    return None


def _formatted(template: str, values: list[str]) -> str | None:
    result, end, following = [], 0, 0
    for match in PLACE.finditer(template):
        kind, number = match["kind"], match["number"]
        if kind is None or (kind == "%" and number):
            return None  # a width, or what format() refuses
        result.append(template[end : match.start()])
        end = match.end()
        if kind == "%":
            result.append("%")
            continue
        following = int(number) if number else following + 1
        if not 1 <= following <= len(values):
            return None
        value = values[following - 1]
        result.append({"s": value, "I": _identifier(value), "L": _literal(value)}[kind])
    return "".join([*result, template[end:]])


def _identifier(name: str) -> str:
    """Quoted always, which names the same as what the server quotes only where it must."""
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    quoted = "'" + text.replace("'", "''") + "'"
    return " E" + quoted.replace("\\", "\\\\") if "\\" in text else quoted


def _named(tree: Any, name: str) -> Iterator[dict[str, Any]]:
    """All nodes of a kind, in the order of the tree."""
    stack = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(reversed(item))
        elif isinstance(item, dict):
            for key, value in item.items():
                if key == name and isinstance(value, dict):
                    yield value
            stack.extend(reversed(list(item.values())))


def _assigned(tree: Any) -> Iterator[int]:
    """Numbers of the variables that anything writes to: assignments, INTO, loops, GET DIAGNOSTICS."""
    stack = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            for key, value in item.items():
                if key in ("varno", "target") and isinstance(value, int):
                    yield value
            stack.extend(item.values())
