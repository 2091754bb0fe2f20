"""Cuts SQL text into statements as psql would, and finds what is psql's and not SQL.

PostgreSQL's own parser stops at the first error and knows neither meta-commands nor inline COPY data. This lexer
follows PostgreSQL's scan.l and psql's psqlscan.l (with standard_conforming_strings on, the only setting since 9.1
that a migration session uses), so after an error the rest of the file is still looked at.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_NESTING = 1500
"""Operators inside one expression. libpg_query recurses over its tree and a few thousand levels overflow the C stack
(measured: 20,000 terms are fine to parse, 5,000 crash its deparser); people write less than a hundred."""

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\n\r\f\v]+)
  | (?P<comment>--[^\n\r]*)
  | (?P<block>/\*)
  | (?P<string>(?:[bBxXnN]|[uU]&)?'[^']*(?:''[^']*)*'
             | [eE]'[^'\\]*(?:(?:\\.|'')[^'\\]*)*')
  | (?P<quoted>(?:[uU]&)?"[^"]*(?:""[^"]*)*")
  | (?P<open>(?:[bBxXnNeE]|[uU]&)?'|(?:[uU]&)?")
  | (?P<dollar>\$(?:[A-Za-z_\x80-\U0010FFFF][A-Za-z0-9_\x80-\U0010FFFF]*)?\$)
  | (?P<word>[A-Za-z_\x80-\U0010FFFF][A-Za-z0-9_$\x80-\U0010FFFF]*)
  | (?P<number>0[xX][0-9A-Fa-f_]+|0[oO][0-7_]+|0[bB][01_]+
             |(?:[0-9][0-9_]*(?:\.(?!\.)[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?|\$[0-9]+)
  | (?P<semicolon>;)
  | (?P<left>[(\[])
  | (?P<right>[)\]])
  | (?P<comma>,)
  | (?P<backslash>\\)
  | (?P<operator>(?:(?!--|/\*)[-+*/<>=~!@\#%^&|`?])+|::)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK_EDGE = re.compile(r"/\*|\*/")
_COPY_END = re.compile(r"^\\\.[ \t]*\r?$", re.MULTILINE)
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
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


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    start: int
    end: int
    closed: bool = True
    """False for a quote or comment that runs into the end of the file."""


@dataclass(frozen=True)
class Segment:
    """One statement's text: from its first to its last token, without the semicolon. Offsets in characters."""

    start: int
    end: int
    semicolon: int | None
    nesting: int
    fingerprint: str
    """SHA-256 over the tokens, unquoted words in lower case: equal for statements that differ in layout only."""
    copy_data: bool = False
    """COPY ... FROM STDIN that is followed by inline data up to a line with `\\.`."""
    cut_by: str | None = None
    """The psql meta-command that ended it (as in `SELECT ... \\gexec`)."""
    words: tuple[str, ...] = ()
    """The first unquoted words in lower case, to name a statement that does not parse."""


@dataclass(frozen=True)
class Issue:
    """Something that is not SQL, with what to write instead."""

    kind: str
    offset: int
    message: str
    hint: str


@dataclass(frozen=True)
class Scan:
    segments: tuple[Segment, ...]
    issues: tuple[Issue, ...]


def fold(word: str) -> str:
    """An unquoted identifier as PostgreSQL stores it: ASCII letters in lower case, others untouched."""
    return word.translate(_LOWER)


def tokens(text: str, start: int = 0) -> Iterator[Token]:
    """All tokens from `start`, white space and comments included; together they cover the text exactly."""
    position, size = start, len(text)
    while position < size:
        match = _TOKEN.match(text, position)
        if match is None:  # not reachable: `other` takes any character
            raise AssertionError(position)
        kind, end, closed = str(match.lastgroup), match.end(), True
        if kind == "block":
            end, closed = _block_end(text, end)
            kind = "comment"
        elif kind == "dollar":
            close = text.find(match.group(), end)
            closed = close >= 0
            end = close + len(match.group()) if closed else size
            kind = "string"
        elif kind == "open":
            kind, end, closed = ("quoted" if match.group().endswith('"') else "string"), size, False
        yield Token(kind, text[position:end], position, end, closed)
        position = end


