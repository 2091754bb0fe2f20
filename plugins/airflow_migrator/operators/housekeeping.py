"""What has to be looked after between migrations: one mapped task a target, so that one that is down hides no other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_migrator.failures import in_airflow_words
from airflow_migrator.settings import read_settings

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_migrator.hooks.pg_migration import PgMigrationHook
    from airflow_migrator.notifications.message import Message
    from migrator.database.withheld import Place
    from migrator.errors import LedgerTampered
    from migrator.operations.reconcile import Report


class HousekeepingTargetsOperator(BaseOperator):
    """The names of all targets, read when the run starts: an edit of targets.yaml needs no new DAG.

    :param only: the form's list of targets; empty means all.
    """

    template_fields: Sequence[str] = ("only",)
    ui_color = "#f1f3f4"

    def __init__(self, *, only: list[str] | str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.only = only

    def execute(self, context: Context) -> list[str]:
        from migrator.targets.targets_model import load_targets

        with in_airflow_words():
            targets = load_targets(read_settings().targets)
            return [targets.get(name).name for name in self.only or targets.targets]


class TargetTask(BaseOperator):
    """
    :param target: name of the target in targets.yaml.
    """

    template_fields: Sequence[str] = ("target",)
    ui_color = "#f1f3f4"

    def __init__(self, *, target: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target = target

    @contextmanager
    def working(self, context: Context) -> Iterator[PgMigrationHook]:
        from airflow_migrator.hooks.pg_migration import PgMigrationHook
        from airflow_migrator.storage.evidence_store import EvidenceStore
        from airflow_migrator.storage.withheld_words import place_of
        from migrator.database.withheld import Keeper, kept_by

        hook = PgMigrationHook(self.target)

        def find() -> Place:
            root = hook.settings.location(hook.target().evidence)
            return place_of(EvidenceStore(root, self.target, "housekeeping", context["dag_run"].run_id), self.task_id)

        with kept_by(Keeper(find, self.log.warning)), in_airflow_words():
            yield hook


class ReapCopiesOperator(TargetTask):
    """Drop the restored copies whose run never did. Copies of targets that are not in targets.yaml (any more) belong to
    everybody who shares their server."""

    def execute(self, context: Context) -> list[str]:
        from migrator.backups import copies
        from migrator.targets.targets_model import load_targets

        with self.working(context) as hook:
            others = set(load_targets(hook.settings.targets).targets) - {self.target}
            return list(copies.reap(hook.copies(), now=datetime.now(timezone.utc), spare=others, log=self.log))


class ExpireSnapshotsOperator(TargetTask):
    """Delete the snapshots that are older than the target's retention, also when nothing is migrated any more."""

    def execute(self, context: Context) -> list[str]:
        from migrator.backups import providers
        from migrator.backups.contract import Place

        with self.working(context) as hook:
            place = Place(hook.target(), hook.snapshot_storage(), hook.settings.programs, log=self.log)
            return list(providers.find(place.target.provider).prune(place, now=datetime.now(timezone.utc)))


class MeasureCostsOperator(TargetTask):
    """Measure what work costs on the server for restored copies, so that no analysis has to wait for it: some ten
    seconds, at most every thirty days, sooner while the server was busy."""

    def execute(self, context: Context) -> dict[str, Any]:
        from migrator.analysis.estimate.calibrate import calibrated
        from migrator.run import system_clock

        with self.working(context) as hook:
            if not hook.target().copies_connection:
                raise AirflowSkipException(f"{self.target} has no copies_connection: nothing to measure on")
            profile = calibrated(hook.copies(), clock=system_clock, log=self.log)
        return {"calibrated_at": str(profile.calibrated_at), "busy": profile.busy}


class ReconcileLedgerOperator(TargetTask):
    """Look whether the ledger is what the engine has written, and compare the row that says `running` with Airflow and
    with the server. Fails for as long as a person is needed; tells people once, of a ledger that somebody has changed
    each time: nothing can be written down there."""

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_migrator.notifications import notify
        from airflow_migrator.notifications.message import Message
        from airflow_migrator.run_state import state_of
        from migrator import documents
        from migrator.errors import LedgerTampered
        from migrator.operations import reconcile
        from migrator.run import RunContext

        me = context["dag_run"].run_id
        run = RunContext(run_id=me, version="", target=self.target, actor="housekeeping")
        with self.working(context) as hook, hook.ledger() as ledger:
            try:
                reconcile.require_trustworthy(ledger, log=self.log)
            except LedgerTampered as exc:
                notify(_alarm(self.target, exc), hook.target().notifications, context)
                raise
            report: Report = reconcile.run(
                endpoint=hook.endpoint(), ledger=ledger, run=run, state_of=state_of, log=self.log
            )
            if report.news and report.version is not None:
                title = "needs a person" if report.wants_a_person else "its run vanished"
                message = Message("failed", report.version, self.target, report.text, title=title)
                notify(message, hook.target().notifications, context)
        self.log.info("%s: %s", report.state, report.text)
        if report.wants_a_person:
            raise AirflowFailException(report.text)
        return documents.to_dict(report)


class JanitorOperator(TargetTask):
    """Disable and drop what migrations that are over have left in the target, as far as the ledger knows whose it is
    and its migration does not need it. In a freeze it only tells.

    :param drop: false: it only tells.
    """

    template_fields: Sequence[str] = ("target", "drop")

    def __init__(self, *, drop: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.drop = drop

    def execute(self, context: Context) -> dict[str, Any]:
        from migrator import documents
        from migrator.custody import janitor
        from migrator.run import RunContext
        from migrator.targets import windows

        run = RunContext(run_id=context["dag_run"].run_id, version="", target=self.target, actor="janitor")
        with self.working(context) as hook, hook.ledger() as ledger:
            when = windows.decide(datetime.now(timezone.utc), freezes=hook.target().freezes)
            drop = self.drop and when.state is windows.WindowState.OPEN
            if drop is not self.drop:
                self.log.info("it is only told: %s", when.reason)
            report = janitor.run(endpoint=hook.endpoint(), ledger=ledger, run=run, drop=drop, log=self.log)
        for one in report.orphans:
            log = self.log.warning if one.is_open else self.log.info
            done = " done" if one.done else ""
            log("%s of %s: %s%s, %s; %s", one.what, one.version, one.todo, done, one.why, one.statement)
        if report.held:
            self.log.info("%s", report.held)
        return documents.to_dict(report)


def _alarm(target: str, exc: LedgerTampered) -> Message:
    from airflow_migrator.notifications.message import EMERGENCY, Message

    return Message(EMERGENCY, "", target, f"nothing is migrated there: {exc}", title="somebody has changed the ledger")
