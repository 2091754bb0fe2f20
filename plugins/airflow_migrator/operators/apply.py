"""apply: one step of the plan, under the lock, with reviews and digests checked again inside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_migrator.operators.base import PgMigrationOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from migrator.errors import OutsideWindow


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
        from migrator.errors import OutsideWindow
        from migrator.stages import apply

        with self.running(context):
            self.refuse_rehearsal(context)
            hook, plan, evidence = self.migration_hook(), self.plan(context), self.evidence(context)
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
                            run=self.run_context(context),
                            target=hook.target(),
                            evidence=evidence,
                            migration=hook.migration(self.version),
                            catalogue=catalogue,
                            handle=handle,
                            log=self.log,
                        )
                        for name in names
                    ]
                except OutsideWindow as exc:
                    self.wait_for_window(exc)
                    raise
            return {"plan_digest": plan.digest, "steps": [documents.to_dict(result) for result in results]}

    def wait_for_window(self, refused: OutsideWindow) -> None:
        """Between two phases of a step: give the worker back until the window opens. What has not begun is not waited
        for here: preflight does that, and checks everything afterwards."""
        from airflow_migrator.triggers.window import WindowOpenTrigger

        opens_at = refused.fields.get("opens_at")
        if refused.fields.get("begun") and opens_at is not None:
            self.log.info("the next phase waits for the window: %s", refused)
            self.defer(trigger=WindowOpenTrigger(opens_at.isoformat()), method_name="execute")
