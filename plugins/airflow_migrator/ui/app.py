"""The plugin's web application. Airflow does not authenticate it, so every route asks Airflow's auth manager itself."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated, Literal
from urllib.parse import parse_qs, quote

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import ResourceMethod
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from airflow.models import DagModel
from fastapi import Depends, FastAPI, Header, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from airflow_migrator.links import DAG_PREFIX
from airflow_migrator.ui import run_facts, run_progress, run_report
from airflow_migrator.ui.page import POLICY, page
from airflow_migrator.ui.run_documents import read_document
from migrator.errors import MigratorError
from migrator.reports.markup import text

READS = (DagAccessEntity.RUN, DagAccessEntity.TASK_INSTANCE, DagAccessEntity.XCOM)
"""What the page shows, and so what its reader must be allowed to see of this DAG."""
ASKING: ResourceMethod = "PUT"
"""Of the runs of this DAG, by whoever lets one wait or go on: reviewers may not, though they may edit the DAG."""

Kind = Literal["pause", "resume"]

app = FastAPI(title="migrator", docs_url=None, redoc_url=None, openapi_url=None)


@app.get(
    "/dags/{dag_id}/runs/{run_id}",
    dependencies=[Depends(requires_access_dag(method="GET", access_entity=entity)) for entity in READS],
)
def run_page(dag_id: str, run_id: str, session: SessionDep, user: GetUserDep) -> HTMLResponse:
    """One run of one migration."""
    if not dag_id.startswith(DAG_PREFIX):
        return _answer(dag_id, "This DAG is not a migration.")
    run = run_facts.read(session, dag_id, run_id)
    if run is None:
        return _answer(dag_id, "There is no such run.", status=404)
    progress = run_progress.read(run, run_report.plan_of(run, read_document)) if run_progress.applies(run) else None
    told = progress.markdown if progress is not None else ""
    report = run_report.report(run, read_document, now=datetime.now(timezone.utc), progress=told)
    may = progress is not None and progress.asks and _may_ask(dag_id, user)
    button = run_progress.button(run_id, progress.asks) if progress is not None and may else ""
    return _answer(dag_id, report, refresh=run.state in ("queued", "running"), form=button)


async def reason_given(request: Request) -> str:
    """What stands in the form's one field."""
    given = parse_qs((await request.body()).decode("utf-8", "replace")).get("reason", [""])
    return given[0].strip()[:500]


MAY_ASK = [
    *(Depends(requires_access_dag(method="GET", access_entity=entity)) for entity in READS),
    Depends(requires_access_dag(method=ASKING, access_entity=DagAccessEntity.RUN)),
]


@app.get("/dags/{dag_id}/runs/{run_id}/{kind}", dependencies=MAY_ASK)
def ask_why(dag_id: str, run_id: str, kind: Kind) -> HTMLResponse:
    """The form that asks for the reason."""
    return _answer(dag_id, "", form=run_progress.form(kind, dag_id.removeprefix(DAG_PREFIX)))


@app.post("/dags/{dag_id}/runs/{run_id}/{kind}", dependencies=MAY_ASK)
def ask(
    dag_id: str,
    run_id: str,
    kind: Kind,
    session: SessionDep,
    user: GetUserDep,
    reason: Annotated[str, Depends(reason_given)],
    sec_fetch_site: Annotated[str, Header()] = "same-origin",
) -> Response:
    """A person lets the running step wait, or go on; back to the page then."""
    if sec_fetch_site != "same-origin":
        return _answer(dag_id, "This was asked by another site.", status=403)
    run = run_facts.read(session, dag_id, run_id) if dag_id.startswith(DAG_PREFIX) else None
    if run is None:
        return _answer(dag_id, "There is no such run.", status=404)
    try:
        plan = run_report.plan_of(run, read_document)
        run_progress.ask(run, plan, kind, actor=user.get_name(), reason=reason)
    except MigratorError as exc:
        return _answer(dag_id, f"Nothing was changed: {text(str(exc))}", status=409)
    return RedirectResponse(f"../{quote(run_id, safe='')}", status_code=303)


def _may_ask(dag_id: str, user: BaseUser) -> bool:
    """As `ask` itself is authorised, so that nobody sees a button that refuses."""
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    manager = get_auth_manager()
    return manager.is_authorized_dag(method=ASKING, access_entity=DagAccessEntity.RUN, details=details, user=user)


def _answer(title: str, content: str, *, refresh: bool = False, status: int = 200, form: str = "") -> HTMLResponse:
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
    return HTMLResponse(page(title, content, refresh=refresh, form=form), status_code=status, headers=headers)
