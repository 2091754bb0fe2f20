"""What `hashtextextended(ROW(...)::text, 0)` gives, of rows that COPY has sent: for tables that no query may read.

hash_bytes_extended() of src/common/hashfn.c, and record_out() of src/backend/utils/adt/rowtypes.c. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_MASK = 0xFFFFFFFF
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_CONTROLS = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_QUOTED = re.compile(rb'[\s"\\(),]')
_DOUBLED = re.compile(rb'(["\\])')


def fields(line: bytes) -> list[bytes | None]:
    """Of a line of COPY's text format, without its end."""
    return [None if part == rb"\N" else _ESCAPE.sub(_unescaped, part) for part in line.split(b"\t")]


def row_text(values: Sequence[bytes | None]) -> bytes:
    return b"(" + b",".join(map(_in_row, values)) + b")"


def total(texts: Iterable[bytes]) -> tuple[int, int]:
    """How many, and the sum of their hashes."""
    count = found = 0
    for text in texts:
        count += 1
        found += hash_of(text)
    return count, found


def hash_of(text: bytes) -> int:
    """hashtextextended(text, 0), of a text in the server's encoding and a collation that is deterministic."""
    length = len(text)
    whole = length - length % 12
    a = b = c = (0x9E3779B9 + length + 3923095) & _MASK
    for at in range(0, whole, 12):
        a = (a + int.from_bytes(text[at : at + 4], "little")) & _MASK
        b = (b + int.from_bytes(text[at + 4 : at + 8], "little")) & _MASK
        c = (c + int.from_bytes(text[at + 8 : at + 12], "little")) & _MASK
        a, b, c = _mixed(a, b, c)
    rest = text[whole:]
    a = (a + int.from_bytes(rest[:4], "little")) & _MASK
    b = (b + int.from_bytes(rest[4:8], "little")) & _MASK
    c = (c + (int.from_bytes(rest[8:], "little") << 8)) & _MASK  # the lowest byte is the length's
    b, c = _final(a, b, c)
    found = b << 32 | c
    return found - (1 << 64) if found >> 63 else found


def _unescaped(match: re.Match[bytes]) -> bytes:
    return _CONTROLS.get(match[1], match[1])


def _in_row(value: bytes | None) -> bytes:
    if value is None:
        return b""
    if value and not _QUOTED.search(value):
        return value
    return b'"' + _DOUBLED.sub(rb"\1\1", value) + b'"'


def _rotated(value: int, by: int) -> int:
    return (value << by | value >> (32 - by)) & _MASK


def _mixed(a: int, b: int, c: int) -> tuple[int, int, int]:
    for first, second, third in ((4, 6, 8), (16, 19, 4)):
        a = ((a - c) & _MASK) ^ _rotated(c, first)
        c = (c + b) & _MASK
        b = ((b - a) & _MASK) ^ _rotated(a, second)
        a = (a + c) & _MASK
        c = ((c - b) & _MASK) ^ _rotated(b, third)
        b = (b + a) & _MASK
    return a, b, c


def _final(a: int, b: int, c: int) -> tuple[int, int]:
    c = ((c ^ b) - _rotated(b, 14)) & _MASK
    a = ((a ^ c) - _rotated(c, 11)) & _MASK
    b = ((b ^ a) - _rotated(a, 25)) & _MASK
    c = ((c ^ b) - _rotated(b, 16)) & _MASK
    a = ((a ^ c) - _rotated(c, 4)) & _MASK
    b = ((b ^ a) - _rotated(a, 14)) & _MASK
    c = ((c ^ b) - _rotated(b, 24)) & _MASK
    return b, c
