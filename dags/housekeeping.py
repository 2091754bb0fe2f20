"""Every hour, for each target: drop forgotten restored copies, delete expired snapshots, measure what work costs on the
server for copies, disable and drop what migrations that are over have left in it (as `migrator janitor --drop` does),
and look whether a ledger says `running` although nobody works on it. The last one fails, and tells people once, when a
person has to decide."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_migrator.access import operations_access
from airflow_migrator.failures import ONCE_MORE
from airflow_migrator.operators.housekeeping import (
    ExpireSnapshotsOperator,
    HousekeepingTargetsOperator,
    JanitorOperator,
    MeasureCostsOperator,
    ReapCopiesOperator,
    ReconcileLedgerOperator,
)
from airflow_migrator.settings import read_settings

with DAG(
    "housekeeping",
    description="Copies, snapshots and ledgers that nobody works on any more",
    schedule=read_settings().housekeeping,
    catchup=False,
    max_active_runs=1,
    max_active_tasks=4,
    is_paused_upon_creation=False,
    access_control=operations_access(),
    tags=["migrator", "operations"],
    doc_md=__doc__,
    render_template_as_native_obj=True,
    params={
        "targets": Param(None, type=["null", "array"], title="Targets", description="Empty: all of them."),
        "drop": Param(
            True, type="boolean", title="Drop", description="No: of what migrations have left it is only told."
        ),
    },
):
    targets = HousekeepingTargetsOperator(task_id="targets", only="{{ params.targets }}", **ONCE_MORE)
    JanitorOperator.partial(
        task_id="janitor", drop="{{ params.drop }}", map_index_template="{{ task.target }}", **ONCE_MORE
    ).expand(target=targets.output)
    for task_id, operator in (
        ("copies", ReapCopiesOperator),
        ("snapshots", ExpireSnapshotsOperator),
        ("costs", MeasureCostsOperator),
        ("ledger", ReconcileLedgerOperator),
    ):
        operator.partial(task_id=task_id, map_index_template="{{ task.target }}", **ONCE_MORE).expand(
            target=targets.output
        )
