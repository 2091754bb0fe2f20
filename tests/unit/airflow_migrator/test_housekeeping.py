"""The operational DAGs: wiring, and what their tasks do about targets before they touch one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.exceptions import AirflowFailException

from airflow_migrator.operators.housekeeping import HousekeepingTargetsOperator, _asking
from airflow_migrator.settings import Settings, read_settings
from migrator.operations.reconcile import RunState
from tests.unit.ledger_rows import migration_row


def load(path: Path) -> DAG:
    names: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), names)
    (dag,) = [value for value in names.values() if isinstance(value, DAG)] or [
        names["targets"].dag,
    ]
    return dag


@pytest.fixture
def housekeeping(repository: Path, monkeypatch: pytest.MonkeyPatch) -> DAG:
    monkeypatch.delenv("MIGRATOR_HOUSEKEEPING", raising=False)
    return load(repository / "dags" / "housekeeping.py")


def test_one_mapped_task_a_target_and_concern(housekeeping: DAG) -> None:
    assert sorted(housekeeping.task_ids) == ["copies", "ledger", "snapshots", "targets"]
    for name in ("copies", "ledger", "snapshots"):
        task = housekeeping.get_task(name)
        assert isinstance(task, MappedOperator)
        assert task.upstream_task_ids == {"targets"}, "no concern waits for another"
        assert not task.downstream_task_ids


def test_runs_every_hour_unless_the_deployment_says_otherwise(housekeeping: DAG) -> None:
    assert housekeeping.schedule == "@hourly"
    assert housekeeping.max_active_runs == 1
    assert not housekeeping.catchup
    assert read_settings({"MIGRATOR_HOUSEKEEPING": "*/5 * * * *"}).housekeeping == "*/5 * * * *"
    assert read_settings({"MIGRATOR_HOUSEKEEPING": "none"}).housekeeping is None


@pytest.mark.parametrize("only, expected", [(None, ["development", "production"]), (["production"], ["production"])])
def test_targets_are_read_when_the_run_starts(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, only: list[str] | None, expected: list[str]
) -> None:
    monkeypatch.setenv("MIGRATOR_TARGETS", str(settings.targets))
    assert HousekeepingTargetsOperator(task_id="targets", only=only).execute({}) == expected


def test_a_target_that_does_not_exist_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIGRATOR_TARGETS", str(settings.targets))
    with pytest.raises(AirflowFailException, match="did you mean 'production'"):
        HousekeepingTargetsOperator(task_id="targets", only=["prodution"]).execute({})


@pytest.mark.parametrize(
    "states, expected", [(["running"], RunState.ACTIVE), (["failed"], RunState.OVER), ([], RunState.GONE)]
)
def test_what_airflow_says_of_a_run(states: list[str], expected: RunState) -> None:
    asked: list[tuple[str, list[str]]] = []

    def get_dr_count(dag_id: str, *, run_ids: list[str], states: list[str] | None = None) -> int:
        asked.append((dag_id, run_ids))
        return sum(1 for state in there if states is None or state in states)

    there = states
    row = migration_row(version="001_one", run_id="manual__1")
    assert _asking(SimpleNamespace(get_dr_count=get_dr_count))(row) is expected
    assert set(map(str, asked)) == {str(("migrate_001_one", ["manual__1"]))}


def test_runs_of_another_airflow_are_its_own_business(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two deployments may look after one database; neither knows the other's runs."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.wakala.com")
    state_of = _asking(SimpleNamespace(get_dr_count=lambda *args, **kwargs: 0))
    page = "/dags/migrate_001_one/runs/manual__1"
    assert state_of(migration_row(run_url="https://staging.wakala.com" + page)) is RunState.ELSEWHERE
    assert state_of(migration_row(run_url="https://airflow.wakala.com" + page)) is RunState.GONE
    assert state_of(migration_row(run_url=None)) is RunState.GONE
