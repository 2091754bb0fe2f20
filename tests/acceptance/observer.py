"""A person's session that looks at states in Airflow's database.

A dozen cases that ask the API four times a second would keep it from serving the tasks themselves. What a person does
still goes through the API.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

from sandbox.rest import Airflow

TASKS = "SELECT task_id, state, try_number, pid FROM task_instance WHERE dag_id = %s AND run_id = %s"
RUN = "SELECT state FROM dag_run WHERE dag_id = %s AND run_id = %s"


class Observer(Airflow):
    def __init__(self, url: str, user: str, password: str, metadata_uri: str) -> None:
        super().__init__(url, user=user, password=password, timeout_seconds=90)
        self._metadata = psycopg.connect(metadata_uri, autocommit=True, row_factory=dict_row)

    def close(self) -> None:
        self._metadata.close()
        super().close()

    def page(self, dag_id: str, run_id: str) -> str:
        """The run's tab "Migration", as the browser gets it."""
        return str(self.text(f"/migrator/dags/{dag_id}/runs/{run_id}"))

    def run_state(self, dag_id: str, run_id: str) -> str:
        (row,) = self._metadata.execute(RUN, (dag_id, run_id)).fetchall()
        return str(row["state"])

    def states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        return {row["task_id"]: row["state"] for row in self._metadata.execute(TASKS, (dag_id, run_id)).fetchall()}

    def task(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """Only state, try_number and pid."""
        rows = self._metadata.execute(TASKS + " AND task_id = %s", (dag_id, run_id, task_id)).fetchall()
        (row,) = rows
        return row
