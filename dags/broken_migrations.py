"""No DAG: an import error that lists every broken migration with file, line and key, gone once they are repaired.

It is a file of its own because an import error makes all DAGs of its file stale, and stale DAGs do not run.
"""

from __future__ import annotations

from airflow.sdk import get_parsing_context

from airflow_migrator.building.catalogue_dags import raise_problems

if get_parsing_context().dag_id is None:
    raise_problems()
