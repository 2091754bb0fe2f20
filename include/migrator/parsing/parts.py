"""Where the parts of a statement stand: the subcommands of ALTER TABLE, the columns and constraints of CREATE TABLE.

The parse tree tells where most of them begin, but not all, and of none where it ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from migrator.parsing.tokens import Token, fold, tokens

_KINDS = frozenset(["table", "index", "view", "materialized", "sequence", "foreign", "type"])


def parts_of(sql: str, name: str) -> tuple[tuple[int, int], ...]:
    """Start and end, in characters, in the order in which they are written. `name`: the parse tree's of the statement;
    of others than these two there are none."""
    read = [token for token in tokens(sql) if token.kind not in ("space", "comment")]
    if name == "alter_table_stmt":
        return tuple(_split(read[_after_name(read) :]))
    if name == "create_stmt":
        first = next((place for place, token in enumerate(read) if token.text == "("), len(read))
        return tuple(_split(read[first + 1 :]))
    return ()


def _after_name(read: Sequence[Token]) -> int:
    """ALTER TABLE IF EXISTS ONLY schema.name *"""
    place = 1
    while place < len(read) and fold(read[place].text) in _KINDS:
        place += 1
    if _is(read, place, "if") and _is(read, place + 1, "exists"):
        place += 2
    if _is(read, place, "only"):
        place += 1
    place += 1
    while _is(read, place, "."):
        place += 2
    return place + 1 if _is(read, place, "*") else place


def _is(read: Sequence[Token], place: int, text: str) -> bool:
    return place < len(read) and fold(read[place].text) == text


def _split(read: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """At the commas outside of all brackets, up to the bracket that closes the list."""
    depth, start, end = 0, -1, -1
    for token in read:
        if token.kind == "right" and depth == 0:
            break
        if token.kind == "comma" and depth == 0:
            yield start, end
            start = -1
            continue
        depth += {"left": 1, "right": -1}.get(token.kind, 0)
        start = token.start if start < 0 else start
        end = token.end
    if start >= 0:
        yield start, end
