"""restore_test: restore the snapshot elsewhere and prove that it equals the target; drop_copy takes the copy away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_migrator.operators.base import PgMigrationOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class PgMigrationRestoreTestOperator(PgMigrationOperator):
    """Leaves the copy in place: the dry run uses it."""

    stage = "restore_test"
    ui_color = "#e6f4ea"

    def execute(self, context: Context) -> dict[str, Any]:
        from migrator.evidence import SnapshotRecord
        from migrator.stages import restore_test

        with self.running(context):
            hook = self.migration_hook()
            evidence = restore_test.run(
                self.read(context, "snapshot", SnapshotRecord),
                copies=hook.copies(),
                target=hook.target(),
                run=self.run_context(context),
                storage=hook.snapshot_storage(),
                programs=hook.settings.programs,
                log=self.log,
            )
            return self.put(
                context,
                evidence,
                copy_database=evidence.copy_database,
                tables=evidence.tables_compared,
                rows=evidence.rows_compared,
                restore_seconds=evidence.restore_seconds,
            )
