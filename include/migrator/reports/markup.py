"""Markdown as Airflow and pull requests show it: tables, code blocks, and strangers' text that is no markup."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from migrator.parsing.unseen import visible

NO_BREAK = "\u00a0"

_SPECIAL = re.compile(r"[\\`*_~\[|]")
_HEAD = re.compile(r"^([0-9]{1,9}(?=[.)])|(?=[-+=#>]))")
"""Up to what makes it a heading, a quotation or an item of a list: a digit cannot be escaped, the stop after it can."""


class Markup(str):
    """Markdown of our own, in which strangers' texts went through `text`."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, solid: Collection[int] = ()) -> str:
    """
    :param solid: columns whose cells are never broken into lines.
    """
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for row in rows:
        cells = [_inline(cell) for cell in row]
        shown = [cell.replace(" ", NO_BREAK) if number in solid else cell for number, cell in enumerate(cells)]
        lines.append("| " + " | ".join(shown) + " |")
    return "\n".join(lines)


def bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {text(line)}" for line in lines)


def text(value: str) -> str:
    """One line without anything that markdown or HTML would take for its own. Markup stays as it is."""
    shown = _inline(value)
    return shown if isinstance(value, Markup) else Markup(_HEAD.sub(r"\1\\", shown))


def _inline(value: str) -> Markup:
    if isinstance(value, Markup):
        return value
    flat = visible(" ".join(value.split())).replace("&", "&amp;").replace("<", "&lt;")
    return Markup(_SPECIAL.sub(r"\\\g<0>", flat))


def fenced(content: str, language: str) -> str:
    """A code block whose fence is longer than any in the content."""
    fence = "```"
    while fence in content:
        fence += "`"
    return f"{fence}{language}\n{visible(content).strip(chr(10)).rstrip()}\n{fence}"
