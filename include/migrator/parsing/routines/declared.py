"""The types that a PL/pgSQL body gives its variables, as they are written there: libpg_query tells only some of them.

https://www.postgresql.org/docs/current/plpgsql-declarations.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrator.parsing import lexer
from migrator.parsing.tokens import Token

_ENDS = frozenset({"collate", "not", "default"})
_COPIED = re.compile(r"(?P<name>.+?)\s*%\s*(?P<what>rowtype|type)\b.*", re.IGNORECASE | re.DOTALL)


def declared(body: str) -> Iterator[str]:
    """ "mood", "public.mood[]", "users%ROWTYPE", "users.email%TYPE", with one for each variable."""
    section = False
    words: list[Token] = []
    for token in lexer.tokens(body):
        first = token.text.lower() if not words and token.kind == "word" else ""
        if first in ("declare", "begin"):
            section = first == "declare"
        elif section and token.kind == "semicolon":
            yield from _type(body, words)
            words = []
        elif section and token.kind not in ("comment", "space"):
            words.append(token)


def table_of(written: str) -> str | None:
    """The name of the table or type that a %ROWTYPE or a %TYPE copies from; None: of neither, or of a variable."""
    match = _COPIED.fullmatch(written)
    if match is None:
        return None
    name = match["name"]
    if match["what"].lower() == "rowtype":
        return name
    table, dot, _ = name.rpartition(".")
    return table if dot else None


def _type(body: str, words: list[Token]) -> Iterator[str]:
    """Of `name [CONSTANT] type [COLLATE ...] [NOT NULL] [{DEFAULT | := | =} ...]`, not of an alias or a cursor."""
    rest = words[1:]
    if rest and rest[0].text.lower() == "constant":
        rest = rest[1:]
    end = next((at for at, token in enumerate(rest) if _ends(token)), len(rest))
    said = [token.text.lower() for token in rest[:2]]
    if end and said[0] not in ("alias", "cursor", "scroll") and said != ["no", "scroll"]:
        yield body[rest[0].start : rest[end - 1].end]


def _ends(token: Token) -> bool:
    return token.text.lower() in _ENDS or token.text == ":" or (token.kind == "operator" and token.text[0] == "=")
