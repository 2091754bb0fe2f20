"""What Airflow's database knows of one run: its tasks, and the references to its documents that they left in XCom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.models import DagModel
    from sqlalchemy.orm import Session

RETURNED = "return_value"
LEAVE_SOMETHING = frozenset(
    {"analyze", "snapshot", "restore_test", "dry_run", "review", "preflight", "apply", "verify", "rollback", "outcome"}
)
"""Stages that put something into XCom whenever they have done their work."""
MARKING = "patch_task_instance%"
"""Events of Airflow's audit log for a state that somebody has set: airflow.api_fastapi.logging.decorators."""


@dataclass(frozen=True)
class TaskFacts:
    task_id: str
    state: str | None
    """Airflow's; None when it has not been scheduled yet."""
    started: datetime | None = None
    ended: datetime | None = None
    left: Mapping[str, Any] = field(default_factory=dict)
    """XCom by key."""
    tries: int = 0
    """How often it has run; clearing it does not forget that."""
    marked_by: str = ""
    """Who has set its state in the UI or by the API, the last time."""

    @property
    def returned(self) -> Mapping[str, Any]:
        value = self.left.get(RETURNED)
        return value if isinstance(value, Mapping) else {}

    @property
    def by_hand(self) -> bool:
        """Done as Airflow has it, and without what the stage leaves when it is: somebody has marked it."""
        return self.state == "success" and self.stage in LEAVE_SOMETHING and not self.left

    @property
    def stage(self) -> str:
        """`apply.create_index` is of the stage apply."""
        return self.task_id.partition(".")[0]


@dataclass(frozen=True)
class RunFacts:
    dag_id: str
    run_id: str
    state: str
    by: str
    """Who started it."""
    started: datetime | None
    conf: Mapping[str, Any]
    tasks: tuple[TaskFacts, ...]
    """In the order in which they began; those that have not, last."""
    kept_back: str = ""
    """Why Airflow executes nothing of a run that is not over, in words; empty: nothing keeps it back."""

    def task(self, task_id: str) -> TaskFacts:
        return next((task for task in self.tasks if task.task_id == task_id), TaskFacts(task_id, None))


def read(session: Session, dag_id: str, run_id: str) -> RunFacts | None:
    """None when there is no such run."""
    from airflow.models import DagModel, Log
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
    if run is None:
        return None
    left: dict[str, dict[str, Any]] = {}
    entries = select(XComModel).where(XComModel.dag_id == dag_id, XComModel.run_id == run_id)
    for entry in session.scalars(entries):
        left.setdefault(entry.task_id, {})[entry.key] = XComModel.deserialize_value(entry)
    marks = select(Log).where(Log.dag_id == dag_id, Log.run_id == run_id, Log.event.like(MARKING)).order_by(Log.dttm)
    marked = {one.task_id: one.owner or "" for one in session.scalars(marks)}
    found = session.scalars(select(TaskInstance).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id))
    tasks = [
        TaskFacts(
            one.task_id,
            None if one.state is None else str(getattr(one.state, "value", one.state)),
            one.start_date,
            one.end_date,
            left.get(one.task_id, {}),
            one.try_number or 0,
            marked.get(one.task_id, ""),
        )
        for one in found
    ]
    state = str(getattr(run.state, "value", run.state))
    others = select(DagRun.run_id).where(DagRun.dag_id == dag_id, DagRun.state == "running", DagRun.run_id != run_id)
    return RunFacts(
        kept_back=kept_back(state, session.get(DagModel, dag_id), session.scalar(others), run.logical_date),
        dag_id=dag_id,
        run_id=run_id,
        state=state,
        by=run.triggering_user_name or ("the schedule" if str(run.run_type).endswith("scheduled") else "airflow"),
        started=run.start_date,
        conf=run.conf or {},
        tasks=tuple(sorted(tasks, key=lambda task: (task.started is None, task.started and task.started.timestamp()))),
    )


def kept_back(state: str, dag: DagModel | None, other: str | None, logical_date: datetime | None = None) -> str:
    """See `RunFacts.kept_back`.

    :param other: another run of the same DAG that goes on.
    """
    if state not in ("queued", "running"):
        return ""
    if dag is None or dag.is_stale:
        return "the migration's DAG is not there any more: look at the DAG's import errors, and whether its folder is"
    if dag.is_paused:
        return "the DAG is paused: switch it on beside its name, and it goes on"
    if logical_date is not None and logical_date > datetime.now(timezone.utc):
        return (
            f"its logical date is {logical_date:%Y-%m-%d}, and Airflow executes nothing of it before: mark the run"
            " failed, and start one without a logical date"
        )
    if state == "queued" and other is not None:
        return f"another run of this migration goes on, {other}: one is active at a time"
    return ""
