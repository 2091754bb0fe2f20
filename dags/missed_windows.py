"""Every hour: tell people about migrations whose maintenance window passed without them."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_migrator.access import operations_access
from airflow_migrator.operators.missed_windows import MissedWindowsOperator

with DAG(
    "missed_windows",
    description="Report migrations whose maintenance window passed without them",
    schedule="@hourly",
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    access_control=operations_access(),
    tags=["migrator", "operations"],
    doc_md=__doc__,
):
    MissedWindowsOperator(task_id="report", retries=0)
