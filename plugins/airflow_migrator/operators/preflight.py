"""preflight: wait for the maintenance window without holding a worker, then check everything once more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_migrator.operators.base import PgMigrationOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class PgMigrationPreflightOperator(PgMigrationOperator):
    """The setup of apply: clearing apply clears it too, so every check is made anew.

    It waits for a window that will open, and for nothing else: a freeze or a window that is over fails at once, because
    the snapshot and the reviews would be stale when it ends.
    """

    stage = "preflight"
    ui_color = "#fef7e0"

    def execute(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        from airflow_migrator.triggers.window import WindowOpenTrigger
        from migrator import preflight
        from migrator.errors import OutsideWindow

        with self.running(context):
            hook, plan, bundle = self.migration_hook(), self.plan(context), self.evidence(context)
            target, run, migration = hook.target(), self.run_context(context), hook.migration(self.version)
            schedule = migration.metadata.schedule
            window = preflight.decide_window(
                plan,
                target,
                schedule if schedule is not None and schedule.target == self.target else None,
                bundle.dry_run.seconds,
                run.clock(),
            )
            self.log.info("window: %s, %s", window.state, window.reason)
            if window.state == "wait":
                self.defer(trigger=WindowOpenTrigger(window.opens_at.isoformat()), method_name="execute")
            if window.state != "open":
                raise OutsideWindow(window.reason, opens_at=window.opens_at, closes_at=window.closes_at)
            with hook.ledger() as ledger:
                report = preflight.run_checks(
                    plan, bundle, endpoint=hook.endpoint(), ledger=ledger, target=target, migration=migration, run=run
                )
            return self.put(context, report, checks=len(report.checks), window=window.reason)
