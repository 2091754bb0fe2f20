"""When a target may be changed: before, inside, after; freezes; clocks that jump; work that does not fit."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.catalogue.metadata import Schedule
from migrator.targets.targets import Freeze, WindowRule
from migrator.targets.windows import Interval, WindowState, decide, occurrences

UTC = timezone.utc
NIGHT = WindowRule(days=("tue", "wed", "thu"), start="02:00", duration=timedelta(hours=3))
WEDNESDAY = datetime(2025, 1, 15, tzinfo=UTC)
SCHEDULE = Schedule("production", WEDNESDAY.replace(hour=2), timedelta(hours=2), timedelta(hours=2))


def at(hour: int, minute: int = 0, *, day: int = 15) -> datetime:
    return WEDNESDAY.replace(day=day, hour=hour, minute=minute)


@pytest.mark.parametrize(
    "now, needed, state, opens",
    [
        (at(1, 59), 60, WindowState.WAIT, at(2)),
        (at(2), 60, WindowState.OPEN, at(2)),
        (at(4, 59, day=15), 30, WindowState.OPEN, at(2)),
        (at(4, 59, day=15), 90, WindowState.WAIT, at(2, day=16)),
        (at(5), 0, WindowState.WAIT, at(2, day=16)),
        (at(5, day=16), 0, WindowState.WAIT, at(2, day=21)),
        (at(2), 3 * 3600 + 1, WindowState.DOES_NOT_FIT, None),
    ],
)
def test_weekly_windows(now: datetime, needed: float, state: WindowState, opens: datetime | None) -> None:
    decision = decide(now, windows=[NIGHT], needed_seconds=needed)
    assert (decision.state, decision.opens_at) == (state, opens)


@pytest.mark.parametrize(
    "now, state",
    [(at(1), WindowState.WAIT), (at(2), WindowState.OPEN), (at(3, 59), WindowState.OPEN), (at(4), WindowState.OVER)],
)
def test_own_schedule(now: datetime, state: WindowState) -> None:
    assert decide(now, schedule=SCHEDULE).state is state


def test_a_schedule_outside_the_targets_windows_opens_nothing() -> None:
    schedule = Schedule("production", at(9), timedelta(hours=1), timedelta(hours=1))
    decision = decide(at(9), schedule=schedule, windows=[NIGHT])
    assert decision.state is WindowState.DOES_NOT_FIT
    assert "outside" in decision.reason


def test_a_freeze_forbids_and_an_emergency_may_break_it() -> None:
    freeze = Freeze("year end", at(0), at(23), except_emergency=True)
    decision = decide(at(2), windows=[NIGHT], freezes=[freeze])
    assert (decision.state, decision.opens_at) == (WindowState.FROZEN, at(2, day=16))
    assert "year end" in decision.reason
    assert decide(at(2), windows=[NIGHT], freezes=[freeze], emergency=True).state is WindowState.OPEN
    strict = Freeze("audit", at(0), at(23))
    assert decide(at(2), windows=[NIGHT], freezes=[strict], emergency=True).state is WindowState.FROZEN


def test_an_emergency_lifts_window_and_freeze_and_says_so() -> None:
    outside = decide(at(12), windows=[NIGHT], emergency=True)
    assert outside.state is WindowState.OPEN
    assert outside.reason == "emergency, although next window: 2025-01-16 02:00 UTC to 2025-01-16 05:00 UTC"
    assert outside.lifted == "next window: 2025-01-16 02:00 UTC to 2025-01-16 05:00 UTC"
    soft = Freeze("year end", at(0), at(23), except_emergency=True)
    assert "frozen: year end" in (decide(at(2), windows=[NIGHT], freezes=[soft], emergency=True).lifted or "")
    ordinary = decide(at(2), windows=[NIGHT], emergency=True)
    assert (ordinary.state, ordinary.lifted) == (WindowState.OPEN, None), "nothing had to be lifted"


def test_an_emergency_still_has_to_fit_before_a_strict_freeze() -> None:
    strict = Freeze("audit", at(13), at(23))
    assert decide(at(12), windows=[NIGHT], freezes=[strict], needed_seconds=60, emergency=True).lifted
    late = decide(at(12, 59), windows=[NIGHT], freezes=[strict], needed_seconds=600, emergency=True)
    assert late.state is WindowState.WAIT
    assert "no emergency lifts that freeze" in late.reason


def test_a_freeze_that_begins_soon_shortens_the_window() -> None:
    freeze = Freeze("release", at(3), at(23))
    assert decide(at(2), windows=[NIGHT], freezes=[freeze], needed_seconds=1800).state is WindowState.OPEN
    late = decide(at(2, 45), windows=[NIGHT], freezes=[freeze], needed_seconds=1800)
    assert (late.state, late.opens_at) == (WindowState.WAIT, at(2, day=16))


def berlin(start: str, day: str) -> WindowRule:
    return WindowRule(days=(day,), start=start, duration=timedelta(hours=2), timezone="Europe/Berlin")


def test_clocks_skip_the_opening() -> None:
    """On 2025-03-30 Berlin goes from 02:00 to 03:00: a window at 02:30 opens when the clocks have jumped."""
    day = datetime(2025, 3, 30, tzinfo=UTC)
    found = list(occurrences(berlin("02:30", "sun"), day, day + timedelta(hours=23)))
    opens = datetime(2025, 3, 30, 1, 0, tzinfo=UTC)
    assert found == [Interval(opens, opens + timedelta(hours=2))]


def test_clocks_show_the_opening_twice() -> None:
    """On 2025-10-26 Berlin has 02:30 twice: the window opens the first time, and once."""
    day = datetime(2025, 10, 26, tzinfo=UTC)
    found = list(occurrences(berlin("02:30", "sun"), day, day + timedelta(hours=23)))
    opens = datetime(2025, 10, 26, 0, 30, tzinfo=UTC)
    assert found == [Interval(opens, opens + timedelta(hours=2))]


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        decide(datetime(2025, 1, 15))


@given(
    now=st.datetimes(datetime(2025, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC)),
    needed=st.integers(0, 4 * 3600),
    start=st.integers(0, 23),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
)
def test_what_is_open_fits_and_what_waits_will_open(now: datetime, needed: int, start: int, zone: str) -> None:
    rule = WindowRule(("mon", "sat"), f"{start:02}:30", timedelta(hours=3), zone)
    decision = decide(now, windows=[rule], needed_seconds=needed)
    if decision.state is WindowState.OPEN:
        assert decision.opens_at is not None
        assert decision.closes_at is not None
        assert decision.opens_at <= now <= decision.closes_at - timedelta(seconds=needed)
    elif decision.state is WindowState.WAIT:
        assert decision.opens_at is not None
        assert decision.opens_at > now
        again = decide(decision.opens_at, windows=[rule], needed_seconds=needed)
        assert again.state is WindowState.OPEN
    else:
        assert decision.state is WindowState.DOES_NOT_FIT
        assert needed > 3 * 3600
