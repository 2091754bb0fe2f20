"""The deadline of a step whose statements have no time-out: as parameter of its kind, and in its plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from migrator.input.durations import DURATION_PATTERN, parse_duration
from migrator.plan import Step

KEY = "deadline"
TEXT = (
    "How long it may take, waiting for others included, such as `2 hours`. Then it is given up, and what it has left"
    " is removed. Default: as long as it takes."
)
PATTERN = DURATION_PATTERN
WANTED = "is not a duration: write it like '2 hours' or '90s'"


def contradictions(text: str | None) -> Iterator[tuple[str, str, str | None]]:
    """What is wrong with the parameter, as `StepKind.contradictions` says it."""
    if text is None:
        return
    try:
        seconds = parse_duration(text).total_seconds()
    except ValueError as exc:
        yield KEY, str(exc), None
        return
    if seconds < 1:
        yield KEY, "is less than a second", "leave it out when it may take as long as it takes"


def in_plan(text: str | None) -> dict[str, Any]:
    """For the step's parameters; nothing without one, so that plans without a deadline are as they were."""
    return {} if text is None else {KEY: text}


def seconds_of(step: Step) -> float | None:
    """None: as long as it takes."""
    text = step.params.get(KEY)
    return None if text is None else parse_duration(str(text)).total_seconds()
