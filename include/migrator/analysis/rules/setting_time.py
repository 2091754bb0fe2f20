"""Timeouts as SET writes them: a number of milliseconds, or one with a unit."""

from __future__ import annotations

import re
from collections.abc import Mapping

_UNITS = {"us": 0.001, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000, "": 1}
_VALUE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)\s*", re.IGNORECASE)


def milliseconds(value: str) -> float | None:
    """None for DEFAULT ("") and for what is no time. Units are case-sensitive in PostgreSQL.

    https://www.postgresql.org/docs/current/config-setting.html#CONFIG-SETTING-NAMES-VALUES
    """
    match = _VALUE.fullmatch(value)
    if match is None or match.group(2) not in _UNITS:
        return None
    return float(match.group(1)) * _UNITS[match.group(2)]


def limits(settings: Mapping[str, str], *names: str) -> dict[str, str]:
    """Those of the timeouts that are set to something else than 0, which is none."""
    return {name: value for name, value in settings.items() if name in names and (milliseconds(value) or 0) > 0}
