"""Markdown as Airflow and pull requests show it: tables, code blocks, and strangers' text that is no markup."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

NO_BREAK = "\u00a0"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, solid: Collection[int] = ()) -> str:
    """
    :param solid: columns whose cells are never broken into lines.
    """
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for row in rows:
        cells = [text(cell) for cell in row]
        shown = [cell.replace(" ", NO_BREAK) if number in solid else cell for number, cell in enumerate(cells)]
        lines.append("| " + " | ".join(shown) + " |")
    return "\n".join(lines)


def bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {text(line)}" for line in lines)


def text(value: str) -> str:
    """One line without anything that markdown or HTML would take for its own; `**` stays, we write it ourselves."""
    flat = " ".join(value.split())
    for character, escaped in (("&", "&amp;"), ("<", "&lt;"), ("|", "\\|"), ("`", "\\`"), ("[", "\\["), ("_", "\\_")):
        flat = flat.replace(character, escaped)
    return flat


def fenced(content: str, language: str) -> str:
    """A code block whose fence is longer than any in the content."""
    fence = "```"
    while fence in content:
        fence += "`"
    return f"{fence}{language}\n{content.strip(chr(10)).rstrip()}\n{fence}"
