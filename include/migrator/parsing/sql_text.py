"""The bytes of a SQL file as text: UTF-8 or refused with the place of the offending byte, never guessed.

A file that is not what it seems would reach the database as something else than what was reviewed, so there is no
detection of encodings here: what is not UTF-8 is refused, and the message says how to convert it.
"""

from __future__ import annotations

import bisect
import codecs
import re
from pathlib import Path

from migrator.frozen import frozen
from migrator.parsing.tokens import tokens
from migrator.problems import Problem

MAX_BYTES = 16 * 1024 * 1024
"""The plan, its review and the evidence carry the text of a migration, so a file has to stay readable."""

_UTF16_BOMS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LINE_END = re.compile(r"\r\n|\n|\r")


@frozen
class SqlText:
    """Decoded text. Line ends are LF, as git would store them, but for those in literals and quoted names: there psql
    would send them as they are, and so do we."""

    text: str
    cosmetic: tuple[str, ...] = ()
    """What was normalised away: "byte order mark", "CRLF line ends"."""
    problems: tuple[Problem, ...] = ()


class Lines:
    """Offsets (characters from 0) to lines and columns (from 1, columns in characters)."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(match.end() for match in _LINE_END.finditer(text))]
        self._text = text

    def place(self, offset: int) -> tuple[int, int]:
        line = bisect.bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    @property
    def count(self) -> int:
        return len(self._starts)

    def text_of(self, line: int) -> str:
        """Of a line; "" for one that is not there, as in a file that could not be decoded."""
        if not 1 <= line <= len(self._starts):
            return ""
        start = self._starts[line - 1]
        end = self._starts[line] if line < len(self._starts) else len(self._text)
        return self._text[start:end].rstrip("\r\n")


def read_sql(path: Path) -> bytes:
    """The bytes of a SQL file, but no more than show that it is too large.

    :raises OSError: when it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as exc:
        exc.filename = exc.filename or str(path)  # read() does not say of what
        raise


def decode(raw: bytes | str, *, file: str) -> SqlText:
    """Text of a SQL file. With problems, `text` is as much of it as is certain (may be empty)."""
    if isinstance(raw, str):
        return _tidy(raw, file=file)
    if len(raw) > MAX_BYTES:
        return SqlText("", problems=(_too_large(file=file),))
    if raw.startswith(_UTF16_BOMS):
        message = "the file is UTF-16 or UTF-32, not UTF-8"
        return SqlText("", problems=(Problem(file, message, 1, 1, hint=_convert("UTF-16", file)),))
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        if _looks_wide(raw):
            message = "the file is UTF-16, not UTF-8"
            return SqlText("", problems=(Problem(file, message, 1, 1, hint=_convert("UTF-16LE", file)),))
        return SqlText("", problems=(_not_utf8(raw, exc, file=file),))
    return _tidy(text, file=file)


def _tidy(text: str, *, file: str) -> SqlText:
    cosmetic = []
    if text.startswith("\ufeff"):
        text = text[1:]
        cosmetic.append("byte order mark")
    if "\r\n" in text:
        text = _outside(text)
        cosmetic.append("CRLF line ends")
    nul = text.find("\0")
    if nul >= 0:
        line, column = Lines(text).place(nul)
        hint = (
            _convert("UTF-16LE", file)
            if _looks_wide(text.encode("utf-8", "replace"))
            else "remove it; PostgreSQL text cannot hold NUL"
        )
        return SqlText("", tuple(cosmetic), (Problem(file, "the file contains a NUL byte", line, column, hint=hint),))
    lone = (
        next((index for index, char in enumerate(text) if "\ud800" <= char <= "\udfff"), -1)
        if not text.isascii()
        else -1
    )
    if lone >= 0:
        line, column = Lines(text).place(lone)
        return SqlText("", tuple(cosmetic), (Problem(file, "the text contains half a surrogate pair", line, column),))
    return SqlText(text, tuple(cosmetic))


def _outside(text: str) -> str:
    """Without the CR of line ends outside of literals and quoted names."""
    return "".join(
        token.text if token.kind in ("string", "quoted") else token.text.replace("\r\n", "\n") for token in tokens(text)
    )


def _looks_wide(raw: bytes) -> bool:
    """UTF-16 without a byte order mark: nearly every other byte of SQL is zero then."""
    return raw[:2000].count(0) * 3 > len(raw[:2000])


def _too_large(*, file: str) -> Problem:
    return Problem(
        file,
        f"the file has more than {MAX_BYTES // (1024 * 1024)} MB",
        hint="a migration is reviewed as text: load bulk data outside of it, or split it into several migrations",
    )


def _not_utf8(raw: bytes, exc: UnicodeDecodeError, *, file: str) -> Problem:
    before = raw[: exc.start].decode("utf-8").removeprefix("\ufeff")
    line, column = Lines(before).place(len(before))
    return Problem(
        file,
        f"byte 0x{raw[exc.start]:02x} is not valid UTF-8",
        line,
        column,
        hint=_convert("LATIN1", file),
    )


def _convert(encoding: str, file: str) -> str:
    return f"save it as UTF-8, for example: iconv -f {encoding} -t UTF-8 {file!r} (if it really is {encoding})"
