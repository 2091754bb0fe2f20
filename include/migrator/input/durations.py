"""Durations and sizes as people write them in YAML: "5 minutes", "1 hour 30 minutes", "90s", "64MB"."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS: dict[str, float] = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 0.001),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86400),
    **dict.fromkeys(("w", "week", "weeks"), 7 * 86400),
}
_NAMES = (("week", 7 * 86400), ("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
_BYTES = {"B": 1, "kB": 1024, "KB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}

DURATION_PATTERN = r"^\s*[0-9]+(\.[0-9]+)?\s*[A-Za-z]+((\s*,\s*|\s+and\s+|\s*)[0-9]+(\.[0-9]+)?\s*[A-Za-z]+)*\s*$"
"""For editors (JSON Schema); `parse_duration` is what decides."""
SIZE_PATTERN = r"^\s*[0-9]+(\.[0-9]+)?\s*(B|kB|KB|MB|GB|TB)\s*$"

_PART = re.compile(r"\s*(?:,|and\b)?\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)\.?")
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)\s*\Z")

LONGEST = timedelta(days=3660)
"""Nothing in this project lasts longer; a larger number is a slip of the pen."""


def parse_duration(text: str) -> timedelta:
    """The length of time that `text` names; `0` alone needs no unit.

    :raises ValueError: says what a duration looks like. Months and years are refused: they have no fixed length.
    """
    if text.strip() == "0":
        return timedelta(0)
    position, seconds = 0, 0.0
    while match := _PART.match(text, position):
        unit = _UNITS.get(match[2].lower())
        if unit is None:
            raise ValueError(f"{match[2]!r} is no unit of time: use ms, seconds, minutes, hours, days or weeks")
        seconds += float(match[1]) * unit
        position = match.end()
    if position == 0 or text[position:].strip():
        raise ValueError(f"{text!r} is not a duration: write it like '5 minutes', '90s' or '1 hour 30 minutes'")
    if seconds > LONGEST.total_seconds():
        raise ValueError(f"{text!r} is longer than ten years")
    return timedelta(seconds=seconds)


def parse_size(text: str) -> int:
    """The number of bytes that `text` names, with PostgreSQL's units (1kB = 1024 bytes; see pg_settings.unit).

    :raises ValueError: says what a size looks like.
    """
    match = _SIZE.match(text)
    if match is None or match[2] not in _BYTES:
        raise ValueError(f"{text!r} is not a size: write it like '64MB' (B, kB, MB, GB or TB)")
    size = float(match[1]) * _BYTES[match[2]]
    if size > 2**62:
        raise ValueError(f"{text!r} is larger than any database")
    return int(size)


def format_duration(length: timedelta) -> str:
    """`length` in its two largest units: "1 hour 30 minutes", "45 seconds", "200 ms"."""
    if length < timedelta(0):
        return "minus " + format_duration(-length)
    if length < timedelta(seconds=1):
        return f"{round(length.total_seconds() * 1000)} ms"
    rest, parts = round(length.total_seconds()), []
    for name, size in _NAMES:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {name}{'s' if count != 1 else ''}")
    return " ".join(parts[:2])
