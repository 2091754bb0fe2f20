"""From a migration's metadata to its DAG. Nothing here reads SQL, a database, a Variable or a Connection.

The graph is the runbook: analyze, snapshot, restore_test, dry_run, review, begin, preflight, apply, verify, rollback,
outcome.
`begin` is the one setup of rollback and outcome: it cannot fail, so these teardowns run after success, after failure,
and after someone marked the run or a task in the UI, whatever became of preflight. Three shapes were driven on a real
scheduler. With preflight as the setup, a preflight that was cleared and turned red after apply had begun left what was
applied. No shape covers a task that is marked failed while the one after it runs: what a run leaves is the custodian's.
"""

from __future__ import annotations

from email.utils import parseaddr
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import DAG, TaskGroup, chain

from airflow_migrator.building.dag_docs import document
from airflow_migrator.early_failure import notify_early_failure
from airflow_migrator.failures import GATE, RETRYING
from airflow_migrator.links import DAG_PREFIX
from airflow_migrator.operators.analyze import PgMigrationAnalyzeOperator
from airflow_migrator.operators.apply import PgMigrationApplyOperator
from airflow_migrator.operators.begin import PgMigrationBeginOperator
from airflow_migrator.operators.drop_copy import PgMigrationDropCopyOperator
from airflow_migrator.operators.dry_run import PgMigrationDryRunOperator
from airflow_migrator.operators.outcome import PgMigrationOutcomeOperator
from airflow_migrator.operators.preflight import PgMigrationPreflightOperator
from airflow_migrator.operators.restore_test import PgMigrationRestoreTestOperator
from airflow_migrator.operators.review import PgMigrationReviewOperator
from airflow_migrator.operators.rollback import PgMigrationRollbackOperator
from airflow_migrator.operators.snapshot import PgMigrationSnapshotOperator
from airflow_migrator.operators.verify import PgMigrationVerifyOperator
from airflow_migrator.params import default_target, migration_params, review_params
from airflow_migrator.stage_docs import STAGES
from airflow_migrator.timetable import ByHandTimetable, MaintenanceWindowTimetable
from migrator.gates.emergency import REVIEWS as EMERGENCY_REVIEWS

if TYPE_CHECKING:
    from airflow_migrator.access import Access
    from migrator.catalogue.metadata import Metadata, Schedule
    from migrator.catalogue.migration import Migration
    from migrator.targets.targets import Target


def build_dag(
    migration: Migration, targets: tuple[Target, ...], *, docs: bool = True, access: Access | None = None
) -> DAG:
    """
    :param docs: False in a worker, which shows nothing: leaves the doc tab's files unread.
    :param access: from `access.access_control`.
    """
    metadata = migration.metadata
    version = metadata.version
    with DAG(
        DAG_PREFIX + version,
        description=metadata.description,
        doc_md=document(migration) if docs else None,
        schedule=timetable(metadata.schedule),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        rerun_with_latest_version=False,
        tags=tags(migration, targets),
        owner_links=owner_links(metadata.author),
        access_control=access,
    ) as dag:
        _wire(dag, metadata, reviewers_asked(migration, targets))
    if docs:
        for task in dag.tasks:
            task.doc_md = STAGES[task.stage]
    # After the tasks, into each of which Airflow would deep-copy them several times, and into the dict, because
    # assigning it compiles each JSON Schema again: 3 ms a DAG together. The trigger form validates what it gets anyway.
    dag.params.update(migration_params(metadata, targets))
    return dag


