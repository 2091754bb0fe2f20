"""What the tokens of one statement say about it before it is parsed: how deep it nests, and its fingerprint."""

from __future__ import annotations

import hashlib

from migrator.frozen import frozen
from migrator.parsing.tokens import Token, fold, tokens

MAX_NESTING = 1500
"""Operators inside one expression. libpg_query recurses over its tree and a few thousand levels overflow the C stack
(measured: 20,000 terms are fine to parse, 5,000 crash its deparser); people write less than a hundred."""

_NESTING_WORDS = frozenset(
    [
        "not",
        "is",
        "collate",
        "in",
        "between",
        "like",
        "ilike",
        "similar",
        "case",
        "select",
        "with",
        "isnull",
        "notnull",
        "at",
    ]
)
_CHAIN_WORDS = frozenset(["union", "intersect", "except", "join"])
_FLAT_WORDS = frozenset(["and", "or", "when", "then", "else"])
WORDS = 6


@frozen
class Measures:
    nesting: int
    fingerprint: str
    """SHA-256 over the tokens, unquoted words in lower case: equal for statements that differ in layout only, or in
    CRLF for LF."""
    words: tuple[str, ...]
    """The first unquoted words in lower case, to name a statement that does not parse."""


def measure(sql: str) -> Measures:
    """Of the text of one statement."""
    nesting = _Nesting()
    parts: list[str] = []
    words: list[str] = []
    for token in tokens(sql):
        if token.kind in ("space", "comment"):
            continue
        if token.kind == "word":
            word = fold(token.text)
            parts.append(word)
            if len(words) < WORDS:
                words.append(word)
            nesting.word(word)
        else:
            parts.append(token.text.replace("\r\n", "\n"))
            nesting.other(token)
    return Measures(nesting.deepest, hashlib.sha256("\n".join(parts).encode()).hexdigest(), tuple(words))


class _Nesting:
    """Counts an upper bound of the depth of the parse tree."""

    def __init__(self) -> None:
        self.deepest = 0
        self._costs = [0]
        self._cost = 0
        self._chain = 0

    def word(self, word: str) -> None:
        if word in _NESTING_WORDS:
            self._deeper()
        elif word in _FLAT_WORDS:
            self._next_operand()
        elif word in _CHAIN_WORDS:
            self._chain += 1
            self.deepest = max(self.deepest, self._chain)

    def other(self, token: Token) -> None:
        if token.kind == "left":
            self._deeper()
            self._costs.append(0)
        elif token.kind == "right":
            if len(self._costs) > 1:
                self._cost -= self._costs.pop() + 1
                self._costs[-1] -= 1
        elif token.kind == "comma":
            self._next_operand()
        elif token.kind == "operator":
            self._deeper()

    def _deeper(self) -> None:
        self._costs[-1] += 1
        self._cost += 1
        self.deepest = max(self.deepest, self._cost)

    def _next_operand(self) -> None:
        """What a list, AND or OR separates lies side by side in the tree, so its nesting does not add up."""
        self._cost -= self._costs[-1]
        self._costs[-1] = 0
