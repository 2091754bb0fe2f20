"""One Airflow DAG per migration under migrations/. A worker parses this file for one DAG and builds only that."""

from __future__ import annotations

from airflow.sdk import get_parsing_context

from airflow_migrator.building.catalogue_dags import build_dags

wanted = get_parsing_context()
globals().update(build_dags(wanted.dag_id, task_id=wanted.task_id))
