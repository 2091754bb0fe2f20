"""The routes with which a person lets a run wait: which address, which right, and what a form may bring along."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of Starlette, about a package that Airflow's own dependencies do not bring along
    from airflow.api_fastapi.common.db.common import _get_session
    from airflow.api_fastapi.core_api import security
    from fastapi.testclient import TestClient

from airflow.models import DagModel

from airflow_migrator.ui import app as ui
from airflow_migrator.ui import run_facts, run_progress, run_report
from airflow_migrator.ui.run_facts import RunFacts
from migrator.errors import UsageError
from tests.factories import NOW, make_plan

PAGE = "/dags/migrate_001_test/runs/manual__2026-01-02T03:04:05+00:00"
RUN_ID = "manual__2026-01-02T03:04:05+00:00"


class Person:
    def get_name(self) -> str:
        return "carol"


class Manager:
    """Says yes to those rights only."""

    def __init__(self, *rights: tuple[str, str]) -> None:
        self.rights = rights

    def is_authorized_dag(self, *, method: str, access_entity: Any, details: Any, user: Any) -> bool:
        return (method, access_entity.name) in self.rights


READER = tuple(("GET", entity.name) for entity in ui.READS)
OPERATOR = (*READER, ("PUT", "RUN"))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What reaches the ledger."""
    found: list[tuple[str, ...]] = []

    def ask(run: RunFacts, plan: Any, kind: str, *, actor: str, reason: str) -> None:
        if reason == "twice":
            raise UsageError("it is <paused> already")
        found.append((run.run_id, kind, actor, reason))

    monkeypatch.setattr(run_progress, "ask", ask)
    monkeypatch.setattr(run_report, "plan_of", lambda run, read: make_plan())
    monkeypatch.setattr(
        run_facts, "read", lambda session, dag, run: RunFacts(dag, run, "running", "carol", NOW, {}, ())
    )
    return found


def client(monkeypatch: pytest.MonkeyPatch, *rights: tuple[str, str]) -> TestClient:
    monkeypatch.setattr(security, "get_auth_manager", lambda: Manager(*rights))
    monkeypatch.setattr(DagModel, "get_team_name", staticmethod(lambda dag_id: None))
    monkeypatch.setitem(ui.app.dependency_overrides, security.get_user, Person)
    monkeypatch.setitem(ui.app.dependency_overrides, _get_session, lambda: None)
    return TestClient(ui.app, follow_redirects=False)


def test_an_operator_pauses_and_comes_back_to_the_page(
    monkeypatch: pytest.MonkeyPatch, asked: list[tuple[str, ...]]
) -> None:
    people = client(monkeypatch, *OPERATOR)
    form = people.get(f"{PAGE}/pause")
    assert form.status_code == 200
    assert '<form method="post">' in form.text
    assert "http-equiv" not in form.text, "a page that is loaded again forgets what somebody types"
    answer = people.post(f"{PAGE}/pause", data={"reason": " a sale & more "})
    assert answer.status_code == 303
    assert answer.headers["location"] == "../manual__2026-01-02T03%3A04%3A05%2B00%3A00"
    assert asked == [(RUN_ID, "pause", "carol", "a sale & more")]


def test_the_button_leads_to_that_form() -> None:
    assert 'href="manual__2026-01-02T03%3A04%3A05%2B00%3A00/resume"' in run_progress.button(RUN_ID, "resume")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_who_may_not_edit_runs_may_not_ask(
    method: str, monkeypatch: pytest.MonkeyPatch, asked: list[tuple[str, ...]]
) -> None:
    assert client(monkeypatch, *READER).request(method, f"{PAGE}/pause").status_code == 403
    assert asked == []


def test_another_site_and_another_verb_change_nothing(
    monkeypatch: pytest.MonkeyPatch, asked: list[tuple[str, ...]]
) -> None:
    people = client(monkeypatch, *OPERATOR)
    assert people.post(f"{PAGE}/pause", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert people.post(f"{PAGE}/drop").status_code == 422
    assert asked == []


def test_a_refusal_is_told(monkeypatch: pytest.MonkeyPatch, asked: list[tuple[str, ...]]) -> None:
    answer = client(monkeypatch, *OPERATOR).post(f"{PAGE}/pause", data={"reason": "twice"})
    assert answer.status_code == 409
    assert "Nothing was changed: it is &lt;paused&gt; already" in answer.text
