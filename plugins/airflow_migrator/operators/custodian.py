"""custodian: finish what a run has left `running`, by the plan that was stored, whatever became of the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_migrator.links import PAGE
from airflow_migrator.operators.base import TaskStopped
from airflow_migrator.operators.housekeeping import TargetTask

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_migrator.hooks.pg_migration import PgMigrationHook
    from migrator.custody.finish import Finished, Stored
    from migrator.ledger.rows import LedgerMigration
    from migrator.steps.context import StepHandle

EVENTS = {"verified": "applied", "rolled_back": "rolled_back", "rollback_failed": "rollback_failed"}
"""The notification of an ending; all others are `failed`."""


class UnfinishedTargetsOperator(BaseOperator):
    """The targets of which this run was told, each once; the form's, when a person has triggered it.

    :param only: the form's list of targets.
    """

    ui_color = "#f1f3f4"
    template_fields = ("only",)

    def __init__(self, *, only: list[str] | str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.only = only

    def execute(self, context: Context) -> list[str]:
        from airflow_migrator.settings import read_settings
        from migrator.targets.targets_model import load_targets

        told = [
            (event.extra or {}).get("payload", {})
            for events in context["triggering_asset_events"].values()
            for event in events
        ]
        for one in told:
            self.log.info("%s: nobody works on %s of run %s", one.get("target"), one.get("version"), one.get("run_id"))
        known = load_targets(read_settings().targets).targets
        wanted = self.only or [one["target"] for one in told if one.get("target") in known] or list(known)
        return list(dict.fromkeys(wanted))


class FinishOperator(TargetTask):
    """Look again, twice; then fence, verify or undo as the stored plan's policy says, record it and tell people."""

    _handle: StepHandle | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_migrator.notifications import notify
        from airflow_migrator.run_state import state_of
        from migrator import documents
        from migrator.custody import finish
        from migrator.run import RunContext
        from migrator.steps.context import StepHandle

        who = RunContext(run_id=context["dag_run"].run_id, version="", target=self.target, actor="custodian")
        self._handle = StepHandle()
        with self.working(context) as hook, hook.ledger() as ledger:
            finished = finish.run(
                endpoint=hook.endpoint(),
                ledger=ledger,
                run=who,
                state_of=state_of,
                stored=_kept(hook),
                handle=self._handle,
                log=self.log,
            )
            if finished.news:
                notify(_message(finished), hook.target().notifications, context)
        self.log.info("%s: %s", finished.ending, finished.text)
        if finished.ending is finish.Ending.NOTHING:
            raise AirflowSkipException(finished.text)
        if finished.ending not in finish.GOOD:
            raise AirflowFailException(finished.text)
        return documents.to_dict(finished)

    def on_kill(self) -> None:
        """:raises TaskStopped: unless a backend was there to cancel; then the engine raises by itself."""
        if self._handle is None or not self._handle.cancel():
            raise TaskStopped("the custodian was stopped from outside")


def _kept(hook: PgMigrationHook) -> Callable[[LedgerMigration], Stored]:
    """Reads what the row's run has left in the target's storage; XCom may be gone, and the ledger says which plan it
    must be."""
    from airflow_migrator.storage.evidence_store import EvidenceStore
    from migrator.custody.finish import Stored
    from migrator.evidence import DryRunEvidence, EvidenceBundle, RestoreEvidence, SnapshotRecord

    def stored(row: LedgerMigration) -> Stored:
        root = hook.settings.location(hook.target().evidence)
        store = EvidenceStore(root, hook.target_name, row.version, row.run_id, hook.sealing_key())
        plan = store.kept_plan(row.plan_digest or "")
        snapshot = store.found("snapshot", SnapshotRecord)
        restore = store.found("restore_test", RestoreEvidence)
        dry_run = store.found("dry_run", DryRunEvidence)
        return Stored(plan, EvidenceBundle(snapshot=snapshot, restore=restore, dry_run=dry_run))

    return stored


def _message(finished: Finished) -> Any:
    from airflow_migrator.notifications.message import Message

    page = f"{finished.run_url}/plugin/{PAGE}" if finished.run_url else None
    title = f"the custodian: {finished.ending.value.replace('_', ' ')}"
    event = EVENTS.get(finished.ending.value, "failed")
    return Message(event, finished.version or "", finished.target, finished.text, page, title=title)
