"""preflight: wait for the maintenance window without holding a worker, then check everything once more."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_migrator.operators.base import WINDOW, PgMigrationOperator

if TYPE_CHECKING:
    from datetime import datetime

    from airflow.sdk import Context

    from migrator.catalogue.catalogue import Catalogue
    from migrator.catalogue.migration import Migration
    from migrator.errors import AheadPending
    from migrator.ledger.ledger import Ledger
    from migrator.plan import Plan
    from migrator.targets.targets import Target
    from migrator.targets.windows import WindowDecision


LOOK_AGAIN = timedelta(seconds=20)


class PgMigrationPreflightOperator(PgMigrationOperator):
    """The setup of apply: clearing apply clears it too, so every check is made anew.

    It waits for a window that will open, and for nothing else: a freeze or a window that is over fails at once, because
    the snapshot and the reviews would be stale when it ends.
    """

    stage = "preflight"
    ui_color = "#fef7e0"

    def execute(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        from migrator.gates.clear_way import applied_already
        from migrator.gates.window import decide_next
        from migrator.stages import preflight

        with self.running(context):
            self.refuse_rehearsal(context)
            hook, plan, bundle = self.migration_hook(), self.plan(context), self.evidence(context)
            target, run, migration = hook.target(), self.run_context(context), hook.migration(self.version)
            catalogue = hook.catalogue() if plan.ahead else None
            with hook.ledger() as ledger:
                if not applied_already(plan, ledger):
                    now = run.clock()
                    turn = its_turn(plan, ledger, target, migration, catalogue, now)
                    rows = ledger.steps(plan.version) if ledger.exists() else ()
                    window = decide_next(plan, target, migration, bundle, rows, now)
                    self.wait_for_window(context, window, turn)
                    self.wait_for_turn(context, turn, now)
                report = preflight.run_checks(
                    plan,
                    bundle,
                    endpoint=hook.endpoint(),
                    ledger=ledger,
                    target=target,
                    migration=migration,
                    catalogue=catalogue,
                    run=run,
                )
            return self.put(context, report, checks=len(report.checks))

    def wait_for_turn(self, context: Context, turn: AheadPending | None, now: datetime) -> None:
        """Others of the window come first; gives the worker back, and looks again while the window is long enough."""
        from airflow_migrator.triggers.window import WindowOpenTrigger

        if turn is not None:
            self.log.info("%s", turn)
            context["ti"].xcom_push(key=WINDOW, value=f"after {turn.fields['waits_for']}, which comes first")
            self.defer(trigger=WindowOpenTrigger((now + LOOK_AGAIN).isoformat()), method_name="execute")

    def wait_for_window(self, context: Context, window: WindowDecision, turn: AheadPending | None) -> None:
        """Goes on when the window is open; gives the worker back until it opens.

        :param turn: what comes first and is still to come.
        :raises OutsideWindow: it will not.
        """
        from airflow_migrator.triggers.window import WindowOpenTrigger
        from migrator.errors import OutsideWindow

        self.log.info("window: %s, %s", window.state, window.reason)
        if window.state == "wait" and window.opens_at is not None:
            context["ti"].xcom_push(key=WINDOW, value=window.reason)
            self.defer(trigger=WindowOpenTrigger(window.opens_at.isoformat()), method_name="execute")
        if window.state != "open":
            waited = f"; it has waited for {turn.fields['waits_for']}, which comes first" if turn is not None else ""
            raise OutsideWindow(window.reason + waited, opens_at=window.opens_at, closes_at=window.closes_at)


def its_turn(
    plan: Plan, ledger: Ledger, target: Target, migration: Migration, catalogue: Catalogue | None, now: datetime
) -> AheadPending | None:
    """What comes first in the window and is still to come.

    :raises Refused: it will not come any more.
    """
    from migrator.errors import AheadPending
    from migrator.gates import ahead

    try:
        ahead.require_turn(plan, ledger, target=target, now=now, migration=migration, catalogue=catalogue)
    except AheadPending as exc:
        return exc
    return None
