"""One Airflow DAG per migration under migrations/. A worker parses this file for one DAG and builds only that."""

from __future__ import annotations

from airflow.sdk import get_parsing_context

from airflow_migrator.catalogue_dags import build_dags

globals().update(build_dags(get_parsing_context().dag_id))
