"""One run, `lead_time` before the maintenance window; late while the window is not over, and never afterwards.

Airflow's EventsTimetable drops an event that is five minutes late, and with `@once` a DAG that is unpaused after its
window would run at once. Here the window's end decides: who missed it must write a new schedule, not be surprised.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pendulum
from airflow.timetables.base import DagRunInfo, DataInterval, Timetable

if TYPE_CHECKING:
    from airflow.timetables.base import TimeRestriction

MINUTE = "%Y-%m-%d %H:%M %Z"


class MaintenanceWindowTimetable(Timetable):
    """
    :param window_start: when the window opens, ISO 8601 with offset.
    :param window_end: when it closes.
    :param run_at: when the run starts: early enough for the snapshot, the dry run and the reviews.
    :param timezone_name: the zone that the author wrote, for the description.
    """

    periodic = False
    can_be_scheduled = True
    active_runs_limit = 1

    def __init__(self, *, window_start: str, window_end: str, run_at: str, timezone_name: str = "UTC") -> None:
        self.window_start = window_start
        self.window_end = window_end
        self.run_at = run_at
        self.timezone_name = timezone_name

    @property
    def description(self) -> str:  # type: ignore[override]
        return f"Once at {self._local(self.run_at):{MINUTE}}, for the maintenance window {self.summary}"

    @property
    def summary(self) -> str:
        return f"{self._local(self.window_start):{MINUTE}} to {self._local(self.window_end):%H:%M}"

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """The one run, unless it was made already or its window is over.

        `restriction.earliest` is not looked at: without catchup it is the present, and would drop a run that is late.
        The data interval reaches from the run to the opening of its window. It starts at the run because Airflow holds
        tasks back whose logical date is in the future, and its end tells whether this window had its run: editing the
        lead time or the duration makes no second run, a new window does.
        """
        run_at, opens = _instant(self.run_at), _instant(self.window_start)
        if last_automated_data_interval is not None and last_automated_data_interval.end == opens:
            return None
        if restriction.latest is not None and run_at > restriction.latest:
            return None
        if datetime.now(timezone.utc) >= _instant(self.window_end):
            return None
        return DagRunInfo(run_after=run_at, data_interval=DataInterval(start=run_at, end=opens))

    def infer_manual_data_interval(self, *, run_after: pendulum.DateTime) -> DataInterval:
        return DataInterval.exact(run_after)

    def serialize(self) -> dict[str, Any]:
        return {
            "window_start": self.window_start,
            "window_end": self.window_end,
            "run_at": self.run_at,
            "timezone_name": self.timezone_name,
        }

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> MaintenanceWindowTimetable:
        return cls(**data)

    def _local(self, instant: str) -> datetime:
        return datetime.fromisoformat(instant).astimezone(ZoneInfo(self.timezone_name))


def _instant(text: str) -> pendulum.DateTime:
    return pendulum.instance(datetime.fromisoformat(text)).in_timezone("UTC")
