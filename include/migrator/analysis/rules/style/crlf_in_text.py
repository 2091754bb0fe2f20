"""Line ends of Windows inside of literals: there they are no layout, but part of the value."""

from __future__ import annotations

from collections.abc import Iterator

from migrator import wording
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.script import Script
from migrator.parsing.tokens import tokens
from migrator.plan import Severity


def check(script: Script) -> Iterator[Hit]:
    text, lines = script.parsed.text, script.parsed.lines
    if "\r" not in text:
        return
    found = [token for token in tokens(text) if token.kind in ("string", "quoted") and "\r" in token.text]
    if not found:
        return
    line, column = lines.place(found[0].start)
    ending, _ = lines.place(found[0].start + found[0].text.index("\r"))
    more = f", and {wording.count(len(found) - 1, 'text')} after it" if found[1:] else ""
    yield Hit(
        f"the text that begins here has a carriage return in line {ending}{more}: it is stored as it stands",
        place=(line, column),
    )


RULE = Rule(
    id="crlf-in-text",
    severity=Severity.WARNING,
    condition="a literal, a body in dollar quotes or a quoted name with a carriage return in it, as in a file whose"
    " lines end with CR LF",
    effect="the server takes it as part of the value: another checkout of the same file, with LF, stores something"
    " else, a condition on such a value finds no row, and the source of a function differs from everybody else's",
    alternative="save the file with LF line ends (git: `*.sql text eol=lf` in .gitattributes); where a carriage return"
    " is meant, write E'\\r\\n'",
    without_sql="always: it is the file's line ends that are to be changed",
    source=DOCS + "sql-syntax-lexical.html#SQL-SYNTAX-STRINGS-ESCAPE",
    script=check,
    in_rollback=True,
)
