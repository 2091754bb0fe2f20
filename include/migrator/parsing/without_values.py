"""Somebody's SQL without what may be a row's: its constants and comments."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.parsing.tokens import tokens


def without_values(sql: str) -> str:
    """On one line, `?` for each constant. pg_stat_statements writes `$1` for most, but not in COPY, nor in what it had
    to store after its entry was gone; a text that was cut off within a constant ends there."""
    return "".join(_kept(sql)).strip()


def _kept(sql: str) -> Iterator[str]:
    blank = True
    for token in tokens(sql):
        if token.kind in ("space", "comment"):
            if not blank:
                yield " "
            blank = True
            continue
        constant = token.kind == "string" or (token.kind == "number" and not token.text.startswith("$"))
        yield "?" if constant else token.text
        blank = False
