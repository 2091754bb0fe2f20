"""Names that PostgreSQL shortens without an error."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.names import MAX_BYTES
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity

_TOKENS = re.compile(
    r"""--[^\n]*|/\*.*?\*/
    |(?P<tag>\$(?:[^\W\d]\w*)?\$).*?(?P=tag)
    |[eE]'[^'\\]*(?:(?:\\.|'')[^'\\]*)*'|'[^']*(?:''[^']*)*'
    |"(?P<quoted>[^"]*(?:""[^"]*)*)"|(?P<plain>[^\W\d][\w$]*)""",
    re.VERBOSE | re.DOTALL,
)
"""The parse tree has the name that is left, so the text must be asked."""
_LONG = re.compile(r'[\w$]{64}|"[^"]{64}')
"""Quick to see that there is none."""


def check(subject: Subject) -> Iterator[Hit]:
    sql = subject.statement.sql
    if sql.isascii() and not _LONG.search(sql):
        return
    for match in _TOKENS.finditer(sql):
        name = match["plain"] or (match["quoted"] or "").replace('""', '"')
        raw = name.encode()
        if len(raw) > MAX_BYTES:
            kept = raw[:MAX_BYTES].decode(errors="ignore")
            yield Hit(f"{name} has {len(raw)} bytes; PostgreSQL cuts it to {kept}, with a notice that nobody reads")


RULE = Rule(
    id="identifier-too-long",
    severity=Severity.INFO,
    condition="a name of more than 63 bytes",
    effect="it is cut to 63 bytes; two long names may become one, and tools that look for the whole name find nothing",
    alternative="write a shorter name",
    source=DOCS + "sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS",
    aliases=("squawk:identifier-too-long",),
    statement=check,
    in_rollback=True,
)
