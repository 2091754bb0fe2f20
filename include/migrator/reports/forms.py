"""The forms by name, and how the pieces of many files become one text.

Pieces are made file by file, in any process; only the joining needs the order of the files. So a thousand files never
lie in memory as trees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from migrator.frozen import frozen
from migrator.reports import github, gitlab, json_text, markdown, sarif, text
from migrator.reports.document import Analysis
from migrator.reports.text import Look


@frozen
class Form:
    name: str
    pieces: Callable[[Analysis, Look], Iterable[str]]
    separator: str = "\n"
    head: Callable[[], str] = str
    tail: str = ""

    def joined(self, pieces: Iterable[str]) -> Iterator[str]:
        """The whole text, part by part."""
        yield self.head()
        for number, piece in enumerate(pieces):
            yield self.separator + piece if number else piece
        yield self.tail


def _text(analysis: Analysis, look: Look) -> Iterable[str]:
    yield text.piece(analysis, look)


def _json(analysis: Analysis, look: Look) -> Iterable[str]:
    yield json_text.piece(analysis)


def _one_json(analysis: Analysis, look: Look) -> Iterable[str]:
    yield json_text.piece(analysis, indent=2)


def _sarif(analysis: Analysis, look: Look) -> Iterable[str]:
    return sarif.pieces(analysis)


def _github(analysis: Analysis, look: Look) -> Iterable[str]:
    yield github.piece(analysis)


def _gitlab(analysis: Analysis, look: Look) -> Iterable[str]:
    return gitlab.pieces(analysis)


def _markdown(analysis: Analysis, look: Look) -> Iterable[str]:
    yield markdown.piece(analysis)


def _list() -> str:
    return "[\n"


FORMS: tuple[Form, ...] = (
    Form("text", _text),
    Form("json", _json, separator=",\n", head=_list, tail="\n]\n"),
    Form("sarif", _sarif, separator=",\n", head=sarif.head, tail=sarif.TAIL),
    Form("github", _github, separator=""),
    Form("gitlab", _gitlab, separator=",\n", head=_list, tail="\n]\n"),
    Form("markdown", _markdown),
)
ONE_JSON = Form("json", _one_json, tail="\n")
"""JSON of exactly one analysis: an object, not a list of one."""

BY_NAME = {form.name: form for form in FORMS}
