"""When a target may be changed: weekly windows, the migration's own schedule, freezes. Pure.

Times that may be used are half-open intervals of instants. Own schedule and weekly windows narrow each other (a
schedule outside the target's windows opens nothing) and freezes are cut out of both; then one question is asked: where
is the first interval that leaves enough time?
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone, tzinfo

from migrator.catalogue.metadata import Schedule
from migrator.documents import StrEnum
from migrator.input.durations import format_duration
from migrator.input.walltime import at_wall_time, zone
from migrator.targets.targets import Freeze, WindowRule

HORIZON = timedelta(days=400)
"""How far ahead an opening is looked for: any yearly freeze lies within."""
DAY = timedelta(days=1)


class WindowState(StrEnum):
    OPEN = "open"
    """Now, and there is enough time left."""
    WAIT = "wait"
    """Not now; it opens at `opens_at`."""
    FROZEN = "frozen"
    """A freeze forbids it now, or for as long as the windows last."""
    OVER = "over"
    """The migration's own window has passed."""
    DOES_NOT_FIT = "does_not_fit"
    """No window is long enough."""


@dataclass(frozen=True)
class Interval:
    """From `start` up to and without `end`, in UTC. `end` None: for as long as anybody looked ahead."""

    start: datetime
    end: datetime | None

    def contains(self, instant: datetime) -> bool:
        return self.start <= instant and (self.end is None or instant < self.end)

    def left_at(self, instant: datetime) -> timedelta | None:
        """How much of it is left at `instant`, or all of it before it starts; None is without limit."""
        return None if self.end is None else self.end - max(self.start, instant)


@dataclass(frozen=True)
class WindowDecision:
    state: WindowState
    opens_at: datetime | None
    """Of `open`: when the current window opened. Of `wait` and `frozen`: when to ask again; None when never."""
    closes_at: datetime | None
    """When that window closes; None when it does not."""
    reason: str
    lifted: str | None = None
    """What an emergency made not count; None when nothing had to be lifted."""


def decide(
    now: datetime,
    *,
    schedule: Schedule | None = None,
    windows: Sequence[WindowRule] = (),
    freezes: Sequence[Freeze] = (),
    needed_seconds: float | None = None,
    emergency: bool = False,
) -> WindowDecision:
    """Whether a change that takes `needed_seconds` may start `now`, and when if not.

    `schedule` is the migration's own and is to be None on any target but the one it names. In an `emergency` schedule
    and windows do not count, nor do the freezes that allow it.

    :raises ValueError: when `now` is naive.
    """
    if now.tzinfo is None:
        raise ValueError("'now' must have a time zone")
    now = now.astimezone(timezone.utc)
    needed = timedelta(seconds=max(0.0, needed_seconds or 0.0))
    if emergency:
        return _in_emergency(
            now,
            decide(now, schedule=schedule, windows=windows, freezes=freezes, needed_seconds=needed_seconds),
            freezes,
            needed,
        )
    if schedule is not None and now >= schedule.window_end:
        text = f"the window of {_span(Interval(schedule.window_start, schedule.window_end))} is over"
        return WindowDecision(WindowState.OVER, None, schedule.window_end, text)
    allowed = _allowed(now, schedule, windows)
    usable = list(_without(allowed, freezes))
    frozen = next((freeze for freeze in freezes if freeze.start <= now < freeze.end), None)
    first = _first_fit(usable, now, needed)
    if frozen is not None:
        return _frozen(frozen, first, now)
    if first is not None and first.contains(now):
        return WindowDecision(WindowState.OPEN, first.start, first.end, _open_reason(first, now))
    if first is not None:
        return WindowDecision(WindowState.WAIT, first.start, first.end, _wait_reason(first, usable, now, needed))
    return _never(allowed, freezes, schedule, now, needed)


def _in_emergency(
    now: datetime, ordinary: WindowDecision, freezes: Sequence[Freeze], needed: timedelta
) -> WindowDecision:
    """Any time, but for the freezes that allow no exception."""
    if ordinary.state is WindowState.OPEN:
        return ordinary
    strict = decide(
        now, freezes=[one for one in freezes if not one.except_emergency], needed_seconds=needed.total_seconds()
    )
    if strict.state is not WindowState.OPEN:
        return replace(strict, reason=f"{strict.reason}; no emergency lifts that freeze")
    return replace(strict, reason=f"emergency, although {ordinary.reason}", lifted=ordinary.reason)


def occurrences(rule: WindowRule, start: datetime, end: datetime) -> Iterator[Interval]:
    """The windows of `rule` that touch the time from `start` to `end`, in order.

    A window opens at the rule's wall time. Where clocks skip that time it opens when they have jumped; where
    they show it twice it opens the first time. It always lasts the rule's duration in real time.
    """
    where = zone(rule.timezone)
    day = (start - rule.duration).astimezone(where).date() - DAY
    last = end.astimezone(where).date() + DAY
    while day <= last:
        if day.weekday() in rule.weekdays:
            opens = at_wall_time(datetime.combine(day, rule.start_time), where)
            if opens < end and opens + rule.duration > start:
                yield Interval(opens, opens + rule.duration)
        day += DAY


