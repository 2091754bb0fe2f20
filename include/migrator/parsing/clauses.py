"""Where the clauses of a statement begin in its text: the tree has places of what they consist of only."""

from __future__ import annotations

from collections.abc import Sequence

from migrator.parsing.nodes import Node, walk
from migrator.parsing.tokens import Token, fold, tokens


def outer_words(text: str) -> list[Token]:
    """Those that stand in no parentheses."""
    depth, found = 0, []
    for token in tokens(text):
        depth += (token.kind == "left") - (token.kind == "right")
        if depth == 0 and token.kind == "word":
            found.append(token)
    return found


def before(words: list[Token], word: str, parts: Sequence[Node], text: str) -> Token:
    """The word that introduces these parts of the tree: the last one like it in front of all that they consist of. What
    else is called so stands earlier, as a column of SET, or later."""
    places = [getattr(node, "location", 0) for part in parts for node in walk(part)]
    written = text.encode()
    first = len(written[: min((place for place in places if place > 0), default=len(written))].decode())
    return next(token for token in reversed(words) if token.start < first and fold(token.text) == fold(word))
