"""Wall-clock times of a time zone as instants, with one answer for the hours that daylight saving removes or doubles.

A time in the gap means the first instant after it; a time in the overlap means its first occurrence. So every
wall time has exactly one instant, whoever computes it.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

_INSTANT = re.compile(
    r"""(?P<date>\d{4}-\d{2}-\d{2})
        (?:[T ](?P<time>\d{2}:\d{2}(?::\d{2})?))?
        \s*(?P<zone>Z|[+-]\d{2}:?\d{2}|[A-Za-z][A-Za-z0-9_+\-/]*)?\Z""",
    re.VERBOSE,
)


def zone(name: str) -> tzinfo:
    """The time zone of the IANA database called `name`, or the one of an offset such as "+01:00".

    :raises ValueError: when there is none; the message names the mistake.
    """
    if name in ("UTC", "Z"):
        return timezone.utc
    if name[:1] in ("+", "-"):
        return _offset(name)
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as exc:  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(f"{name!r} is no time zone: use a name such as 'UTC' or 'Europe/Berlin'") from exc


def at_wall_time(wall: datetime, where: tzinfo) -> datetime:
    """The instant, in UTC, at which the clocks of `where` show `wall` (a naive datetime)."""
    before = wall.replace(tzinfo=where, fold=0)
    after = wall.replace(tzinfo=where, fold=1)
    offset_before, offset_after = before.utcoffset(), after.utcoffset()
    if offset_before is None or offset_after is None:  # pragma: no cover - no zone of ours answers None
        raise ValueError(f"{where} has no UTC offset")
    if offset_before >= offset_after:  # an ordinary time, or the overlap: fold=0 is its first occurrence
        return (wall - offset_before).replace(tzinfo=timezone.utc)
    # PEP 495: in the gap, fold=0 has the offset from before the change and fold=1 the one from after it.
    early = (wall - offset_after).replace(tzinfo=timezone.utc)
    late = (wall - offset_before).replace(tzinfo=timezone.utc)
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) // 2
        if middle.astimezone(where).utcoffset() == offset_before:
            early = middle
        else:
            late = middle
    return late.replace(microsecond=0)


def parse_instant(text: str, *, default_zone: str | None = None) -> tuple[datetime, str]:
    """The instant (UTC) that `text` names and its zone: "2025-01-15 02:00 UTC", "2025-01-15T02:00+01:00",
    "2025-03-30 02:30 Europe/Berlin". A date alone means its first moment.

    :raises ValueError: when there is no such date or time, or no zone and no `default_zone`.
    """
    match = _INSTANT.match(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a date and time: write it like '2025-01-15 02:00 UTC'")
    try:
        wall = datetime.fromisoformat(f"{match['date']} {match['time'] or '00:00'}")
    except ValueError as exc:
        raise ValueError(f"{text!r} is not a date and time: {exc}") from exc
    name = match["zone"] or default_zone
    if name is None:
        raise ValueError(f"{text!r} has no time zone: add one, like '{text.strip()} UTC' or 'Europe/Berlin'")
    where = zone(name)
    try:
        return at_wall_time(wall, where), "UTC" if name == "Z" else name
    except OverflowError as exc:
        raise ValueError(f"{text!r} is out of range") from exc


def _offset(text: str) -> tzinfo:
    match = re.match(r"[+-]([01][0-9]|2[0-3]):?([0-5][0-9])\Z", text)
    if match is None:
        raise ValueError(f"{text!r} is no UTC offset")
    hours, minutes = int(match[1]), int(match[2])
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset)
