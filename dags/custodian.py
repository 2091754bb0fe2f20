"""Finishes what a migration's run has left unfinished, within half a minute: the run was marked, deadlocked, paused or
deleted, or its DAG is gone, and its own rollback and outcome never ran. The ledger says what was begun, the stored plan
what is to become of it: verified when all of it is applied, else undone or held, as the metadata says. It needs no DAG
of the migration. A run of this DAG is one such case; while there is none, it costs no worker."""

from __future__ import annotations

from airflow.sdk import DAG, Asset, AssetWatcher, Param

from airflow_migrator.access import operations_access
from airflow_migrator.failures import RETRYING
from airflow_migrator.operators.custodian import FinishOperator, UnfinishedTargetsOperator
from airflow_migrator.triggers.unfinished import UnfinishedTrigger

UNFINISHED = Asset("migrator_unfinished", watchers=[AssetWatcher(name="migrator_ledgers", trigger=UnfinishedTrigger())])

with DAG(
    "custodian",
    description="Finishes what a run of a migration has left unfinished",
    schedule=[UNFINISHED],
    catchup=False,
    max_active_runs=16,
    is_paused_upon_creation=False,
    access_control=operations_access(),
    tags=["migrator", "operations"],
    doc_md=__doc__,
    render_template_as_native_obj=True,
    params={"targets": Param(None, type=["null", "array"], title="Targets", description="Empty: all of them.")},
):
    targets = UnfinishedTargetsOperator(task_id="targets", only="{{ params.targets }}", **RETRYING)
    FinishOperator.partial(task_id="finish", map_index_template="{{ task.target }}", **RETRYING).expand(
        target=targets.output
    )
