"""analyze: from the files and the target's catalog to the frozen plan."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_migrator.notifications.message import EMERGENCY, Message
from airflow_migrator.operators.base import PgMigrationOperator
from airflow_migrator.params import emergency_reason

if TYPE_CHECKING:
    from airflow.sdk import Context

    from migrator.plan import Plan
    from migrator.run import RunContext


class PgMigrationAnalyzeOperator(PgMigrationOperator):
    """Fails on a finding of severity error, on a risk above the declared one, and on a run whose window is over."""

    stage = "analyze"
    ui_color = "#e8f0fe"

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_migrator.notifications import notify
        from migrator.stages.analyze import run_analyze

        with self.running(context):
            hook, run = self.migration_hook(), self.run_context(context)
            migration = hook.migration(self.version)
            refuse_missed_window(context, migration.metadata.schedule, datetime.now(timezone.utc))
            with hook.ledger() as ledger:
                plan = run_analyze(
                    migration,
                    target=hook.target(),
                    catalogue=hook.catalogue(),
                    endpoint=hook.endpoint(),
                    ledger=ledger,
                    run=run,
                    emergency=emergency_reason(context["params"]),
                    copies=hook.copies(),
                )
            if plan.emergency is not None and not plan.already_applied:
                notify(declared(plan, run), hook.target().notifications, context)
            left = self.put(
                context,
                plan,
                plan_digest=plan.digest,
                risk=plan.risk.value,
                type=plan.type.value,
                findings=len(plan.findings),
                already_applied=plan.already_applied,
            )
            self.store(context).keep_plan(plan)
            return left


def declared(plan: Plan, run: RunContext) -> Message:
    """Everybody hears of an emergency when it is declared, not when it is over."""
    from migrator.gates.emergency import LIFTS

    text = f"{run.actor} declares an emergency: {plan.emergency}. with enough approvals it lifts {LIFTS}"
    return Message(EMERGENCY, plan.version, plan.target, text, run.run_url)


def refuse_missed_window(context: Context, schedule: Any, now: datetime) -> None:
    """The timetable makes no run after the window, but the scheduler may find one that was due while it was down.

    :raises OutsideWindow: a scheduled run that starts when its window is over. A manual run has no window here.
    """
    from migrator.errors import OutsideWindow

    scheduled = getattr(context["dag_run"].run_type, "value", context["dag_run"].run_type) == "scheduled"
    if scheduled and schedule is not None and now >= schedule.window_end:
        raise OutsideWindow(
            f"the maintenance window of {schedule.window_start:%Y-%m-%d %H:%M %Z} closed at"
            f" {schedule.window_end:%H:%M %Z}, before this run could start: it is not run late;"
            " give the migration a new schedule, or trigger it by hand",
            opens_at=schedule.window_start,
            closes_at=schedule.window_end,
        )
