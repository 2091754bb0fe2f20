"""What is named in the constants of a statement: sequences, schemas, large objects."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrator.parsing.nodes import Node, name_of, strings

_PART = re.compile(r'"((?:[^"]|"")*)"|([^".\s]+)')

Name = tuple[str | None, str]
"""Schema and name."""


def sequences_of(call: Node) -> Iterator[Name]:
    """The sequence that nextval('s') and its like are called with, when it is written out."""
    text = constant_text(call.args[0]) if len(call.args) else None
    if text:
        parts = _parts_of(text)
        if parts:
            yield (parts[-2] if len(parts) > 1 else None, parts[-1])


def path_set_by(call: Node) -> tuple[str, ...] | None:
    """The schemas that set_config('search_path', ...) is called with; None: it is another function, another setting, or
    its values are not written out."""
    if strings(call.funcname)[-1:] != ("set_config",) or len(call.args) != 3:
        return None
    setting, value = (constant_text(item) for item in call.args[:2])
    if value is None or setting is None or setting.lower() != "search_path":
        return None
    parts = (_parts_of(text) for text in value.split(","))
    return tuple(part[0] for part in parts if part and part[0] != "$user")


def _parts_of(text: str) -> list[str]:
    return [quoted.replace('""', '"') if quoted else plain.lower() for quoted, plain in _PART.findall(text)]


def constant_text(node: Node) -> str | None:
    """'s' and 's'::regclass."""
    while name_of(node) == "type_cast":
        node = node.type_cast.arg
    if name_of(node) == "a_const" and node.a_const.HasField("sval"):
        return str(node.a_const.sval.sval)
    return None


def large_object(node: Node) -> str:
    """The number of a large object; "" when it is not written out."""
    kind = name_of(node)
    if kind == "integer":
        return str(node.integer.ival)
    return str(node.float.fval) if kind == "float" and node.float.fval.isdigit() else ""
