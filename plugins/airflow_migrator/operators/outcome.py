"""outcome: the last teardown. Says what happened, tells people, and fails the run unless applied and verified."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from airflow_migrator.operators.base import PgMigrationOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class PgMigrationOutcomeOperator(PgMigrationOperator):
    """Asks the ledger, never task states: otherwise a good rollback would show as a green run."""

    stage = "outcome"
    ui_color = "#f1f3f4"

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_migrator.notifications import notify
        from airflow_migrator.notifications.message import from_outcome
        from migrator import documents
        from migrator.errors import NeedsHuman
        from migrator.stages import outcome

        with self.running(context):
            hook, run = self.migration_hook(), self.run_context(context)
            try:
                plan = self.plan(context)
            except NeedsHuman as exc:
                self.log.warning("%s", exc)
                plan = None
            with hook.ledger() as ledger:
                result = outcome.run(plan, version=self.version, endpoint=hook.endpoint(), ledger=ledger, run=run)
        context["ti"].xcom_push(key="outcome", value=documents.to_dict(result))
        notify(from_outcome(result, run), hook.target().notifications, context)
        if not result.ok:
            raise AirflowFailException(result.text)
        self.log.info("%s", result.text)
        return documents.to_dict(result)
