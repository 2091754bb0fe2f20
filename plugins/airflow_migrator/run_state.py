"""What Airflow knows of the run that a ledger's row names. Asked from a worker or from the triggerer, never by SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow.sdk import conf

if TYPE_CHECKING:
    from migrator.ledger.rows import LedgerMigration
    from migrator.operations.reconcile import RunState

GOES_ON = ("queued", "running")
WORKING = ("queued", "running", "restarting", "deferred", "awaiting_input")
"""Tasks that somebody or something is at, or waits for."""
DUE = ("scheduled", "up_for_retry", "up_for_reschedule")
"""Tasks that will run, unless the DAG is paused or gone."""


@dataclass(frozen=True)
class Look:
    """What is asked from outside, where nobody can know whether the DAG is paused or gone."""

    state: RunState
    due: bool = False
    """IDLE, but a task of it is to run when its time has come."""


def look(row: LedgerMigration) -> Look:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    from airflow_migrator.links import DAG_PREFIX
    from migrator.operations.reconcile import RunState

    base_url = (conf.get("api", "base_url", fallback="") or "").rstrip("/")
    if base_url and row.run_url and not row.run_url.startswith(f"{base_url}/"):
        return Look(RunState.ELSEWHERE)
    dag_id, runs = DAG_PREFIX + row.version, [row.run_id]
    if not RuntimeTaskInstance.get_dr_count(dag_id, run_ids=runs):
        return Look(RunState.GONE if base_url and row.run_url else RunState.UNKNOWN)
    if RuntimeTaskInstance.get_ti_count(dag_id, run_ids=runs, states=list(WORKING)):
        return Look(RunState.ACTIVE)  # also of a run that somebody has marked: its teardowns come after that
    if not RuntimeTaskInstance.get_dr_count(dag_id, run_ids=runs, states=list(GOES_ON)):
        return Look(RunState.OVER)
    return Look(RunState.IDLE, bool(RuntimeTaskInstance.get_ti_count(dag_id, run_ids=runs, states=list(DUE))))


def state_of(row: LedgerMigration) -> RunState:
    """In a worker, which runs because the scheduler is at work: what is due and not kept back will run."""
    from migrator.operations.reconcile import RunState

    found = look(row)
    if found.state is RunState.IDLE and found.due and not _kept_back(row.version):
        return RunState.ACTIVE
    return found.state


def _kept_back(version: str) -> bool:
    """Whether Airflow will run no task of this migration's DAG: paused, or not built (any more)."""
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    from airflow_migrator.links import DAG_PREFIX
    from airflow_migrator.settings import read_settings
    from migrator.catalogue.catalogue import load_catalogue

    if RuntimeTaskInstance.get_dag(DAG_PREFIX + version).is_paused:
        return True
    settings = read_settings()
    built = load_catalogue(settings.migrations, cache=settings.cache).migrations
    return version not in {migration.version for migration in built}
