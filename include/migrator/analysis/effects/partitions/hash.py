"""The hash by which rows find their partition of PARTITION BY HASH.

hash_bytes_extended and hash_bytes_uint32_extended in src/common/hashfn.c, compute_partition_hash_value in
src/backend/partitioning/partbounds.c.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

from migrator.analysis.effects.partitions.values import Value

SEED = 0x7A5B22367996DCFD
"""HASH_PARTITION_SEED."""
_32, _64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF
_START = 0x9E3779B9 + 3923095


def row_hash(values: Sequence[Value | None], kinds: Sequence[str]) -> int | None:
    """Of a row's key, None for NULL; None when a type's hash is not known here."""
    found = 0
    for value, kind in zip(values, kinds, strict=True):
        if value is None:
            continue
        own = _hash(value, kind)
        if own is None:
            return None
        found ^= (own + 0x49A0F4DD15E5A8E3 + (found << 54) + (found >> 7)) & _64  # hash_combine64
    return found & _64


def _hash(value: Value, kind: str) -> int | None:
    if kind == "integer" and isinstance(value, Decimal):
        return _of_integer(int(value))
    if kind == "text" and isinstance(value, str):
        return _of_bytes(value.encode())
    if kind == "uuid" and isinstance(value, str):
        return _of_bytes(UUID(value).bytes)
    return None


def _of_integer(value: int) -> int:
    """The same for all widths (hashint8extended in hashfunc.c)."""
    low, high = value & _32, (value >> 32) & _32
    low ^= high if value >= 0 else ~high & _32
    a, b, c = _seeded(4)
    return _finished((a + low) & _32, b, c)


def _of_bytes(text: bytes) -> int:
    a, b, c = _seeded(len(text))
    whole = len(text) - len(text) % 12
    for at in range(0, whole, 12):
        a, b, c = (
            (part + int.from_bytes(text[at + off : at + off + 4], "little")) & _32
            for part, off in ((a, 0), (b, 4), (c, 8))
        )
        a, b, c = _mixed(a, b, c)
    rest = text[whole:]
    a += int.from_bytes(rest[:4], "little")
    b += int.from_bytes(rest[4:8], "little")
    c += int.from_bytes(rest[8:], "little") << 8  # the lowest byte of c is for the length
    return _finished(a & _32, b & _32, c & _32)


def _seeded(length: int) -> tuple[int, int, int]:
    start = (_START + length) & _32
    return _mixed((start + (SEED >> 32)) & _32, (start + (SEED & _32)) & _32, start)


def _rotated(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (32 - bits))) & _32


def _mixed(a: int, b: int, c: int) -> tuple[int, int, int]:
    for bits in ((4, 6, 8), (16, 19, 4)):
        a = ((a - c) & _32) ^ _rotated(c, bits[0])
        c = (c + b) & _32
        b = ((b - a) & _32) ^ _rotated(a, bits[1])
        a = (a + c) & _32
        c = ((c - b) & _32) ^ _rotated(b, bits[2])
        b = (b + a) & _32
    return a, b, c


def _finished(a: int, b: int, c: int) -> int:
    for first, bits in (("c", 14), ("a", 11), ("b", 25), ("c", 16), ("a", 4), ("b", 14), ("c", 24)):
        if first == "c":
            c = ((c ^ b) - _rotated(b, bits)) & _32
        elif first == "a":
            a = ((a ^ c) - _rotated(c, bits)) & _32
        else:
            b = ((b ^ a) - _rotated(a, bits)) & _32
    return (b << 32) | c
