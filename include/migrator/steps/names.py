"""How parameters of step kinds write the names of what they change: as SQL does; and the names of helper objects."""

from __future__ import annotations

import hashlib
import re

NAME_PATTERN = r'([a-z_][a-z0-9_$]*|"[^"\x00]+")'
RELATION_PATTERN = rf"{NAME_PATTERN}(\.{NAME_PATTERN})?"
COLUMN_LIST = rf"{NAME_PATTERN}(, *{NAME_PATTERN})*"
TABLE_WANTED = 'is not the name of a table: write it as SQL does, such as public.messages or "Odd Names"'
INDEX_WANTED = 'is not the name of an index: write it as SQL does, such as public.messages_idx or "Odd Names"'

HELPER_PREFIX = "migrator_"
LONGEST = 63
"""Bytes of a name (NAMEDATALEN - 1)."""
_PLAIN = re.compile(r"[^a-z0-9_]+")


def helper_name(version: str, step: str, purpose: str) -> str:
    """Of a helper object: the same in each attempt at the step, of no other step of the database, and plain, so that it
    may name a replication slot as well (`[a-z0-9_]`, at most 63 bytes). Pure.

    :param purpose: what it is for, such as "outbox".
    """
    mark = hashlib.sha256(f"{version}/{step}/{purpose}".encode()).hexdigest()[:8]
    plain = _PLAIN.sub("_", f"{version}_{purpose}".lower())
    return f"{HELPER_PREFIX}{plain[: LONGEST - len(HELPER_PREFIX) - 9]}_{mark}"


def has_schema(name: str) -> bool:
    """Of a name that matches RELATION_PATTERN."""
    return re.fullmatch(NAME_PATTERN, name) is None
