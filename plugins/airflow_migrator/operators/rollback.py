"""rollback: a teardown of apply. Undoes what this run really applied and did not verify, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from airflow_migrator.failures import in_airflow_words
from airflow_migrator.operators.base import PgMigrationOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

NOTHING_TO_UNDO = ("nothing", "kept_verified")


class PgMigrationRollbackOperator(PgMigrationOperator):
    """Asks the ledger, fences the recorded backends, takes the lock, then undoes; skipped when nothing is to be undone."""

    stage = "rollback"
    ui_color = "#fad2cf"

    def execute(self, context: Context) -> dict[str, Any]:
        from migrator import rollback

        with in_airflow_words():
            hook, plan = self.migration_hook(), self.plan(context)
            with hook.ledger() as ledger:
                report = rollback.run(plan, endpoint=hook.endpoint(), ledger=ledger, run=self.run_context(context))
            if report.action in NOTHING_TO_UNDO:
                raise AirflowSkipException(f"{report.action}: nothing to undo for {self.version}")
            return self.put(context, report, action=str(report.action))
