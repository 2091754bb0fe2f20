"""The operational DAGs: wiring, and what their tasks do about targets before they touch one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.exceptions import AirflowFailException

from airflow_migrator.operators.housekeeping import HousekeepingTargetsOperator
from airflow_migrator.settings import Settings, read_settings


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
    assert sorted(housekeeping.task_ids) == ["copies", "costs", "janitor", "ledger", "snapshots", "targets"]
    for name in ("copies", "costs", "janitor", "ledger", "snapshots"):
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
