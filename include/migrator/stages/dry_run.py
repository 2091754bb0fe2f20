"""dry_run: the plan, its rollback and the plan again on a clone of the restored copy, everything observed.

It runs through the very same code as production's apply and rollback; only the tracer is added. So when apply runs, its
SQL has already run, with its rollback, on production's data. What was found is evidence, also when it failed.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from migrator import wording
from migrator.backups import copies as restored
from migrator.backups import later_backup
from migrator.backups.contract import Place
from migrator.backups.isolation import require_harmless, require_isolated
from migrator.backups.storage import Storage, local_storage
from migrator.backups.trial import Trial, trial_database
from migrator.database import meanings, session
from migrator.database.schema import Schema
from migrator.database.schema_diff import SchemaDiff, diff, patch
from migrator.database.session import Endpoint
from migrator.database.told import names_known
from migrator.database.vocabulary import vocabulary
from migrator.errors import CopySpoiled, Refused, RestoreNotProven, TransientError
from migrator.evidence import (
    HELD,
    IDLE,
    LACKING,
    ROLLBACK_CHECKS,
    DryRunEvidence,
    HeldLock,
    RehearsedState,
    RestoreEvidence,
    SnapshotRecord,
    StatementTrace,
    Verdict,
)
from migrator.gates import settings
from migrator.gates.rehearsed import reached_by
from migrator.ledger.ledger import Ledger
from migrator.ledger.rows import took_effect
from migrator.plan import Plan
from migrator.rehearsal import ahead, halfway, in_the_way, privileges, rows, skipped
from migrator.rehearsal import checks as dry_run_checks
from migrator.rehearsal.judging import Judging
from migrator.rehearsal.observer import Observer
from migrator.rehearsal.original import NOTHING_FIRST, First, Original, of_record
from migrator.rehearsal.states import States, Written, written_since
from migrator.rehearsal.traffic import Traffic
from migrator.run import RunContext
from migrator.stages import rollback
from migrator.steps import execution, gating, holding
from migrator.steps.attempt import Attempt
from migrator.steps.context import StepHandle
from migrator.steps.contract import lasts
from migrator.steps.halts import Halt, cut
from migrator.steps.kinds import irreversible
from migrator.steps.tracing import Watch
from migrator.targets.targets import Target

LOG = logging.getLogger(__name__)


def run(
    plan: Plan,
    record: SnapshotRecord,
    restore: RestoreEvidence,
    *,
    copies: Endpoint,
    run: RunContext,
    target: Target | None = None,
    storage: Storage | None = None,
    handle: StepHandle | None = None,
    programs: Path | None = None,
    log: logging.Logger = LOG,
) -> DryRunEvidence:
    """The stage. May be repeated: every attempt starts from a fresh clone of the proved copy.

    :param target: whose snapshot it is; without it the settings of its database and role are not known here.
    :param storage: where it is kept; taken from the target when it is a directory.
    :raises DryRunFailed: with `evidence` and, for a failing statement, `file`, `line`, `column` and `sqlstate`.
    :raises RestoreNotProven: this copy does not stand for that snapshot. :raises Refused: it is not this run's copy, or
    the server would let the texts reach more than it.
    """
    if restore.snapshot_id != record.id or restore.verdict is not Verdict.PASSED:
        raise RestoreNotProven(
            f"the copy {restore.copy_database!r} is not a proved restore of snapshot {record.id!r}; run again from"
            " restore_test",
            differences=(),
        )
    if record.target != plan.target:
        raise Refused(f"the snapshot is of target {record.target!r}, the plan is for {plan.target!r}")
    settings.require_as_planned(plan, copies, by_role=False)
    with session.connect(copies, purpose="dry_run", version=plan.version) as conn:
        require_isolated(conn)
        copy = restored.own(conn, restore.copy_database, run)
    place = None if target is None else Place(target, storage or local_storage(target.storage), programs, log=log)
    original = of_record(record, restore, copy, place, copies)
    return rehearse(plan, original, copies=copies, run=run, handle=handle, programs=programs, log=log)


def rehearse(
    plan: Plan,
    original: Original,
    *,
    copies: Endpoint,
    run: RunContext,
    handle: StepHandle | None = None,
    programs: Path | None = None,
    log: logging.Logger = LOG,
) -> DryRunEvidence:
    """Apply, check, roll back, compare, apply again, on a clone of `original.copy`.

    :raises DryRunFailed: see `run`.
    """
    started = time.monotonic()
    log.info("%s: dry run of %s on a clone of %s", run.run_id, plan.version, original.copy.name)
    handle, changed = handle or StepHandle(), [NOTHING_FIRST]

    def first(trial: Trial) -> None:
        with names_known(vocabulary(plan, original.schema).knows):
            changed.append(ahead.apply(plan.ahead, trial, original.schema, run=run, handle=handle, log=log))

    with session.connect(copies.with_database(original.copy.name), purpose="observe") as conn:
        settings, lacking = meanings.taken(conn, original.settings)
    for sentence in lacking:
        log.warning("%s: %s", plan.version, sentence)
    trials = functools.partial(
        trial_database,
        copies,
        original.copy,
        first=first if plan.ahead else None,
        settings=settings,
        session_settings=original.session_settings,
        log=log,
    )
    alone = functools.partial(
        _rehearsed, plan, original, trials, changed, run=run, handle=handle, programs=programs, lacking=lacking, log=log
    )
    spoiled: list[str] = []
    try:
        rehearsal, done, undone, written = alone(on=True)
        spoiled = rehearsal.failures if rehearsal.traffic.is_on else []
    except TransientError as exc:
        if not lasts(plan):
            raise
        spoiled = [str(exc)]
    if spoiled:  # no honest migration fails by a writer of ours: it is the reviewers who judge
        log.warning("%s: rehearsed again without other writers, with whom it failed: %s", plan.version, spoiled)
        rehearsal, done, undone, written = alone(on=False)
        rehearsal.spoiled = [] if rehearsal.failures else spoiled
    rehearsal.go_halfway(trials, written)
    evidence = rehearsal.evidence(done, undone)
    log.info("dry run of %s %s in %.1f s", plan.version, evidence.outcome, time.monotonic() - started)
    dry_run_checks.require_stands(evidence, plan.version, rehearsal.error)
    return evidence


def _rehearsed(
    plan: Plan,
    original: Original,
    trials: Callable[[], AbstractContextManager[Trial]],
    changed: Sequence[First],
    *,
    run: RunContext,
    handle: StepHandle,
    programs: Path | None,
    lacking: tuple[str, ...],
    log: logging.Logger,
    on: bool,
) -> tuple[_Rehearsal, tuple[StatementTrace, ...], tuple[StatementTrace, ...], frozenset[str]]:
    """On a clone of its own. :param on: whether somebody else writes meanwhile."""
    with trials() as trial:
        original = replace(original, first=changed[-1])
        rehearsal = _Rehearsal(original, trial, run, programs, log, lacking, plan=plan, handle=handle)
        rehearsal.traffic = Traffic(plan, trial, rehearsal.known, on=on)
        with (
            Ledger(trial.texts) as book,
            Observer(trial.watching, version=plan.version, beside=rehearsal.traffic) as forwards,
            Observer(trial.watching, version=plan.version) as backwards,
            written_since(trial.watching, plan) as catalog,
        ):
            before = rehearsal.look_around()
            try:
                with names_known(rehearsal.known.knows):
                    rehearsal.perform(book, forwards, backwards, catalog)
            except CopySpoiled as exc:  # what is told about the server says so
                log.warning("%s: the dry run of %s ends early: %s", run.run_id, plan.version, exc)
            done, undone = rehearsal.traces(forwards), rehearsal.traces(backwards)
            rehearsal.judge_writes(done + undone)
            rehearsal.judge_server(before)
            rehearsal.checks += skipped.judge(forwards.skipped, rehearsal.known)
            rehearsal.checks += original.checks
            written = forwards.written | backwards.written
    return rehearsal, done, undone, written


@dataclass
class _Rehearsal(Judging):
    """What one dry run finds, one check after the other. A check that was not reached says so."""

    run: RunContext
    programs: Path | None
    """Directory of pg_dump and pg_restore; looked for when None."""
    log: logging.Logger
    lacking: tuple[str, ...] = ()
    """What of the target's settings the copy cannot have."""
    changes: SchemaDiff = field(default_factory=lambda: SchemaDiff(()))
    seconds: float = 0.0
    rollback_seconds: float | None = None
    role: str = ""
    rights: privileges.Privileges = field(default_factory=privileges.Privileges)
    states: tuple[RehearsedState, ...] = ()
    undoing: tuple[RehearsedState, ...] = ()
    resumed: bool = False
    """The snapshot has a part of this migration in it; then the rollback goes back further than to the snapshot."""
    partly: tuple[halfway.Result, ...] | None = None
    takes: list[str] | None = None
    traffic: Traffic = field(init=False)
    """Beside the first apply."""
    held: tuple[HeldLock, ...] = ()
    spoiled: list[str] = field(default_factory=list)
    """Checks that failed with it, and passed without."""

    @property
    def failures(self) -> list[str]:
        return [f"{check.name}: {check.detail}" for check in self.checks if check.verdict is Verdict.FAILED]

    def perform(self, book: Ledger, forwards: Observer, backwards: Observer, written: Written) -> None:
        before = self.before = self._open(book)
        watch = States(
            self.schema,
            lambda: reached_by(self.plan, book.steps(self.plan.version)),
            before=before,
            start=self.original.start,
            known=self.known,
            written=written,
        )
        with self.traffic:
            applied = self.timed("apply", lambda: self._apply(book, forwards, watch, self.traffic))
        if not applied:
            self.checks += in_the_way.look_for(self.trial, self.plan, self.original, self.error, self.log)
            self.not_reached("expected_changes", "assertions", "later_backup", *ROLLBACK_CHECKS)
            return
        self.seconds, self.states = self.checks[-1].seconds - self.traffic.waited_seconds, watch.taken()
        after = self.schema()
        self.changes = diff(before.portable, after.portable)
        self.judge_assertions()
        self.judge_sequences(forwards.written)
        self.rights = privileges.after_apply(self.trial, self.plan.version, self.original.start, before, after)
        if not self.resumed:
            self.judge_changes(self.changes)
        self.timed("later_backup", self._later_backup)
        if irreversible(self.plan):
            self.not_reached(*ROLLBACK_CHECKS, reason=dry_run_checks.NO_SCRIPT)
            return
        self.applied = rows.after_apply(self.trial, self.plan.version)
        if not self.timed("rollback", lambda: self._roll_back(book, backwards, watch)):
            self.not_reached("rollback_schema_equal", "rollback_data", "reapply", "reapply_schema_equal")
            return
        self.rollback_seconds, self.undoing = self.checks[-1].seconds, watch.taken()
        restored = self.schema()
        self.takes = self.takes_of(backwards, after, restored)
        if self.resumed:
            self.not_reached("rollback_schema_equal", "rollback_data", reason=dry_run_checks.RESUMED)
            self.judge_changes(diff(restored.portable, after.portable))
        else:
            self.checks.append(self.schema_equal("rollback_schema_equal", before, restored))
            written_to = forwards.written | backwards.written | self.traffic.names
            self.timed_check(lambda: self.rows_equal(restored, written_to, forwards, backwards))
        if not self.timed("reapply", lambda: self._apply(book)):
            self.not_reached("reapply_schema_equal")
            return
        self.checks.append(self.schema_equal("reapply_schema_equal", after, self.schema()))

    def go_halfway(self, trials: Callable[[], AbstractContextManager[Trial]], written: Collection[str]) -> None:
        """From where a failure can stop it; what has failed already is mended first."""
        if not halfway.wanted(self.plan) or any(check.verdict is Verdict.FAILED for check in self.checks):
            return

        def tried(halt: Halt, trial: Trial) -> halfway.Result:
            part = cut(self.plan, halt)
            one = _Rehearsal(self.original, trial, self.run, self.programs, self.log, plan=part, handle=self.handle)
            return one.back_from(halt, written)

        with names_known(self.known.knows):
            self.partly = () if self.resumed else halfway.rehearse(self.plan, self.seconds, trials, tried)
        self.checks += halfway.checks_of(self.partly)

    def back_from(self, halt: Halt, written: Collection[str]) -> halfway.Result:
        """:param written: by the whole migration and its rollback."""
        kept = all(step.transactional for step in self.plan.rollback_steps)
        with Ledger(self.trial.texts) as book, Observer(self.trial.watching, version=self.plan.version) as tracer:
            before = self.before = self._open(book)
            stop = halfway.Stop(halt)
            if not self.timed("apply", lambda: stop.reached(lambda: self._apply(book, stop=stop))):
                return halfway.judged(halt, self.checks)
            if stop.missed:
                return halfway.undivided(halt)
            there, self.applied = self.schema(), rows.after_apply(self.trial, self.plan.version)
            undone = self.timed("rollback", lambda: self._roll_back(book, tracer))
            restored = self.schema()
            if not undone and (kept or (there.fingerprint == restored.fingerprint and not tracer.written)):
                return halfway.refused(halt, self.error)
            self.checks.append(self.schema_equal("rollback_schema_equal", before, restored))
            self.timed_check(lambda: self.rows_equal(restored, tracer.written.union(written), tracer))
        return halfway.judged(halt, self.checks, self.takes_of(tracer, there, restored), stop.told)

    def evidence(self, forwards: tuple[StatementTrace, ...], backwards: tuple[StatementTrace, ...]) -> DryRunEvidence:
        return DryRunEvidence(
            plan_digest=self.plan.digest,
            snapshot_id=self.original.snapshot_id,
            verdict=dry_run_checks.verdict(self.checks, irreversible=irreversible(self.plan)),
            checks=tuple(self.checks),
            statements=forwards,
            rollback_statements=backwards,
            schema_diff=self.known.lines_and_rest(self.changes, "what changed in the schema of the clone"),
            fingerprint_before=self.original.start.portable.fingerprint,
            fingerprint_after=patch(self.original.start, self.changes).portable.fingerprint,
            seconds=self.seconds,
            rollback_seconds=self.rollback_seconds,
            wal_bytes=sum(trace.wal_bytes for trace in forwards),
            role=self.role,
            finished_at=self.run.clock(),
            irreversible=irreversible(self.plan),
            extra={
                "surprises": list(dry_run_checks.surprises(forwards)),
                "resumed": self.resumed,
                **self.rights.evidence(),
                "sequences": [list(key) for key in self.sequences.keys],
                "sequences_as_before": [list(key) for key in self.sequences.as_before],
                LACKING: list(self.lacking),
                **halfway.noted(self.partly, self.takes),
                **self.traffic.noted(self.spoiled),
                HELD: [[one.step, one.relation, one.mode, one.seconds] for one in self.held],
                IDLE: not self.changes and self.applied.same and dry_run_checks.idle(forwards),
                **(self.original.started if self.plan.ahead else {}),
            },
            states=self.states,
            undoing=self.undoing,
        )

    def _open(self, book: Ledger) -> Schema:
        with session.connect(self.trial.texts, purpose="dry_run", version=self.plan.version) as conn:
            self.role = require_harmless(conn)
        ahead.adopt(book, self.run)
        self.resumed = any(took_effect(step) for step in book.steps(self.plan.version))
        return self.schema()

    def _apply(
        self,
        book: Ledger,
        tracer: Observer | None = None,
        watch: Watch | None = None,
        traffic: Traffic | None = None,
        stop: halfway.Stop | None = None,
    ) -> str:
        patience, endpoint = ahead.LOCK_DEADLINE_SECONDS, self.trial.texts
        attempt = Attempt(self.plan, endpoint, book, self.run, "dry_run", patience, self.handle, tracer, self.log)
        with attempt.locked() as ctx:
            book.begin(self.plan, run=self.run)
            results = []
            for step in self.plan.steps:
                moments = watch if traffic is None else traffic.watching(step.name, watch)
                stops = None if stop is None else stop.of(step)
                results.append(execution.run(step, replace(ctx, watch=moments, stops=stops)))
                if moments is not None:
                    moments.went_on()
        if traffic is not None:
            self.held = holding.longest(one for result in results for one in result.held)
        count = wording.count(sum(len(result.statements) for result in results), "statement")
        return count + gating.told(self.plan, results)

    def _roll_back(self, book: Ledger, tracer: Observer, watch: Watch | None = None) -> str:
        report = rollback.run(
            self.plan,
            endpoint=self.trial.texts,
            ledger=book,
            run=self.run,
            force=True,  # whatever the metadata says about failures: here it is the script that is tried
            deadline_seconds=ahead.LOCK_DEADLINE_SECONDS,
            handle=self.handle,
            tracer=tracer,
            watch=watch,
            log=self.log,
        )
        return f"{wording.count(len(report.statements), 'statement')}, {report.reason}"

    def _later_backup(self) -> str:
        if not self.changes:
            return "nothing has changed that a backup has"
        return later_backup.require(self.trial, self.changes, programs=self.programs, log=self.log)
