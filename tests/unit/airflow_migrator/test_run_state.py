"""What Airflow says of the run that a ledger's row names: whether somebody works on it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from airflow_migrator import run_state
from airflow_migrator.run_state import Look, look, state_of
from migrator.operations.reconcile import RunState
from tests.unit.ledger_rows import migration_row

ROW = migration_row(version="001_one", run_id="manual__1")
Say = Callable[..., None]


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Say:
    """Gives a function that says what Airflow's database holds."""
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    def say(run: str | None, *tasks: str | None, paused: bool = False) -> None:
        def get_dr_count(dag_id: str, *, run_ids: list[str], states: list[str] | None = None) -> int:
            assert (dag_id, run_ids) == ("migrate_001_one", ["manual__1"])
            return int(run is not None and (states is None or run in states))

        def get_ti_count(dag_id: str, *, run_ids: list[str], states: list[str]) -> int:
            assert (dag_id, run_ids) == ("migrate_001_one", ["manual__1"])
            return sum(task in states for task in tasks)

        monkeypatch.setattr(RuntimeTaskInstance, "get_dr_count", staticmethod(get_dr_count))
        monkeypatch.setattr(RuntimeTaskInstance, "get_ti_count", staticmethod(get_ti_count))
        monkeypatch.setattr(
            RuntimeTaskInstance, "get_dag", staticmethod(lambda dag_id: SimpleNamespace(is_paused=paused))
        )

    return say


@pytest.mark.parametrize(
    "run, tasks, expected",
    [
        ("running", ("success", "running"), Look(RunState.ACTIVE)),
        ("running", ("success", "deferred"), Look(RunState.ACTIVE)),
        ("running", ("success", "awaiting_input"), Look(RunState.ACTIVE)),
        ("running", ("success", None), Look(RunState.IDLE)),
        ("running", ("success", "up_for_retry"), Look(RunState.IDLE, due=True)),
        ("failed", ("failed", None), Look(RunState.OVER)),
        ("success", ("running",), Look(RunState.ACTIVE)),
        (None, (), Look(RunState.UNKNOWN)),
    ],
)
def test_whether_somebody_works_on_it(airflow: Say, run: str | None, tasks: tuple[str, ...], expected: Look) -> None:
    airflow(run, *tasks)
    assert look(ROW) == expected


def test_what_is_due_runs_unless_it_is_kept_back(airflow: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = SimpleNamespace(migrations=[SimpleNamespace(version="001_one")])
    monkeypatch.setattr("migrator.catalogue.catalogue.load_catalogue", lambda *args, **kwargs: catalogue)
    airflow("running", "up_for_retry")
    assert state_of(ROW) is RunState.ACTIVE
    airflow("running", None)
    assert state_of(ROW) is RunState.IDLE, "nothing is due, and the scheduler is at work"
    airflow("running", "up_for_retry", paused=True)
    assert state_of(ROW) is RunState.IDLE
    catalogue.migrations.clear()
    airflow("running", "scheduled")
    assert state_of(ROW) is RunState.IDLE, "its DAG is not built any more"


def test_runs_of_another_airflow_are_its_own_business(airflow: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two deployments may look after one database; neither knows the other's runs."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.wakala.com")
    airflow(None)
    page = "/dags/migrate_001_one/runs/manual__1"
    assert run_state.state_of(migration_row(run_url="https://staging.wakala.com" + page)) is RunState.ELSEWHERE
    assert (
        run_state.state_of(
            migration_row(run_url="https://airflow.wakala.com" + page, version="001_one", run_id="manual__1")
        )
        is RunState.GONE
    )
    nobodys = migration_row(run_url=None, version="001_one", run_id="manual__1")
    assert run_state.state_of(nobodys) is RunState.UNKNOWN