def weekly(windows: Sequence[WindowRule], start: datetime, end: datetime) -> list[Interval]:
    """The windows of all rules between `start` and `end`; those that overlap or touch are one."""
    pieces = sorted((one for rule in windows for one in occurrences(rule, start, end)), key=lambda one: one.start)
    merged: list[Interval] = []
    for piece in pieces:
        before = merged[-1].end if merged else None
        if before is not None and piece.end is not None and piece.start <= before:
            merged[-1] = Interval(merged[-1].start, max(before, piece.end))
        else:
            merged.append(piece)
    return merged


def in_zone(instant: datetime, where: tzinfo) -> str:
    """`instant` as people read it: "2025-01-15 02:00 UTC"."""
    return instant.astimezone(where).strftime("%Y-%m-%d %H:%M %Z")


def _allowed(now: datetime, schedule: Schedule | None, windows: Sequence[WindowRule]) -> list[Interval]:
    """What schedule and windows allow, from now on, without regard to freezes."""
    if schedule is None:
        if not windows:
            return [Interval(now, None)]
        return weekly(windows, now, now + HORIZON)
    own = Interval(schedule.window_start, schedule.window_end)
    if not windows:
        return [own]
    pieces = weekly(windows, schedule.window_start, schedule.window_end)
    cut = [Interval(max(one.start, own.start), min(one.end, schedule.window_end)) for one in pieces if one.end]
    return [one for one in cut if one.end is not None and one.start < one.end and now < one.end]


def _without(intervals: Iterable[Interval], freezes: Sequence[Freeze]) -> Iterator[Interval]:
    ordered = sorted(freezes, key=lambda freeze: freeze.start)
    for interval in intervals:
        start: datetime | None = interval.start
        for freeze in ordered:
            if start is None or freeze.end <= start or (interval.end is not None and freeze.start >= interval.end):
                continue
            if freeze.start > start:
                yield Interval(start, freeze.start)
            start = freeze.end if interval.end is None or freeze.end < interval.end else None
        if start is not None:
            yield Interval(start, interval.end)


def _first_fit(intervals: Iterable[Interval], now: datetime, needed: timedelta) -> Interval | None:
    for interval in intervals:
        left = interval.left_at(now)
        if left is None or (left >= needed and left > timedelta(0)):
            return interval
    return None


def _frozen(freeze: Freeze, first: Interval | None, now: datetime) -> WindowDecision:
    text = f"frozen: {freeze.name}, until {in_zone(freeze.end, zone(freeze.timezone))}"
    if first is None:
        return WindowDecision(WindowState.FROZEN, None, None, f"{text}; no window that is long enough follows")
    opens = max(first.start, now)
    return WindowDecision(WindowState.FROZEN, opens, first.end, f"{text}; next window: {_span(first)}")


def _open_reason(interval: Interval, now: datetime) -> str:
    if interval.end is None:
        return "any time is allowed"
    return f"window {_span(interval)}, {_left(interval, now)} left"


def _wait_reason(first: Interval, usable: Sequence[Interval], now: datetime, needed: timedelta) -> str:
    text = f"next window: {_span(first)}"
    current = next((one for one in usable if one.contains(now)), None)
    if current is None:
        return text
    return f"{_left(current, now)} are left of this window, {format_duration(needed)} are needed; {text}"


def _never(
    allowed: Sequence[Interval],
    freezes: Sequence[Freeze],
    schedule: Schedule | None,
    now: datetime,
    needed: timedelta,
) -> WindowDecision:
    if not allowed:
        text = "the migration's own window lies outside the target's maintenance windows"
        return WindowDecision(WindowState.DOES_NOT_FIT, None, None, text)
    if _first_fit(allowed, now, needed) is not None:  # it would fit, were it not for a freeze
        names = sorted({freeze.name for freeze in freezes if any(_touch(one, freeze) for one in allowed)})
        text = f"frozen: {', '.join(names)} leaves no window of {format_duration(needed)}"
        return WindowDecision(WindowState.FROZEN, None, None, text)
    longest = max(one.left_at(now) or timedelta(0) for one in allowed)
    what = "is left of the migration's window" if schedule is not None else "is the longest window"
    text = f"{format_duration(needed)} are needed, but {format_duration(longest)} {what}"
    return WindowDecision(WindowState.DOES_NOT_FIT, None, None, text)


def _touch(interval: Interval, freeze: Freeze) -> bool:
    return freeze.end > interval.start and (interval.end is None or freeze.start < interval.end)


def _span(interval: Interval) -> str:
    start = in_zone(interval.start, timezone.utc)
    return f"{start} to {in_zone(interval.end, timezone.utc)}" if interval.end else f"from {start}"


def _left(interval: Interval, now: datetime) -> str:
    left = interval.left_at(now)
    return "unlimited time" if left is None else format_duration(left)
