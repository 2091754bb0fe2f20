"""When migrations run: by hand, or once, `lead_time` before the maintenance window.

The one run is late while the window is not over, and never made afterwards. Airflow's EventsTimetable drops an event
that is five minutes late, and with `@once` a DAG that is unpaused after its window would run at once. Here the window's
end decides: who missed it must write a new schedule, not be surprised.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pendulum
from airflow.timetables.base import DagRunInfo, DataInterval, Timetable

if TYPE_CHECKING:
    from airflow.timetables.base import TimeRestriction
    from airflow.utils.types import DagRunType
    from pendulum import DateTime

CLOCKS = timedelta(minutes=1)
"""So much a person's clock may be ahead."""
MINUTE = "%Y-%m-%d %H:%M %Z"


class ByHandTimetable(Timetable):
    """Never by itself, and by nobody for the future.

    A run with a logical date in the future is started by Airflow at once, but none of its tasks before that date
    (RunnableExecDateDep in airflow/ti_deps/deps/runnable_exec_date_dep.py): it would keep all other runs of the
    migration waiting, since one is active at a time.
    """

    periodic = False
    can_be_scheduled = False
    description = "Never by itself: somebody starts it"

    @property
    def summary(self) -> str:
        return "by hand"

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        return None

    def infer_manual_data_interval(self, *, run_after: pendulum.DateTime) -> DataInterval:
        """:raises ValueError: of a logical date in the future; the API answers 400 with it."""
        _refuse_future(run_after)
        return DataInterval.exact(run_after)

    def generate_run_id(
        self, *, run_type: DagRunType, run_after: DateTime, data_interval: DataInterval | None, **extra: Any
    ) -> str:
        """:raises ValueError: as above, where the data interval was given along."""
        if run_type == "manual" and data_interval is not None:
            _refuse_future(data_interval.start)
        return super().generate_run_id(run_type=run_type, run_after=run_after, data_interval=data_interval, **extra)

    def serialize(self) -> dict[str, Any]:
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Timetable:
        return cls()


class MaintenanceWindowTimetable(ByHandTimetable):
    """
    :param window_start: when the window opens, ISO 8601 with offset.
    :param window_end: when it closes.
    :param run_at: when the run starts: early enough for the snapshot, the dry run and the reviews.
    :param timezone_name: the zone that the author wrote, for the description.
    """

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


def _refuse_future(logical_date: datetime) -> None:
    if logical_date > datetime.now(timezone.utc) + CLOCKS:
        raise ValueError(
            f"the logical date {logical_date:{MINUTE}} lies in the future: Airflow would begin this run now, execute"
            " nothing of it until then, and keep all other runs of the migration waiting. leave the logical date empty;"
            " when the migration is applied is its window's matter (`schedule` in its metadata)"
        )


def _instant(text: str) -> pendulum.DateTime:
    return pendulum.instance(datetime.fromisoformat(text)).in_timezone("UTC")
