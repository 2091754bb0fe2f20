"""drop_copy: the teardown of restore_test. A copy of production's data must not outlive the run that needed it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_migrator.operators.base import PgMigrationOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class PgMigrationDropCopyOperator(PgMigrationOperator):
    """Does not decide the run's colour: the hourly reaper drops what this one could not."""

    stage = "drop_copy"
    ui_color = "#f1f3f4"

    def execute(self, context: Context) -> None:
        from migrator.evidence import RestoreEvidence
        from migrator.stages import restore_test

        with self.running(context):
            evidence = self.read(context, "restore_test", RestoreEvidence)
            restore_test.drop_copy(evidence, copies=self.migration_hook().copies(), run=self.run_context(context))
