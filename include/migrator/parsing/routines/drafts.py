"""A text that is put together at run time, as far as it is known: its constant parts, and holes between them.

What is known of it can be judged, and the rest can be said. A hole that format() or quote_ident() makes a name, or
quote_literal() a text, can be nothing else; any other hole can be anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum

from migrator.frozen import frozen
from migrator.parsing.nodes import Node, content, enum, name_of, strings
from migrator.parsing.routines.constants import PLACE, constant_of
from migrator.parsing.statements import parse


class Hole(Enum):
    NAME = "name"
    TEXT = "text"
    ANYTHING = "anything"


Part = str | Hole
UNKNOWN = "migrator_unknown"
"""The name that stands for a hole when a draft is read."""
MARK = "\u2026"
"""What stands for a hole when a draft is shown."""
_READINGS = ((UNKNOWN, f'"{UNKNOWN}"'), ("", '""'), ("''", "''"), ("1", "1"), ("SELECT 1", "SELECT 1"))
"""For holes that can be anything, what they may be: a name, nothing, a text, a number, a query; first the hole that
stands by itself, then the one within double quotes or a word."""
_TEXTS = ("replace", "lower", "upper", "btrim", "ltrim", "rtrim", "initcap")
"""Functions whose result has their first argument in it, or something like it."""


@frozen
class Draft:
    parts: tuple[Part, ...]
    offset: int
    """Its place in the file, in characters."""
    query: str = ""
    """The expression that makes it."""

    @property
    def open(self) -> bool:
        """Whether some of it can be anything."""
        return Hole.ANYTHING in self.parts

    @property
    def shown(self) -> str:
        return "".join(MARK if isinstance(part, Hole) else part for part in self.parts)

    @property
    def readings(self) -> Iterator[str]:
        """SQL that it may become, the likeliest first."""
        for alone, inside in _READINGS if self.open else _READINGS[:1]:
            yield "".join(self._filled(alone, inside))

    def _filled(self, alone: str, inside: str) -> Iterator[str]:
        quoted = False
        for part in self.parts:
            if not isinstance(part, Hole):
                quoted ^= part.count('"') % 2 == 1
                yield part
            elif part is Hole.NAME:
                yield f'"{UNKNOWN}"'
            elif part is Hole.TEXT:
                yield f"'{UNKNOWN}'"
            else:
                yield UNKNOWN if quoted else alone


def drafted(query: str, known: Mapping[str, str]) -> tuple[Part, ...]:
    """Of an expression of PL/pgSQL. One hole when nothing of it is known."""
    parsed = parse(f"SELECT {query}", file="")
    if len(parsed.statements) != 1 or parsed.statements[0].name != "select_stmt":
        return (Hole.ANYTHING,)
    targets = parsed.statements[0].tree.target_list
    return draft_of(targets[0].res_target.val, known) if len(targets) == 1 else (Hole.ANYTHING,)


def draft_of(node: Node, known: Mapping[str, str]) -> tuple[Part, ...]:
    """Of an expression of a parse tree, neighbouring constants joined."""
    joined: list[Part] = []
    for part in _parts(node, known):
        if joined and not isinstance(part, Hole) and not isinstance(joined[-1], Hole):
            joined[-1] += part
        else:
            joined.append(part)
    return tuple(joined)


def _parts(node: Node, known: Mapping[str, str]) -> Iterator[Part]:
    value = constant_of(node, known)
    kind = name_of(node)
    if value is not None:
        yield value
    elif kind == "type_cast":
        yield from _parts(node.type_cast.arg, known)
    elif kind == "collate_clause":
        yield from _parts(node.collate_clause.arg, known)
    elif kind == "named_arg_expr":
        yield from _parts(node.named_arg_expr.arg, known)
    elif kind == "coalesce_expr":
        yield from _parts(node.coalesce_expr.args[0], known)
        yield Hole.ANYTHING
    elif kind == "a_expr" and enum(node.a_expr, "kind") == "AEXPR_OP" and strings(node.a_expr.name)[-1:] == ("||",):
        yield from _parts(node.a_expr.lexpr, known)
        yield from _parts(node.a_expr.rexpr, known)
    elif kind == "sub_link" and name_of(node.sub_link.subselect) == "select_stmt":
        targets = content(node.sub_link.subselect).target_list
        yield from _parts(targets[0].res_target.val, known) if len(targets) == 1 else (Hole.ANYTHING,)
    elif kind == "func_call":
        yield from _called(node.func_call, known)
    else:
        yield Hole.ANYTHING


def _called(call: Node, known: Mapping[str, str]) -> Iterator[Part]:
    name = strings(call.funcname)[-1]
    if name == "format" and len(call.args):
        template = constant_of(call.args[0], known)
        yield from _formatted(template, list(call.args[1:]), known) if template is not None else (Hole.ANYTHING,)
    elif name == "quote_ident":
        yield Hole.NAME
    elif name in ("quote_literal", "quote_nullable"):
        yield Hole.TEXT
    elif name == "concat":
        for item in call.args:
            yield from _parts(item, known)
    elif name == "concat_ws" and len(call.args):
        yield from _joined(call.args[0], list(call.args[1:]), known)
    elif name == "array_to_string" and len(call.args) > 1 and name_of(call.args[0]) == "a_array_expr":
        yield from _joined(call.args[1], list(call.args[0].a_array_expr.elements), known)
    elif name in _TEXTS and len(call.args):
        yield from _parts(call.args[0], known)
        yield Hole.ANYTHING
    else:
        yield Hole.ANYTHING


def _joined(separator: Node, items: list[Node], known: Mapping[str, str]) -> Iterator[Part]:
    for number, item in enumerate(items):
        if number:
            yield from _parts(separator, known)
        yield from _parts(item, known)


def _formatted(template: str, values: list[Node], known: Mapping[str, str]) -> Iterator[Part]:
    end, following = 0, 0
    for match in PLACE.finditer(template):
        yield template[end : match.start()]
        kind, number, end = match["kind"], match["number"], match.end()
        if kind == "%":
            yield "%"
            continue
        following = int(number) if number else following + 1
        if kind in ("I", "L"):
            yield Hole.NAME if kind == "I" else Hole.TEXT
        elif kind == "s" and 1 <= following <= len(values):
            yield from _parts(values[following - 1], known)
        else:
            yield Hole.ANYTHING
    yield template[end:]
