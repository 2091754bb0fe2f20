"""Cuts SQL text into statements as psql would, and finds what is psql's and not SQL.

PostgreSQL's own parser stops at the first error and knows neither meta-commands nor inline COPY data. This follows
psql's psqlscan.l, so after an error the rest of the file is still looked at.
"""

from __future__ import annotations

import functools
import re
from dataclasses import field

from migrator.frozen import frozen
from migrator.parsing import psql
from migrator.parsing.measures import MAX_NESTING, Measures, measure
from migrator.parsing.skim import skim
from migrator.parsing.tokens import Token, fold, tokens

MAX_STATEMENTS = 20_000
"""Statements (and psql commands) of one file that are looked at. People write hundreds; more are data, and would take
minutes and gigabytes to analyse one by one."""

_COPY_END = re.compile(r"^\\\.[ \t]*\r?$", re.MULTILINE)
_COMMAND = re.compile(r"\\(?:[A-Za-z_]+\+?|[!?.;]|\S)?")


@frozen
class Segment:
    """One statement's text: from its first to its last token, without the semicolon. Offsets in characters."""

    start: int
    end: int
    semicolon: int | None
    sql: str = field(repr=False)
    copy_data: bool = False
    """COPY ... FROM STDIN that is followed by inline data up to a line with `\\.`."""
    cut_by: str | None = None
    """The psql meta-command that ended it (as in `SELECT ... \\gexec`)."""

    @functools.cached_property
    def measures(self) -> Measures:
        return measure(self.sql)

    @property
    def nesting(self) -> int:
        return self.measures.nesting

    @property
    def fingerprint(self) -> str:
        return self.measures.fingerprint

    @property
    def words(self) -> tuple[str, ...]:
        return self.measures.words


@frozen
class Issue:
    """Something that is not SQL, with what to write instead."""

    kind: str
    offset: int
    message: str
    hint: str


@frozen
class Scan:
    segments: tuple[Segment, ...]
    issues: tuple[Issue, ...]
    rest: int | None = None
    """Where reading stopped, after MAX_STATEMENTS; None: at the end."""


def scan(text: str, *, skimming: bool = True) -> Scan:
    """Statements and what is not SQL, in the order of the file. Never raises.

    `skimming` False reads every token; the result is the same.
    """
    return _Scanner(text, skimming).run()


class _Scanner:
    def __init__(self, text: str, skimming: bool) -> None:
        self.text = text
        self.skimming = skimming
        self.segments: list[Segment] = []
        self.issues: list[Issue] = []
        self.copy_ends = True
        """Whether there may be another line that ends COPY data."""
        self._reset()

    def _reset(self) -> None:
        self.words: list[str] = []
        """The words that it begins with."""
        self.heading = True
        self.start = self.end = -1
        self.parens = 0
        self.begins = 0
        self.last_word = ""
        self.from_stdin = False

    def run(self) -> Scan:
        position = 0
        while 0 <= position < len(self.text):
            if len(self.segments) + len(self.issues) >= MAX_STATEMENTS:
                return self._stopped(position)
            skimmed = skim(self.text, position) if self.skimming and self.start < 0 else None
            if skimmed is None:
                position = self._read_from(position)
                continue
            self.start, self.end = skimmed.start, skimmed.end
            self._finish(skimmed.semicolon)
            position = -1 if skimmed.semicolon is None else skimmed.semicolon + 1
        self._finish(None)
        return Scan(tuple(self.segments), tuple(self.issues))

    def _stopped(self, position: int) -> Scan:
        self._finish(None)
        message = f"the file has more than {MAX_STATEMENTS:,} statements; from here on they were not analysed"
        hint = "a migration is reviewed as text: load bulk data outside of it, or split it into several migrations"
        self.issues.append(Issue("too_many", position, message, hint))
        return Scan(tuple(self.segments), tuple(self.issues), position)

    def _read_from(self, position: int) -> int:
        """Reads one statement by its tokens; gives the place to go on from, or -1 at the end."""
        for token in tokens(self.text, position):
            if not token.closed:
                self._unclosed(token)
            if token.kind in ("space", "comment"):
                continue
            if token.kind == "semicolon" and self._ends_statement():
                resume = self._copy_data_end(token.end) if self.from_stdin else None
                self._finish(token.start, copy_data=resume is not None)
                return token.end if resume is None else resume
            if token.kind == "backslash":
                return self._meta_command(token)
            self._take(token)
        return -1

    def _take(self, token: Token) -> None:
        if self.start < 0:
            self.start = token.start
        self.end = token.end
        if token.kind == "word":
            self._word(fold(token.text))
            return
        self.heading = False
        self.last_word = ""
        if token.kind == "left":
            self.parens += 1
        elif token.kind == "right":
            self.parens = max(0, self.parens - 1)

    def _word(self, word: str) -> None:
        if self.heading and len(self.words) < 4:
            self.words.append(word)
        if self.parens == 0 and self._is_routine():
            if word == "begin" or (word == "case" and self.begins):
                self.begins += 1
            elif word == "end" and self.begins:
                self.begins -= 1
        if word == "stdin" and self.last_word == "from" and self.words[:1] == ["copy"]:
            self.from_stdin = True
        self.last_word = word

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
            sql = self.text[self.start : self.end]
            self.segments.append(Segment(self.start, self.end, semicolon, sql, copy_data, cut_by))
        self._reset()

    def _copy_data_end(self, after: int) -> int | None:
        """Where SQL goes on after inline COPY data; None when no line with `\\.` follows: then there is no data."""
        match = _COPY_END.search(self.text, after) if self.copy_ends else None
        self.copy_ends = match is not None
        return match.end() if match else None

    def _meta_command(self, token: Token) -> int:
        line_end = self.text.find("\n", token.start)
        line_end = len(self.text) if line_end < 0 else line_end
        match = _COMMAND.match(self.text, token.start, line_end)
        name = match.group() if match else "\\"
        advice = psql.advice(name, self.text[token.start + len(name) : line_end].strip())
        self.issues.append(Issue("meta_command", token.start, f"{name} is a psql command, not SQL", advice))
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


__all__ = ["MAX_NESTING", "MAX_STATEMENTS", "Issue", "Scan", "Segment", "Token", "fold", "scan", "tokens"]
