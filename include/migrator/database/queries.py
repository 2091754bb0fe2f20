"""SQL text of the engine: one file per topic, beside the code that sends it; one block per query.

A block begins with `-- name: query_name`; comment lines right under it say why. Keeping SQL in files lets sqlfluff
lint it and keeps quoting mistakes out of Python.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType

_NAME = re.compile(r"^-- name: (?P<name>[a-z][a-z0-9_]*)[ \t]*$", re.MULTILINE)


class Query(str):
    """Its text. An error tells which one it was."""

    label: str

    @classmethod
    def of(cls, text: str, label: str) -> Query:
        query = cls(text)
        query.label = label
        return query


@functools.cache
def load(room: str, name: str) -> Mapping[str, str]:
    """The queries of `<name>.sql`, by query name, without the introducing comments.

    :param room: the package that the file lies in, beside the code that sends it: `__package__` there.

    :raises ValueError: when the file has no block, a block twice, an empty block, or text before the first one.
    """
    texts = parse((resources.files(room) / f"{name}.sql").read_text(encoding="utf-8"), file=name)
    return MappingProxyType({key: Query.of(text, f"{name}.{key}") for key, text in texts.items()})


def parse(text: str, *, file: str) -> dict[str, str]:
    """Split a file into its blocks. Only `load` and tests call this."""
    pieces = _NAME.split(text)
    if any(line.strip() and not line.startswith("--") for line in pieces[0].splitlines()):
        raise ValueError(f"sql file {file!r}: text before the first '-- name:' line")
    queries: dict[str, str] = {}
    for name, body in zip(pieces[1::2], pieces[2::2], strict=True):
        if name in queries:
            raise ValueError(f"sql file {file!r}: query {name!r} appears twice")
        queries[name] = _without_introduction(body)
        if not queries[name]:
            raise ValueError(f"sql file {file!r}: query {name!r} is empty")
    if not queries:
        raise ValueError(f"sql file {file!r}: no '-- name:' line")
    return queries


def _without_introduction(body: str) -> str:
    lines = body.strip().splitlines()
    while lines and lines[0].startswith("--"):
        lines.pop(0)
    return "\n".join(lines).strip()
