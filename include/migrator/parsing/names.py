"""The names in a file's text, as they are written: also those in the bodies of functions and DO blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrator.parsing import lexer
from migrator.parsing.lexer import Token

_ESCAPE = re.compile(r"\\(?:\+([0-9A-Fa-f]{6})|([0-9A-Fa-f]{4}))")
_DOLLAR = re.compile(r"\$[^$]*\$")


def names(text: str) -> Iterator[Token]:
    """Words and quoted names, key words among them; `text` is the name itself, `start` where it begins in the file.

    Those of a body that is quoted with '...' are left out: their places in the file are not known.
    """
    for token in lexer.tokens(text):
        if token.kind == "word":
            yield token
        elif token.kind == "quoted" and token.closed:
            start = token.text.index('"') + 1
            name = token.text[start:-1]
            if token.text[:1] in "uU":
                name = _ESCAPE.sub(lambda match: chr(int(match[1] or match[2], 16)), name)
            yield Token("quoted", name, token.start + start, token.end - 1)
        elif token.kind == "string" and token.closed and token.text.startswith("$"):
            tag = _DOLLAR.match(token.text)
            opened = tag.end() if tag is not None else 0
            for inner in names(token.text[opened:-opened]):
                shift = token.start + opened
                yield Token(inner.kind, inner.text, inner.start + shift, inner.end + shift)
