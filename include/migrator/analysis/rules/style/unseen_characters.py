"""Characters in names that nobody sees, or that look like others; and those that reorder what a reviewer reads."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.script import Script
from migrator.parsing.names import names
from migrator.parsing.unseen import BIDI, called, is_unseen, visible
from migrator.plan import Severity

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_LOOK_LATIN = frozenset(
    "\u0430\u0441\u0435\u043e\u0440\u0445\u0443\u0456\u0458\u0455\u04bb\u0501\u051b\u051d"
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0423\u0406\u0408\u0405"
    "\u03bf\u03bd\u03b1\u03b9\u03c1\u03c5"
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7"
)
"""Of Cyrillic and Greek; https://www.unicode.org/reports/tr39/ has more of them."""
_MARKS = frozenset("\u2032\u2033\u02bc\u02b9\u00b4\uff07\uff02")
"""Look like quotes, and are none."""


def check(script: Script) -> Iterator[Hit]:
    """Once a name, at the character itself."""
    text = script.parsed.text
    if text.isascii() and not _may_hide(text):
        return
    told: set[str] = set()
    for token in names(text):
        plain = token.text.isascii() and token.text.isprintable()
        found = None if plain or token.text in told else _odd(token.text)
        if found is not None:
            told.add(token.text)
            at, why = found
            start = token.start + at if text.startswith(token.text, token.start) else token.start
            message = f"the name {visible(token.text)!r} holds {called(token.text[at])}, {why}"
            yield Hit(message, place=script.parsed.lines.place(start))
    yield from _reordering(script, told)


def _may_hide(text: str) -> bool:
    """Cheap, for the thousands of plain files: an escape, a control character, or a quoted name over two lines."""
    if '"' not in text:
        return False
    odd = any(line.count('"') % 2 for line in text.split("\n"))
    return odd or 'u&"' in text.lower() or _CONTROL.search(text) is not None


def _reordering(script: Script, told: set[str]) -> Iterator[Hit]:
    """In comments and texts as well: once a file."""
    chars = BIDI.difference(*told)
    first = next((at for at, char in enumerate(script.parsed.text) if char in chars), None)
    if first is not None:
        yield Hit(
            f"{called(script.parsed.text[first])} changes the order in which the text around it is shown",
            help="delete it: a reviewer reads something else than the server",
            place=script.parsed.lines.place(first),
        )


def _odd(name: str) -> tuple[int, str] | None:
    """Place of the first such character in a name, and what is wrong with it."""
    for place, char in enumerate(name):
        kind = unicodedata.category(char)
        if is_unseen(char) or kind in ("Cc", "Cf", "Co"):
            return place, "which nobody sees"
        if char.isascii():
            continue
        if kind in ("Zs", "Zl", "Zp"):
            return place, "which looks like a blank"
        if kind in ("Pi", "Pf", "Ps", "Pe", "Pd") or char in _MARKS:
            return place, "which is no quote or dash of SQL but a part of the name"
    return _disguised(name)


def _disguised(name: str) -> tuple[int, str] | None:
    """Among Latin letters, others that look like them and no others: a word of another script is no disguise."""
    letters = [(place, char) for place, char in enumerate(name) if char.isalpha()]
    others = [(place, char) for place, char in letters if not unicodedata.name(char, "").startswith("LATIN")]
    disguised = 0 < len(others) < len(letters) and all(_looks_latin(char) for _, char in others)
    return (others[0][0], "which looks like a Latin letter") if disguised else None


def _looks_latin(char: str) -> bool:
    return char in _LOOK_LATIN or unicodedata.name(char, "").startswith("FULLWIDTH")


RULE = Rule(
    id="unseen-characters",
    severity=Severity.WARNING,
    condition="a name with a character that nobody sees (zero width, bidirectional controls, no-break space), with"
    " curly quotes, or with letters of other scripts that look like Latin ones; bidirectional controls anywhere in a"
    " file",
    effect="the object is called otherwise than it looks: whoever types the name does not find it, and two names that"
    " look the same can be two objects",
    alternative="delete the character, and type the name anew",
    without_sql="always: what was meant only the author knows",
    source=DOCS + "sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS",
    script=check,
    in_rollback=True,
)
