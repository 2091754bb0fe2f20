"""preflight: wait for the maintenance window without holding a worker, then check everything once more."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_migrator.operators.base import PgMigrationOperator

if TYPE_CHECKING:
    from datetime import datetime

    from airflow.sdk import Context

    from migrator.catalogue.migration import Migration
    from migrator.evidence import EvidenceBundle
    from migrator.ledger.ledger import Ledger
    from migrator.plan import Plan
    from migrator.targets.targets import Target


LOOK_AGAIN = timedelta(seconds=20)
WINDOW = "window"
"""XCom key of the words in which the run's page says what preflight waits for."""


class PgMigrationPreflightOperator(PgMigrationOperator):
    """The setup of apply: clearing apply clears it too, so every check is made anew.

    It waits for a window that will open, and for nothing else: a freeze or a window that is over fails at once, because
    the snapshot and the reviews would be stale when it ends.
    """

    stage = "preflight"
    ui_color = "#fef7e0"

    def execute(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        from migrator.gates.clear_way import applied_already
        from migrator.stages import preflight

        with self.running(context):
            self.refuse_rehearsal(context)
            hook, plan, bundle = self.migration_hook(), self.plan(context), self.evidence(context)
            target, run, migration = hook.target(), self.run_context(context), hook.migration(self.version)
            with hook.ledger() as ledger:
                if not applied_already(plan, ledger):
                    self.wait_for_window(context, plan, target, migration, bundle, run.clock())
                    self.wait_for_turn(context, plan, ledger, run.clock())
                report = preflight.run_checks(
                    plan, bundle, endpoint=hook.endpoint(), ledger=ledger, target=target, migration=migration, run=run
                )
            return self.put(context, report, checks=len(report.checks))

    def wait_for_turn(self, context: Context, plan: Plan, ledger: Ledger, now: datetime) -> None:
        """Others of the window come first; gives the worker back, and looks again while the window is long enough."""
        from airflow_migrator.triggers.window import WindowOpenTrigger
        from migrator.errors import AheadPending
        from migrator.gates import ahead

        try:
            ahead.require(plan, ledger.migrations() if ledger.exists() else ())
        except AheadPending as exc:
            self.log.info("%s", exc)
            context["ti"].xcom_push(key=WINDOW, value=f"after {exc.fields['waits_for']}, which comes first")
            self.defer(trigger=WindowOpenTrigger((now + LOOK_AGAIN).isoformat()), method_name="execute")

    def wait_for_window(
        self,
        context: Context,
        plan: Plan,
        target: Target,
        migration: Migration,
        bundle: EvidenceBundle,
        now: datetime,
    ) -> None:
        """Goes on when the window is open; gives the worker back until it opens.

        :raises OutsideWindow: it will not.
        """
        from airflow_migrator.triggers.window import WindowOpenTrigger
        from migrator.errors import OutsideWindow
        from migrator.gates.window import decide_window

        window = decide_window(plan, target, migration, bundle.dry_run.seconds, now)
        self.log.info("window: %s, %s", window.state, window.reason)
        if window.state == "wait" and window.opens_at is not None:
            context["ti"].xcom_push(key=WINDOW, value=window.reason)
            self.defer(trigger=WindowOpenTrigger(window.opens_at.isoformat()), method_name="execute")
        if window.state != "open":
            raise OutsideWindow(window.reason, opens_at=window.opens_at, closes_at=window.closes_at)
