"""The plugin's web application. Airflow does not authenticate it, so every route asks Airflow's auth manager itself."""

from __future__ import annotations

from datetime import datetime, timezone

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI
from fastapi.responses import HTMLResponse

from airflow_migrator.links import DAG_PREFIX
from airflow_migrator.ui import run_facts, run_report
from airflow_migrator.ui.page import POLICY, page
from airflow_migrator.ui.run_documents import read_document

READS = (DagAccessEntity.RUN, DagAccessEntity.TASK_INSTANCE, DagAccessEntity.XCOM)
"""What the page shows, and so what its reader must be allowed to see of this DAG."""

app = FastAPI(title="migrator", docs_url=None, redoc_url=None, openapi_url=None)


@app.get(
    "/dags/{dag_id}/runs/{run_id}",
    dependencies=[Depends(requires_access_dag(method="GET", access_entity=entity)) for entity in READS],
)
def run_page(dag_id: str, run_id: str, session: SessionDep) -> HTMLResponse:
    """One run of one migration."""
    if not dag_id.startswith(DAG_PREFIX):
        return _answer(dag_id, "This DAG is not a migration.")
    run = run_facts.read(session, dag_id, run_id)
    if run is None:
        return _answer(dag_id, "There is no such run.", status=404)
    text = run_report.report(run, read_document, now=datetime.now(timezone.utc))
    return _answer(dag_id, text, refresh=run.state in ("queued", "running"))


def _answer(title: str, text: str, *, refresh: bool = False, status: int = 200) -> HTMLResponse:
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
    return HTMLResponse(page(title, text, refresh=refresh), status_code=status, headers=headers)