def scan(text: str) -> Scan:
    """Statements and what is not SQL, in the order of the file. Never raises."""
    return _Scanner(text).run()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.segments: list[Segment] = []
        self.issues: list[Issue] = []
        self._reset()

    def _reset(self) -> None:
        self.parts: list[str] = []
        self.words: list[str] = []
        self.start = self.end = -1
        self.parens = 0
        self.begins = 0
        self.last_word = ""
        self.from_stdin = False
        self.costs = [0]
        self.cost = self.nesting = self.chain = 0

    def run(self) -> Scan:
        position = 0
        while position >= 0:
            position = self._read_from(position)
        self._finish(None)
        return Scan(tuple(self.segments), tuple(self.issues))

    def _read_from(self, position: int) -> int:
        """Reads tokens until the text has to be read differently; gives the place to go on from, or -1 at the end."""
        for token in tokens(self.text, position):
            if not token.closed:
                self._unclosed(token)
            if token.kind in ("space", "comment"):
                continue
            if token.kind == "semicolon" and self._ends_statement():
                is_copy = self.from_stdin
                resume = self._copy_data_end(token.end) if is_copy else None
                self._finish(token.start, copy_data=resume is not None)
                if resume is not None:
                    return resume
                continue
            if token.kind == "backslash":
                return self._meta_command(token)
            self._take(token)
        return -1

    def _take(self, token: Token) -> None:
        if self.start < 0:
            self.start = token.start
        self.end = token.end
        if token.kind == "word":
            word = fold(token.text)
            self.parts.append(word)
            self._word(word)
            return
        self.parts.append(token.text)
        self.last_word = ""
        if token.kind == "left":
            self.parens += 1
            self._deeper(1)
            self.costs.append(0)
        elif token.kind == "right":
            self.parens = max(0, self.parens - 1)
            if len(self.costs) > 1:
                self.cost -= self.costs.pop() + 1
                self.costs[-1] -= 1
        elif token.kind == "comma":
            self._next_operand()
        elif token.kind == "operator":
            self._deeper(1)

    def _word(self, word: str) -> None:
        if len(self.words) < 6:
            self.words.append(word)
        if word in _NESTING_WORDS:
            self._deeper(1)
        elif word in _FLAT_WORDS:
            self._next_operand()
        elif word in _CHAIN_WORDS:
            self.chain += 1
            self.nesting = max(self.nesting, self.chain)
        if self.parens == 0 and self._is_routine():
            if word == "begin" or (word == "case" and self.begins):
                self.begins += 1
            elif word == "end" and self.begins:
                self.begins -= 1
        if word == "stdin" and self.last_word == "from" and self.words[0] == "copy":
            self.from_stdin = True
        self.last_word = word

    def _deeper(self, by: int) -> None:
        self.costs[-1] += by
        self.cost += by
        self.nesting = max(self.nesting, self.cost)

    def _next_operand(self) -> None:
        """What a list, AND or OR separates lies side by side in the tree, so its nesting does not add up."""
        self.cost -= self.costs[-1]
        self.costs[-1] = 0

    def _is_routine(self) -> bool:
        """CREATE [OR REPLACE] FUNCTION or PROCEDURE, whose SQL-standard body (BEGIN ATOMIC ... END) has semicolons."""
        kinds = ("function", "procedure")
        return self.words[:1] == ["create"] and (
            self.words[1:2] in ([kinds[0]], [kinds[1]])
            or (self.words[1:3] == ["or", "replace"] and self.words[3:4] in ([kinds[0]], [kinds[1]]))
        )

    def _ends_statement(self) -> bool:
        if self.begins:
            return False
        rule = self.words[:2] == ["create", "rule"] or self.words[:4] == ["create", "or", "replace", "rule"]
        return not (rule and self.parens)

    def _finish(self, semicolon: int | None, *, copy_data: bool = False, cut_by: str | None = None) -> None:
        if self.start >= 0:
            self.segments.append(
                Segment(
                    self.start,
                    self.end,
                    semicolon,
                    self.nesting,
                    hashlib.sha256("\n".join(self.parts).encode()).hexdigest(),
                    copy_data,
                    cut_by,
                    tuple(self.words),
                )
            )
        self._reset()

    def _copy_data_end(self, after: int) -> int | None:
        """Where SQL goes on after inline COPY data; None when no line with `\\.` follows: then there is no data."""
        match = _COPY_END.search(self.text, after)
        return match.end() if match else None

    def _meta_command(self, token: Token) -> int:
        line_end = self.text.find("\n", token.start)
        line_end = len(self.text) if line_end < 0 else line_end
        rest = self.text[token.start : line_end]
        match = re.match(r"\\(?:[A-Za-z_]+\+?|[!?.;]|\S)?", rest)
        name = match.group() if match else "\\"
        self.issues.append(Issue("meta_command", token.start, f"{name} is a psql command, not SQL", _advice(name)))
        if self.start >= 0:
            self._finish(None, cut_by=name)
        return line_end if line_end < len(self.text) else -1

    def _unclosed(self, token: Token) -> None:
        what = {"comment": "comment /*", "quoted": 'quoted identifier "', "string": "quoted string '"}[token.kind]
        if token.kind == "string" and token.text.startswith("$"):
            tag = token.text[: token.text.index("$", 1) + 1]
            what = f"dollar quote {tag}"
        self.issues.append(
            Issue(
                "unclosed",
                token.start,
                f"the {what} that opens here is never closed",
                "close it; everything after it in this file was not analysed",
            )
        )


def _block_end(text: str, position: int) -> tuple[int, bool]:
    """End of a block comment whose opening was read; they nest, as in scan.l."""
    depth = 1
    for match in _BLOCK_EDGE.finditer(text, position):
        depth += 1 if match.group() == "/*" else -1
        if depth == 0:
            return match.end(), True
    return len(text), False


def _advice(name: str) -> str:
    """What to write instead of a psql meta-command."""
    for names, advice in _ADVICE:
        if name.rstrip("+") in names:
            return advice
    return "remove it: the migration is sent to the server as SQL, psql never reads it"


_ADVICE: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("\\i", "\\ir", "\\include", "\\include_relative"),
        "put the statements of that file here, or name it as a step of its own under `steps`",
    ),
    (
        ("\\set", "\\unset", "\\gset", "\\prompt", "\\getenv", "\\bind"),
        "write the value itself: psql variables do not exist here",
    ),
    (
        ("\\if", "\\elif", "\\else", "\\endif"),
        "write one migration for each case, or test inside a DO block: DO $$ BEGIN IF ... THEN ... END IF; END $$",
    ),
    (
        ("\\gexec",),
        "write out what it would generate, or use a DO block with FOR ... LOOP EXECUTE format(...); END LOOP",
    ),
    (("\\g", "\\gx", "\\watch", "\\crosstabview", "\\gdesc", "\\;"), "end the statement with a semicolon"),
    (("\\copy",), "use INSERT ... VALUES for a few rows; load bulk data outside the migration"),
    (("\\connect", "\\c"), "remove it: the target decides which database and role a migration uses"),
    (("\\.",), "this ends inline COPY data, but no COPY ... FROM STDIN stands before it; remove it"),
)
