"""Questions among Airflow's required actions, and that a question that is asked again shows its new text.

Airflow 3.3.2 keeps one request for a task of a run: when the task is cleared or tried anew, the old row moves along by
ON UPDATE CASCADE, its answer is emptied, and its text stays (apache/airflow#73235). People would read one plan and
approve another. So the old request is removed when Airflow copies it into its history, where it can be read as before.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_migrator.links import DAG_PREFIX

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.execution_time.hitl import HITLUser

HISTORY = "airflow.models.hitl_history"


def put(
    context: Context,
    *,
    subject: str,
    body: str,
    options: Sequence[str],
    params: Mapping[str, Mapping[str, Any]] | None = None,
    people: Sequence[HITLUser] = (),
) -> str:
    """Ask. Returns the text that Airflow shows, which is not this one where `forget` was not at work."""
    from airflow.sdk.api.datamodels._generated import HITLUser as Person
    from airflow.sdk.execution_time.comms import CreateHITLDetailPayload
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    shown = SUPERVISOR_COMMS.send(
        msg=CreateHITLDetailPayload(
            ti_id=context["ti"].id,
            options=list(options),
            subject=subject,
            body=body,
            defaults=None,
            multiple=False,
            params={name: dict(value) for name, value in (params or {}).items()},
            assigned_users=[Person(id=one["id"], name=one["name"]) for one in people],
        )
    )
    return getattr(shown, "body", None) or ""


def watch() -> None:
    """Be called when a try ends, in the processes that end it: those that have Airflow's own database."""
    if HISTORY not in sys.modules:
        return
    from airflow.models.hitl_history import HITLDetailHistory
    from sqlalchemy import event

    if not event.contains(HITLDetailHistory, "after_insert", forget):
        event.listen(HITLDetailHistory, "after_insert", forget)


def forget(_mapper: Any, connection: Any, kept: Any) -> None:
    """Remove the request of which a copy was just written, when it is one of ours."""
    from airflow.models.hitl import HITLDetail
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import delete, select

    ours = select(TaskInstance.id).where(TaskInstance.dag_id.startswith(DAG_PREFIX, autoescape=True))
    old = HITLDetail.ti_id == kept.ti_history_id
    connection.execute(delete(HITLDetail).where(old, HITLDetail.ti_id.in_(ours)))
