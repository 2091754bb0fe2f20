"""apply: one step of the plan, under the lock, with reviews and digests checked again inside it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_migrator.operators.base import WINDOW, PgMigrationOperator

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from airflow.sdk import Context

    from migrator.errors import MigratorError

LOOK_AGAIN = timedelta(minutes=1)
"""Whether a transaction is over, or a standby has caught up."""
LOOK_AT_CALENDAR = timedelta(minutes=15)
"""Somebody may have given it another window."""


class PgMigrationApplyOperator(PgMigrationOperator):
    """
    :param step: a step that the metadata declares; None executes all steps of the plan in order, for a migration that
        declares none.
    """

    stage = "apply"
    template_fields: Sequence[str] = ("version", "target", "step")
    ui_color = "#d2e3fc"

    def __init__(self, *, step: str | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.step = step

    def execute(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        from migrator import documents
        from migrator.errors import OutsideWindow, PreflightBusy, PreflightRefused
        from migrator.stages import apply

        with self.running(context):
            self.refuse_rehearsal(context)
            hook, plan, evidence = self.migration_hook(), self.plan(context), self.evidence(context)
            run = self.run_context(context)
            names = [self.step] if self.step else [step.name for step in plan.steps]
            catalogue = hook.catalogue() if plan.ahead else None
            with hook.ledger() as ledger, self.stoppable() as handle:
                try:
                    results = [
                        apply.run_step(
                            plan,
                            name,
                            endpoint=hook.endpoint(),
                            ledger=ledger,
                            run=run,
                            target=hook.target(),
                            evidence=evidence,
                            migration=hook.migration(self.version),
                            catalogue=catalogue,
                            handle=handle,
                            log=self.log,
                        )
                        for name in names
                    ]
                except (OutsideWindow, PreflightBusy, PreflightRefused) as exc:
                    self.wait(context, exc, run.clock())
                    raise
            return {"plan_digest": plan.digest, "steps": [documents.to_dict(result) for result in results]}

    def wait(self, context: Context, refused: MigratorError, now: datetime) -> None:
        """What is begun gives the worker back until it may go on, however long that is. What has not begun is not
        waited for here: preflight does that, and checks everything afterwards."""
        from airflow_migrator.triggers.window import WindowOpenTrigger

        if not refused.fields.get("begun"):
            return
        opens_at = refused.fields.get("opens_at")
        again = now + (LOOK_AGAIN if "checks" in refused.fields else LOOK_AT_CALENDAR)
        moment = min(opens_at, again) if opens_at is not None else again
        self.log.info("%s", refused)
        context["ti"].xcom_push(key=WINDOW, value=str(refused))
        self.defer(trigger=WindowOpenTrigger(moment.isoformat()), method_name="execute")
