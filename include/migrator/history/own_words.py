"""What a row of a table that was kept by hand says about whether its version is in the database. Pure.

Such tables have columns of many names. One that says no is believed; where none says yes, so is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

YES = frozenset(
    [
        "t", "true", "y", "yes", "on", "1", "success", "succeeded", "successful", "applied", "ok", "done", "complete",
        "completed", "executed", "finished", "migrated", "up",
    ]
)  # fmt: skip
NO = frozenset(["", "f", "false", "n", "no", "off", "0"])
SAYING = ("success", "status", "state", "applied", "is_applied", "result", "outcome")
"""Whether it is applied."""
DENYING = re.compile(
    r"(is_|was_)?(dirty|failed|failure|rolled_?back|reverted|undone|deleted|skipped|cancell?ed)(_at|_on|_by)?"
    r"|(rollback|revert|undo)_(at|on|by)"
)
"""Names of columns whose value says that it is not."""
DIRECTIONS = ("type", "migration_type", "direction", "action", "operation")
BACK = frozenset(["rollback", "rolled_back", "undo", "undone", "down", "revert", "reverted", "delete", "deleted"])
DONE_AT = frozenset(
    [
        "applied_at", "applied_on", "completed_at", "executed_at", "executed_on", "finished_at", "installed_on",
        "migrated_at", "run_at", "run_on",
    ]
)  # fmt: skip
WORD = re.compile(r"[a-z_ -]{1,20}|[a-z0-9]")
"""What may be told of a value: no sentence of a server."""
ERRORS = ("error", "error_message")
RANKS = ("installed_rank", "id")


def denied(columns: Mapping[str, Any]) -> str | None:
    """Why the version is not applied by these words; None: it is."""
    return next(_reasons(columns), None)


def _reasons(columns: Mapping[str, Any]) -> Iterator[str]:
    if _text(columns.get("dirty")) not in NO:
        yield "it is marked dirty"
    words = {name: _text(columns[name]) for name in SAYING if name in columns}
    for name, word in words.items():
        if word and word not in YES and moment(columns[name]) is None:
            yield f"its {name} is {columns[name]!r}" if WORD.fullmatch(word) else f"its {name} is no word for that"
    for name, value in columns.items():
        if DENYING.fullmatch(name) and _text(value) not in NO:
            yield f"it has a value of {name}"
    for name in DIRECTIONS:
        if _text(columns.get(name)) in BACK:
            yield f"its {name} is {columns[name]!r}"
    if any(words.values()):
        return
    yield from (f"its {name} is empty" for name in words)
    yield from (f"it has an {name}" for name in ERRORS if _text(columns.get(name)))
    if _text(columns.get("started_at")) and not any(_text(columns.get(name)) for name in DONE_AT):
        yield "it was started, and no time says that it was done"


def said_at(columns: Mapping[str, Any]) -> datetime | None:
    """The latest time that it names."""
    times = (moment(value) for name, value in columns.items() if name.endswith(("_at", "_on")) or name in SAYING)
    return max(filter(None, times), default=None)


def rank(columns: Mapping[str, Any]) -> int | None:
    """Where the table counts its rows, the number of this one."""
    found = next((_text(columns[name]) for name in RANKS if name in columns), "")
    return int(found) if found.isdecimal() else None


def moment(value: Any) -> datetime | None:
    """A timestamp without time zone is taken as UTC, which is what our sessions speak."""
    if not isinstance(value, str) or "-" not in value:
        return None
    try:
        moment = datetime.fromisoformat(_padded(value.replace("Z", "+00:00")))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _padded(text: str) -> str:
    """PostgreSQL cuts trailing zeros of the fraction and of the offset; Python 3.10 wants three or six digits."""
    if re.search(r":\d\d(\.\d+)?[+-]\d\d$", text):
        text += ":00"  # of the offset
    head, dot, tail = text.partition(".")
    if not dot:
        return text
    digits = len(tail) - len(tail.lstrip("0123456789"))
    return f"{head}.{tail[:digits][:6].ljust(6, '0')}{tail[digits:]}"


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip().lower()
