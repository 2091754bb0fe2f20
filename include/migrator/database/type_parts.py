"""What types are made of, for queries about what is inside the columns of a table."""

from __future__ import annotations

from migrator.database import queries

_HEAD = "WITH RECURSIVE "


def with_parts(query: str) -> str:
    """A query that begins with WITH RECURSIVE and reads `parts (whole, part)`, with that before its own."""
    parts = queries.load(__package__, "type_parts")["parts"]
    return f"{_HEAD}parts (whole, part) AS ({parts}), {query[len(_HEAD) :]}"
