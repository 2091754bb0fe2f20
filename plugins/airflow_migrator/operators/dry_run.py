"""dry_run: the plan, its rollback and the plan again on the restored copy, everything observed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_migrator.operators.base import PgMigrationOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


FAILED_EVIDENCE = "failed_evidence"
"""XCom key of the reference to what a failed dry run saw."""


class PgMigrationDryRunOperator(PgMigrationOperator):
    """A failed dry run keeps its evidence too: that is what its author needs."""

    stage = "dry_run"
    ui_color = "#fef7e0"

    def execute(self, context: Context) -> dict[str, Any]:
        from migrator.errors import DryRunFailed
        from migrator.evidence import RestoreEvidence, SnapshotRecord
        from migrator.stages import dry_run

        with self.running(context):
            try:
                hook = self.migration_hook()
                evidence = dry_run.run(
                    self.plan(context),
                    self.read(context, "snapshot", SnapshotRecord),
                    self.read(context, "restore_test", RestoreEvidence),
                    copies=hook.copies(),
                    run=self.run_context(context),
                    target=hook.target(),
                    storage=hook.snapshot_storage(),
                    programs=hook.settings.programs,
                )
            except DryRunFailed as exc:
                if found := exc.fields.get("evidence"):
                    reference = self.put(context, found)
                    context["ti"].xcom_push(key=FAILED_EVIDENCE, value=reference)
                    self.log.info("evidence: %s", reference["uri"])
                raise
            return self.put(
                context,
                evidence,
                verdict=evidence.verdict.value,
                outcome=evidence.outcome,
                seconds=evidence.seconds,
                rollback_seconds=evidence.rollback_seconds,
                wal_bytes=evidence.wal_bytes,
            )