def _wire(dag: DAG, metadata: Metadata, reviewers: int) -> None:
    version, declared_steps = metadata.version, [step.name for step in metadata.steps]
    who: dict[str, Any] = {"version": version, "target": "{{ params.target }}", "owner": owner(metadata.author)}
    early: dict[str, Any] = {**who, "on_failure_callback": notify_early_failure}

    analyze = PgMigrationAnalyzeOperator(task_id="analyze", **early, **RETRYING)
    snapshot = PgMigrationSnapshotOperator(task_id="snapshot", **early, **RETRYING)
    restore_test = PgMigrationRestoreTestOperator(task_id="restore_test", **early, **RETRYING).as_setup()
    dry_run = PgMigrationDryRunOperator(task_id="dry_run", **early, **RETRYING)
    drop_copy = PgMigrationDropCopyOperator(task_id="drop_copy", **who, **RETRYING).as_teardown(setups=restore_test)

    with TaskGroup("review", tooltip="People decide on the plan and the evidence; their answers go into the ledger"):
        asked = [
            PgMigrationReviewOperator(
                task_id=f"reviewer_{number}", number=number, params=review_params(), **early, **GATE
            )
            for number in range(1, reviewers + 1)
        ]
    begin = PgMigrationBeginOperator(task_id="begin", **who).as_setup()
    preflight = PgMigrationPreflightOperator(task_id="preflight", **who, **RETRYING)
    with TaskGroup("apply", tooltip="One task a step; each re-checks reviews and digests inside the lock"):
        steps = [
            PgMigrationApplyOperator(task_id=name, step=name if declared_steps else None, **who, **RETRYING)
            for name in declared_steps or [version]
        ]
    verify = PgMigrationVerifyOperator(task_id="verify", **who, **RETRYING)
    rollback = PgMigrationRollbackOperator(task_id="rollback", **who, **RETRYING).as_teardown(setups=begin)
    outcome = PgMigrationOutcomeOperator(task_id="outcome", **who, **RETRYING).as_teardown(
        setups=begin, on_failure_fail_dagrun=True
    )

    chain(analyze, snapshot, restore_test, dry_run, *asked, begin, preflight, *steps, verify, rollback, outcome)
    dry_run >> drop_copy
    labels = (
        (analyze, snapshot, "plan"),
        (snapshot, restore_test, "snapshot"),
        (restore_test, dry_run, "proven copy"),
        (dry_run, drop_copy, "done with the copy"),
        (dry_run, asked[0], "evidence"),
        (asked[-1], begin, "approved"),
        (preflight, steps[0], "in the window"),
        (steps[-1], verify, "applied"),
        (verify, rollback, "undone unless verified"),
    )
    for upstream, downstream, text in labels:
        dag.set_edge_info(upstream.task_id, downstream.task_id, {"label": text})


def timetable(schedule: Schedule | None) -> ByHandTimetable:
    if schedule is None:
        return ByHandTimetable()
    return MaintenanceWindowTimetable(
        window_start=schedule.window_start.isoformat(),
        window_end=schedule.window_end.isoformat(),
        run_at=schedule.run_at.isoformat(),
        timezone_name=schedule.timezone,
    )


def owner(author: str) -> str:
    """The address alone: of `Dave <dave@wakala.com>` Airflow could make no link."""
    return _address(author) or author


def owner_links(author: str) -> dict[str, str]:
    """From the owner in the UI to a mail to them."""
    address = _address(author)
    return {address: f"mailto:{quote(address, safe='@+')}"} if address else {}


def _address(author: str) -> str:
    found = parseaddr(author)[1]
    return found if "@" in found else ""


def tags(migration: Migration, targets: tuple[Target, ...]) -> list[str]:
    metadata = migration.metadata
    found = ["migration", f"risk:{metadata.risk_level.value}", f"target:{default_target(metadata, targets)}"]
    if metadata.type is not None:
        found.append(f"type:{metadata.type.value}")
    if migration.year:
        found.append(f"year:{migration.year}")
    return found


def reviewers_asked(migration: Migration, targets: tuple[Target, ...]) -> int:
    """How many review tasks the graph shows: what the strictest target may want. Those not needed pass at once.

    The engine wants one more for what no script can undo, and two for an emergency (`reviews.required`), which there
    can only be where there is a calendar.
    """
    strictest = max([0, *(count for target in targets for count in target.reviews.values())])
    if migration.metadata.schedule is not None or any(target.windows or target.freezes for target in targets):
        strictest = max(strictest, EMERGENCY_REVIEWS)
    return max(1, strictest + (1 if strictest and migration.rollback_path is None else 0))
