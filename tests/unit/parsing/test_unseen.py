"""What people do not see is shown, and what they see is no order to a machine."""

from __future__ import annotations

import pytest

from migrator.parsing.names import names
from migrator.parsing.unseen import called, no_command, one_line, visible


def test_what_cannot_be_seen_is_shown_by_its_number() -> None:
    assert visible("a\u200bb\u202ec\u2066") == "a<U+200B>b<U+202E>c<U+2066>"
    assert visible("größe, \u201cx\u201d\u00a0y ⚠️") == "größe, \u201cx\u201d\u00a0y ⚠️"
    assert called("\u200b") == "U+200B ZERO WIDTH SPACE"
    assert called("\u0085") == "U+0085 without a name"


@pytest.mark.parametrize(
    "text, harmless",
    [
        ("::error file=x::pwned", "\\x3a:error file=x::pwned"),
        ("fine\n  ::set-output name=x::y\n::stop", "fine\n  \\x3a:set-output name=x::y\n\\x3a:stop"),
        ("see ##[error]x and ##vso[task.x]", "see \\x23#[error]x and \\x23#vso[task.x]"),
        ("x::int, a::text", "x::int, a::text"),
        (":: alone", ":: alone"),
        ("## heading", "## heading"),
    ],
)
def test_a_job_that_prints_it_is_not_ordered_about(text: str, harmless: str) -> None:
    assert no_command(text) == harmless


def test_one_line_stays_one() -> None:
    assert one_line("a\r\nb") == "a\\r\\nb"


def test_names_have_their_places_also_in_bodies() -> None:
    text = """SELECT a, "b ""c", U&"d\\0065", 'no' -- no
DO $x$ BEGIN f; $y$ g $y$ END $x$"""
    found = [(one.text, one.start) for one in names(text)]
    words = ("SELECT", "a", "U&", "DO", "BEGIN", "f", "g", "END")
    for name, start in found:
        if name in words:
            assert text[start:].startswith(name)
    assert [name for name, _ in found if name not in words] == ['b ""c', "de"]
    assert {"f", "g"} <= {name for name, _ in found}
