"""Whether ALTER ... TYPE keeps every value as it is, or fails. Pure.

PostgreSQL cuts off and rounds without a word: a number to fewer places, a moment to its day, whatever USING says. What
is not known to keep a value may lose it.
"""

from __future__ import annotations

from typing import Protocol

from migrator.parsing.nodes import Node, copy_of, name_of, strings, walk

INTEGERS = ("smallint", "integer", "bigint")
TEXTS = ("text", "character varying")
"""What is too long for one is refused, but for blanks at its end."""
WITH_PLACES = (
    "time without time zone",
    "time with time zone",
    "timestamp without time zone",
    "timestamp with time zone",
)
KEEPING = {
    ("smallint", "real"),
    ("smallint", "double precision"),
    ("integer", "double precision"),
    ("real", "double precision"),
    ("date", "timestamp without time zone"),
    ("jsonb", "json"),
    ("cidr", "inet"),
    ("bit", "bit varying"),
}


class Typed(Protocol):
    @property
    def type(self) -> str: ...
    @property
    def modifier(self) -> int: ...


def keeps(old: Typed, new: Typed, command: Node) -> bool:
    """:param command: ALTER COLUMN TYPE of a parse tree."""
    definition = getattr(command, "def").column_def
    using = definition.raw_default
    if not name_of(using):
        return _assigned(old, new)
    while name_of(using) == "type_cast":  # a cast that is written cuts what the other way is refused
        cast = using.type_cast
        if _plain(cast.type_name) != _plain(definition.type_name) or new.modifier >= 0:
            return False
        using = cast.arg
    return (
        name_of(using) == "column_ref"
        and strings(using.column_ref.fields)[-1:] == (command.name,)
        and _assigned(old, new)
    )


def _assigned(old: Typed, new: Typed) -> bool:
    if (old.type, old.modifier) == (new.type, new.modifier) or new.type in TEXTS:
        return True
    if new.type == "numeric":
        places = _places(new.modifier)
        if old.type in INTEGERS:
            return places is None or places >= 0
        known = _places(old.modifier)
        return old.type == "numeric" and (places is None or (known is not None and known <= places))
    if old.type in INTEGERS and new.type in INTEGERS:
        return True
    if old.type == new.type and new.type in WITH_PLACES:
        return new.modifier < 0 or 0 <= old.modifier <= new.modifier
    return (old.type, new.type) in KEEPING and new.modifier < 0


def _places(modifier: int) -> int | None:
    """Of a number, after the point; since PostgreSQL 15 it may be negative. None: as many as it has."""
    return None if modifier < 4 else ((((modifier - 4) & 0x7FF) ^ 0x400) - 0x400)


def _plain(type_name: Node) -> bytes:
    """Wherever it is written."""
    found = copy_of(type_name)
    for part in walk(found):
        if "location" in part.DESCRIPTOR.fields_by_name:
            part.location = 0
    return bytes(found.SerializeToString())
