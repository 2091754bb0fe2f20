"""rollback: a teardown of apply. Undoes what this run really applied and did not verify, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException, TaskAwaitingInput

from airflow_migrator import cards
from airflow_migrator.operators.base import PgMigrationOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from migrator.gates.drift import Start
    from migrator.ledger.ledger import Ledger
    from migrator.plan import Plan
    from migrator.stages.rollback import RollbackReport

UNDO, KEEP = "Roll back", "Leave as it is"


class PgMigrationRollbackOperator(PgMigrationOperator):
    """Asks the ledger, fences the recorded backends, takes the lock, then undoes; skipped when nothing is to be undone.

    With `on_failure: ask` a person decides, and is only asked when something is applied that a script can undo.
    """

    stage = "rollback"
    ui_color = "#fad2cf"

    def execute(self, context: Context) -> dict[str, Any]:
        from migrator.plan import OnFailure
        from migrator.steps.kinds import irreversible
        from migrator.steps.undo_decision import Action

        with self.running(context):
            plan = self._plan(context)
            report = self._run(context, plan)
            if report.action in (Action.NOTHING, Action.KEPT_VERIFIED):
                raise AirflowSkipException(f"nothing to undo for {self.version}: {report.reason}")
            if report.action is Action.HELD and plan.on_failure is OnFailure.ASK and not irreversible(plan):
                ask(context, plan, report)
                raise TaskAwaitingInput(method_name="execute_complete", timeout=None)
            return self.put(context, report, action=report.action.value)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """The person's answer; the ledger is asked again, because anything may have happened meanwhile."""
        from migrator.plan import OnFailure

        with self.running(context):
            plan, answer = self._plan(context), (event.get("chosen_options") or [KEEP])[0]
            person = (event.get("responded_by_user") or {}).get("name") or "nobody"
            run = replace(self.run_context(context), actor=person)
            with self.migration_hook().ledger() as ledger:
                ledger.append_event("rollback_decided", version=self.version, run=run, detail={"decision": answer})
            wanted = OnFailure.ROLLBACK if answer == UNDO else OnFailure.HOLD
            report = self._run(context, replace(plan, on_failure=wanted))
            return self.put(context, report, action=report.action.value)

    def _plan(self, context: Context) -> Plan:
        with self.migration_hook().ledger() as ledger:
            return self.plan_begun(context, ledger)

    def _start(self, context: Context, plan: Plan, ledger: Ledger) -> Start | None:
        """None: nobody can tell any more what was rehearsed, and a person has to decide."""
        from migrator.errors import NeedsHuman
        from migrator.gates.drift import start_of

        try:
            return start_of(self.evidence_kept(context, plan, ledger))
        except NeedsHuman as exc:
            self.log.warning("%s", exc)
            return None

    def _run(self, context: Context, plan: Plan) -> RollbackReport:
        from migrator.stages import rollback
        from migrator.stages.apply import ends_idle

        hook = self.migration_hook()
        with hook.ledger() as ledger, self.stoppable() as handle:
            return rollback.run(
                plan,
                endpoint=hook.endpoint(),
                ledger=ledger,
                run=self.run_context(context),
                start=self._start(context, plan, ledger),
                ends_idle=ends_idle(hook.target()),
                handle=handle,
                log=self.log,
            )


def ask(context: Context, plan: Plan, report: RollbackReport) -> None:
    """Put the question into Airflow's list of required actions."""
    from migrator.reports.markup import text

    cards.put(
        context,
        options=[UNDO, KEEP],
        subject=f"{plan.version} on {plan.target} failed: roll back?",
        body=f"{text(report.reason)}\n\nThe migration is applied in part or without being verified. Its rollback script"
        " was executed on the restored copy. Until somebody answers, it stays as it is.",
    )
