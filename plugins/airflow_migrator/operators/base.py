"""What all stages share: where the target is, who runs, where documents lie, how a task is stopped."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from airflow.sdk import BaseOperator, conf
from airflow.sdk.exceptions import AirflowSkipException

from airflow_migrator.failures import in_airflow_words
from airflow_migrator.links import EvidenceLink, ReportLink, task_page
from migrator.database import withheld

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow.sdk import Context

    from airflow_migrator.hooks.pg_migration import PgMigrationHook
    from airflow_migrator.storage.evidence_store import EvidenceStore
    from migrator.database.withheld import Place
    from migrator.evidence import EvidenceBundle
    from migrator.ledger.ledger import Ledger
    from migrator.plan import Plan
    from migrator.run import RunContext
    from migrator.steps.context import StepHandle

T = TypeVar("T")

REFUSAL = "refusal"
"""XCom key of the message with which a task failed."""
LONGEST_REFUSAL = 20_000
WINDOW = "window"
"""XCom key of the words in which the run's page says what preflight, or a step, waits for."""


class TaskStopped(KeyboardInterrupt):
    """Someone stopped the task. A KeyboardInterrupt, because that is what makes psycopg cancel the running statement on
    the server and subprocess kill its child before the exception travels on."""


class MigrationTask:
    """Mixin of all stage operators, so that the review can also be one of Airflow's human-in-the-loop operators."""

    log: Any
    version: str
    target: str
    stage: ClassVar[str] = ""
    document_uri: str | None = None
    _handle: StepHandle | None = None

    @contextmanager
    def running(self, context: Context) -> Iterator[None]:
        """One line when the stage starts and one when it ends; engine errors become Airflow's.

        :raises AirflowFailException: a retry cannot change it. TransientError passes, for the retry policy.
        """
        what = f"{self.stage} of {self.version} on {self.target} (run {context['dag_run'].run_id})"
        started = time.monotonic()
        self.log.info("%s starts, attempt %s", what, context["ti"].try_number)
        keeper = withheld.Keeper(lambda: self._withheld(context), self.log.warning)
        try:
            with withheld.kept_by(keeper), in_airflow_words():
                yield
        except Exception as exc:
            self.leave_refusal(context, exc, keeper.said)
            raise
        self.log.info("%s done in %.3f s", what, time.monotonic() - started)

    def _withheld(self, context: Context) -> Place:
        from airflow_migrator.storage.withheld_words import place_of

        return place_of(self.store(context, sealed=False), self.stage)

    def leave_refusal(self, context: Context, exc: Exception, withheld_words: str = "") -> None:
        """Keep why it failed for the run's page, which cannot read logs, and where the rest of it is."""
        if not isinstance(exc, AirflowSkipException):
            with suppress(Exception):  # the failure itself matters more than telling of it twice
                parts = (str(exc)[:LONGEST_REFUSAL], withheld_words)
                context["ti"].xcom_push(key=REFUSAL, value="\n".join(part for part in parts if part))

    def migration_hook(self) -> PgMigrationHook:
        from airflow_migrator.hooks.pg_migration import PgMigrationHook

        return PgMigrationHook(self.target)

    def run_context(self, context: Context) -> RunContext:
        """Who does this, for the ledger. The actor of a scheduled run is `airflow`."""
        from migrator.run import RunContext

        run, ti = context["dag_run"], context["ti"]
        base_url = (conf.get("api", "base_url", fallback="") or "").rstrip("/")
        person = getattr(run, "triggering_user_name", None) or ""
        return RunContext(
            run_id=run.run_id,
            version=self.version,
            target=self.target,
            actor=person or "airflow",
            started_by=person,
            run_url=base_url + task_page(run.dag_id, run.run_id, ti.task_id).partition("/tasks/")[0]
            if base_url
            else None,
            try_number=ti.try_number,
            reason=(context.get("params") or {}).get("reason") or "",
        )

    def store(self, context: Context, *, sealed: bool = True) -> EvidenceStore:
        """:param sealed: False where a connection may be what cannot be had."""
        from airflow_migrator.storage.evidence_store import EvidenceStore

        hook = self.migration_hook()
        root = hook.settings.location(hook.target().evidence)
        return EvidenceStore(
            root, self.target, self.version, context["dag_run"].run_id, hook.sealing_key() if sealed else None
        )

    def put(self, context: Context, document: Any, **summary: Any) -> dict[str, Any]:
        """Keep this stage's document; gives what goes to XCom."""
        reference = self.store(context).put(self.stage, document, **summary)
        self.document_uri = reference["uri"]
        return reference

    def read(self, context: Context, stage: str, cls: type[T]) -> T:
        """The document that an earlier stage of this run left.

        :raises NeedsHuman: it is missing or was changed.
        """
        return self.store(context).own(context["ti"].xcom_pull(task_ids=stage), cls, stage=stage)

    def plan(self, context: Context) -> Plan:
        from migrator.plan import Plan

        return self.read(context, "analyze", Plan)

    def plan_begun(self, context: Context, ledger: Ledger) -> Plan:
        """The plan by which this run has begun, as the ledger names it; before that, the one that analyze left.

        XCom may be gone or edited, and the run may have been analysed anew: what is applied is verified and undone by
        the plan that it was applied with.

        :raises NeedsHuman: it is gone, or was changed.
        """
        from migrator.errors import NeedsHuman

        row = ledger.migration(self.version) if ledger.exists() else None
        if row is None or row.run_id != context["dag_run"].run_id or row.plan_digest is None:
            return self.plan(context)
        try:
            return self.store(context).kept_plan(row.plan_digest)
        except NeedsHuman:
            plan = self.plan(context)
            if plan.digest != row.plan_digest:
                raise
            return plan

    def evidence(self, context: Context) -> EvidenceBundle:
        from migrator.evidence import DryRunEvidence, EvidenceBundle, RestoreEvidence, SnapshotRecord

        return EvidenceBundle(
            snapshot=self.read(context, "snapshot", SnapshotRecord),
            restore=self.read(context, "restore_test", RestoreEvidence),
            dry_run=self.read(context, "dry_run", DryRunEvidence),
        )

    def evidence_kept(self, context: Context, plan: Plan, ledger: Ledger) -> EvidenceBundle:
        """What the plan was applied by, where this run keeps it, also when XCom is gone or edited.

        :raises NeedsHuman: it is gone as well, or was made again since.
        """
        from migrator.errors import NeedsHuman
        from migrator.evidence import DryRunEvidence, EvidenceBundle, RestoreEvidence, SnapshotRecord
        from migrator.gates.evidence import kept_problems

        try:
            kept = self.evidence(context)
        except NeedsHuman as exc:
            self.log.warning("%s", exc)
            store = self.store(context)
            kept = EvidenceBundle(
                snapshot=store.found("snapshot", SnapshotRecord),
                restore=store.found("restore_test", RestoreEvidence),
                dry_run=store.found("dry_run", DryRunEvidence),
            )
        if problems := kept_problems(plan, kept, ledger):
            raise NeedsHuman(f"the evidence that this run keeps cannot be used: {'; '.join(problems)}")
        return kept

    def refuse_rehearsal(self, context: Context) -> None:
        """Whoever marks the reviews of a rehearsal as done and clears what comes after them has started no migration.

        :raises Refused: the run was started as a rehearsal.
        """
        from airflow_migrator.params import REHEARSAL
        from migrator.errors import Refused

        if context["params"].get("until") == REHEARSAL:
            raise Refused("this run was started as a rehearsal, so it applies nothing: trigger a run that applies")

    @contextmanager
    def stoppable(self) -> Iterator[StepHandle]:
        """While a step executes, a kill cancels its backend and lets the engine record what became of it."""
        from migrator.steps.context import StepHandle

        self._handle = StepHandle()
        try:
            yield self._handle
        finally:
            self._handle = None

    def on_kill(self) -> None:
        """Airflow's SIGTERM handler calls this in the main thread, inside whatever the stage is waiting for.

        :raises TaskStopped: unless a backend was there to cancel; then the engine raises by itself.
        """
        if self._handle is not None and self._handle.cancel():
            return
        raise TaskStopped(f"stage {self.stage!r} was stopped from outside")


class PgMigrationOperator(MigrationTask, BaseOperator):
    """
    :param version: the migration.
    :param target: name of the target in targets.yaml.
    """

    template_fields: Sequence[str] = ("version", "target")
    operator_extra_links = (EvidenceLink(), ReportLink())

    def __init__(self, *, version: str, target: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.version = version
        self.target = target


def skip_if_applied(plan: Plan) -> None:
    """:raises AirflowSkipException: the target has this migration, applied and verified; the rest is skipped too."""
    if plan.already_applied:
        raise AirflowSkipException(plan.applied_note or f"{plan.version} is already applied on {plan.target}")
