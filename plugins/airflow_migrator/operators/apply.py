"""apply: one step of the plan, under the lock, with reviews and digests checked again inside it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_migrator.operators import gate
from airflow_migrator.operators.base import WINDOW, PgMigrationOperator

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from airflow.sdk import Context

    from migrator.errors import MigratorError
    from migrator.evidence import EvidenceBundle
    from migrator.plan import Plan
    from migrator.run import RunContext
    from migrator.steps.context import StepResult

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
    again: str = ""
    """Why the question of a gate is asked once more."""

    def __init__(self, *, step: str | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.step = step

    def execute(self, context: Context, event: dict[str, Any] | None = None, at_gate: bool = False) -> dict[str, Any]:
        """
        :param at_gate: it stands before a gate, whose condition is looked at for days: then what keeps a look from the
            database costs none of the tries.
        """
        from migrator import documents
        from migrator.errors import GateClosed, OutsideWindow, PreflightBusy, PreflightRefused, TransientError

        with self.running(context):
            self.refuse_rehearsal(context)
            plan, evidence, run = self.plan(context), self.evidence(context), self.run_context(context)
            try:
                results = self.run_steps(plan, evidence, run)
            except GateClosed as exc:
                gate.wait(self, context, exc, plan, evidence, run.clock())
            except (OutsideWindow, PreflightBusy, PreflightRefused) as exc:
                self.wait(context, exc, run.clock())
                raise
            except TransientError as exc:
                if not at_gate:
                    raise
                self.log.warning("nobody could look whether the gate opens: %s", exc)
                gate.look_again(self, run.clock() + LOOK_AGAIN)
            return {"plan_digest": plan.digest, "steps": [documents.to_dict(result) for result in results]}

    def run_steps(self, plan: Plan, evidence: EvidenceBundle, run: RunContext) -> list[StepResult]:
        """As the engine raises."""
        from migrator.stages import apply

        hook = self.migration_hook()
        catalogue = hook.catalogue() if plan.ahead else None
        with hook.ledger() as ledger, self.stoppable() as handle:
            return [
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
                for name in ([self.step] if self.step else [step.name for step in plan.steps])
            ]

    def answered(
        self, context: Context, event: dict[str, Any], shown: Any = None, step: str = "", since: str = ""
    ) -> dict[str, Any]:
        """A person has answered at a gate, or the time for it is up; the ledger decides what becomes of the step."""
        with self.running(context):
            if "error" not in event:
                self.again = gate.record(self, context, event, shown, step, since)
        return self.execute(context)

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
