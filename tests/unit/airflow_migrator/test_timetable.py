"""The maintenance window's timetable: once, late if need be, never after the window."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pendulum
import pytest
from airflow.serialization.decoders import decode_timetable
from airflow.serialization.encoders import encode_timetable
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction, Timetable
from airflow.utils.types import DagRunType

from airflow_migrator import timetable as module
from airflow_migrator.timetable import ByHandTimetable, MaintenanceWindowTimetable

OPENS = datetime(2026, 3, 10, 2, 0, tzinfo=timezone.utc)
CLOSES = OPENS + timedelta(hours=3)
RUN_AT = OPENS - timedelta(hours=4)
ANY_TIME = TimeRestriction(earliest=None, latest=None, catchup=False)


def make(**changes: Any) -> MaintenanceWindowTimetable:
    values = {
        "window_start": OPENS.isoformat(),
        "window_end": CLOSES.isoformat(),
        "run_at": RUN_AT.isoformat(),
        "timezone_name": "UTC",
        **changes,
    }
    return MaintenanceWindowTimetable(**values)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set the clock that the timetable looks at."""

    def set_clock(now: datetime) -> None:
        class Clock(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:
                return now.astimezone(tz)

        monkeypatch.setattr(module, "datetime", Clock)

    return set_clock


def next_run(
    timetable: MaintenanceWindowTimetable,
    last: DataInterval | None = None,
    restriction: TimeRestriction = ANY_TIME,
) -> DagRunInfo | None:
    return timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)


def test_runs_lead_time_before_the_window(at: Any) -> None:
    at(RUN_AT - timedelta(days=30))
    found = next_run(make())
    assert found is not None
    assert found.run_after == RUN_AT
    assert found.logical_date == RUN_AT, "Airflow holds back tasks whose logical date is in the future"
    assert found.data_interval is not None
    assert found.data_interval.end == OPENS


@pytest.mark.parametrize("late", [timedelta(minutes=6), timedelta(hours=4), timedelta(hours=6, minutes=59)])
def test_a_late_scheduler_still_runs_it_while_the_window_is_not_over(at: Any, late: timedelta) -> None:
    at(RUN_AT + late)
    # What Airflow passes without catchup: the present as the earliest time.
    restriction = TimeRestriction(earliest=pendulum.instance(RUN_AT + late), latest=None, catchup=False)
    found = next_run(make(), restriction=restriction)
    assert found is not None
    assert found.run_after == RUN_AT


@pytest.mark.parametrize("late", [timedelta(0), timedelta(seconds=1), timedelta(days=400)])
def test_a_window_that_is_over_never_runs(at: Any, late: timedelta) -> None:
    at(CLOSES + late)
    assert next_run(make()) is None


def test_runs_once(at: Any) -> None:
    at(RUN_AT + timedelta(minutes=1))
    first = next_run(make())
    assert first is not None
    assert next_run(make(), last=first.data_interval) is None


def test_editing_the_lead_time_or_the_duration_is_no_second_run(at: Any) -> None:
    at(RUN_AT)
    first = next_run(make())
    assert first is not None
    edited = make(
        run_at=(RUN_AT - timedelta(hours=1)).isoformat(), window_end=(CLOSES + timedelta(hours=1)).isoformat()
    )
    assert next_run(edited, last=first.data_interval) is None


@pytest.mark.parametrize("days", [7, -1])
def test_a_new_window_is_a_new_run(at: Any, days: int) -> None:
    at(RUN_AT - timedelta(days=5))
    moved = timedelta(days=days)
    last = DataInterval(start=pendulum.instance(RUN_AT), end=pendulum.instance(OPENS))
    found = next_run(
        make(
            window_start=(OPENS + moved).isoformat(),
            window_end=(CLOSES + moved).isoformat(),
            run_at=(RUN_AT + moved).isoformat(),
        ),
        last=last,
    )
    assert found is not None
    assert found.run_after == RUN_AT + moved


def test_the_end_of_the_dag_counts(at: Any) -> None:
    at(RUN_AT - timedelta(days=1))
    ended = TimeRestriction(earliest=None, latest=pendulum.instance(RUN_AT - timedelta(hours=1)), catchup=False)
    assert next_run(make(), restriction=ended) is None


def test_survives_serialisation_by_name_of_the_plugin() -> None:
    before = make(timezone_name="Europe/Berlin")
    encoded = encode_timetable(before)
    after = decode_timetable(encoded)
    assert encoded["__type"] == "airflow_migrator.timetable.MaintenanceWindowTimetable"
    assert after.serialize() == before.serialize()
    assert after.summary == before.summary


def test_describes_itself_in_the_zone_of_its_author() -> None:
    timetable = make(timezone_name="Europe/Berlin")
    assert timetable.summary == "2026-03-10 03:00 CET to 06:00"
    assert timetable.description == (
        "Once at 2026-03-09 23:00 CET, for the maintenance window 2026-03-10 03:00 CET to 06:00"
    )


def test_a_manual_run_has_its_own_moment() -> None:
    now = pendulum.datetime(2026, 1, 1)
    assert make().infer_manual_data_interval(run_after=now) == DataInterval.exact(now)


@pytest.mark.parametrize("timetable", [make(), ByHandTimetable()], ids=["window", "by hand"])
def test_nobody_starts_a_run_of_the_future(timetable: Timetable, at: Any) -> None:
    """Airflow would begin it, execute nothing of it, and keep all others waiting."""
    at(RUN_AT)
    now, later = pendulum.instance(RUN_AT), pendulum.instance(RUN_AT + timedelta(days=1000))
    assert timetable.infer_manual_data_interval(run_after=now) == DataInterval.exact(now)
    with pytest.raises(ValueError, match=r"lies in the future.*leave the logical date empty"):
        timetable.infer_manual_data_interval(run_after=later)
    given = {"run_type": DagRunType.MANUAL, "run_after": now}
    with pytest.raises(ValueError, match="lies in the future"):
        timetable.generate_run_id(**given, data_interval=DataInterval.exact(later))
    assert timetable.generate_run_id(**given, data_interval=DataInterval.exact(now)).startswith("manual__")
    assert timetable.generate_run_id(**given, data_interval=None).startswith("manual__")


def test_by_hand_never_runs_by_itself() -> None:
    timetable = ByHandTimetable()
    assert timetable.next_dagrun_info(last_automated_data_interval=None, restriction=ANY_TIME) is None
    assert isinstance(decode_timetable(encode_timetable(timetable)), ByHandTimetable)
