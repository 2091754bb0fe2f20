"""verify: the ledger, the schema and the migration's own assertions. Only this stage sets the status success."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_migrator.operators.base import PgMigrationOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class PgMigrationVerifyOperator(PgMigrationOperator):
    """Reads the ledger, never task states: a step that someone marked success in the UI was not applied."""

    stage = "verify"
    ui_color = "#e6f4ea"

    def execute(self, context: Context) -> dict[str, Any]:
        from migrator.stages import verify

        with self.running(context):
            hook = self.migration_hook()
            with hook.ledger() as ledger:
                plan = self.plan_begun(context, ledger)
                report = verify.run(
                    plan,
                    self.evidence_kept(context, plan, ledger),
                    endpoint=hook.endpoint(),
                    ledger=ledger,
                    run=self.run_context(context),
                )
            return self.put(context, report)
