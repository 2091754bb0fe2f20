"""Finish what a run has left `running`: verify it when all of it is applied, else undo it as its policy says.

A run's own teardowns do this. They do not run when its tasks are deadlocked, its DAG is paused or gone, somebody has
marked them, or the run was deleted. So whoever looks from outside calls this: it asks the ledger, fences the sessions
that the ledger remembers, and goes by the plan that the ledger names. What no stored plan or no policy decides is left
as it is, for a person.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from migrator.database.session import Endpoint
from migrator.documents import StrEnum
from migrator.errors import NeedsHuman, Refused, RollbackFailed, VerifyFailed
from migrator.evidence import EvidenceBundle
from migrator.gates.drift import start_of
from migrator.gates.evidence import kept_problems
from migrator.ledger.rows import LedgerMigration, MigrationStatus
from migrator.operations import reconcile
from migrator.operations.reconcile import RunState, State
from migrator.plan import Plan
from migrator.run import RunContext
from migrator.stages import rollback, verify
from migrator.steps.context import StepHandle
from migrator.steps.undo_decision import Action

if TYPE_CHECKING:
    from migrator.ledger.ledger import Ledger

LOG = logging.getLogger(__name__)

PAUSE_SECONDS = 5.0
"""Between two looks. Whoever calls has seen for some seconds that nobody works on it."""
EVENT = "finished"
"""The event that says what became of it, by whom and why."""


WHOSE = (
    "it may be another Airflow's, so it is left alone: with [api] base_url set in each of them the ledger tells whose a"
    " run is"
)


class Ending(StrEnum):
    NOTHING = "nothing"
    """Nobody has left anything, or somebody works on it."""
    CLOSED = "closed"
    """Nothing of it was applied: its row is closed."""
    VERIFIED = "verified"
    ROLLED_BACK = "rolled_back"
    HELD = "held"
    """It stays as it is: the metadata says so, or no script can undo it."""
    ROLLBACK_FAILED = "rollback_failed"
    PERSON = "person"
    """Nobody but a person can tell what to do."""


GOOD = frozenset({Ending.NOTHING, Ending.CLOSED, Ending.VERIFIED})


@dataclass(frozen=True)
class Stored:
    """What was kept of a run: the plan that the ledger names, and the evidence that came with it."""

    plan: Plan
    evidence: EvidenceBundle | None


@dataclass(frozen=True)
class Finished:
    """`news`: nobody was told of it yet."""

    target: str
    ending: Ending
    text: str
    version: str | None = None
    run_id: str | None = None
    run_url: str | None = None
    news: bool = False


def run(
    *,
    endpoint: Endpoint,
    ledger: Ledger,
    run: RunContext,
    state_of: Callable[[LedgerMigration], RunState],
    stored: Callable[[LedgerMigration], Stored],
    handle: StepHandle | None = None,
    deadline_seconds: float = 600.0,
    sleep: Callable[[float], None] = time.sleep,
    log: logging.Logger = LOG,
) -> Finished:
    """Look twice whether somebody still works on the row that says running; if not, end it.

    :param run: of who finishes it: `target`, `actor` and `reason` go into the ledger.
    :param stored: the plan and the evidence of the row's run. :raises NeedsHuman: they are gone or others.
    :raises TransientError: a lock or the connection; it may be tried again.
    """
    found = reconcile.examine(
        endpoint=endpoint, ledger=ledger, run=run, state_of=state_of, sleep=sleep, pause_seconds=PAUSE_SECONDS
    )
    rows = ledger.all_running() if ledger.exists() else ()
    row = next((one for one in rows if (one.version, one.run_id) == (found.version, found.run_id)), None)
    if found.state is State.CLOSED:
        log.warning("%s", found.text)
        return Finished(run.target, Ending.CLOSED, found.text, found.version, found.run_id, news=True)
    if row is None or found.state not in (State.STUCK, State.ORPHANED):
        return Finished(run.target, Ending.NOTHING, found.text, found.version, found.run_id)
    if state_of(row) is RunState.UNKNOWN:
        told = reconcile.tell(replace(found, text=f"{found.text}. {WHOSE}"), ledger=ledger, run=run, log=log)
        return Finished(run.target, Ending.PERSON, told.text, row.version, row.run_id, row.run_url, told.news)
    as_run = replace(run, version=row.version, run_id=row.run_id, run_url=row.run_url)
    try:
        kept = _of_row(stored(row), row, ledger)
        log.warning("%s ends what was left of %s: %s", run.actor, row.version, found.text)
        ending, text = _finish(kept, row, endpoint, ledger, as_run, handle or StepHandle(), deadline_seconds, log)
    except NeedsHuman as exc:
        told = reconcile.tell(replace(found, text=f"{found.text}. {exc}"), ledger=ledger, run=run, log=log)
        return Finished(run.target, Ending.PERSON, told.text, row.version, row.run_id, row.run_url, told.news)
    ledger.append_event(
        EVENT, version=row.version, run=as_run, detail={"ending": ending.value, "text": text, "because": found.text}
    )
    log.warning("%s on %s: %s", row.version, run.target, text)
    return Finished(run.target, ending, text, row.version, row.run_id, row.run_url, news=True)


def _of_row(kept: Stored, row: LedgerMigration, ledger: Ledger) -> Stored:
    """:raises NeedsHuman: it is not the plan that was applied, or not the evidence that was reviewed."""
    plan = kept.plan
    if (plan.version, plan.digest, plan.content_digest) != (row.version, row.plan_digest, row.checksum):
        raise NeedsHuman(
            f"the stored plan of run {row.run_id!r} is not the one that the ledger names ({row.plan_digest}): somebody"
            " has exchanged it"
        )
    if kept.evidence is None:
        return kept
    if problems := kept_problems(plan, kept.evidence, ledger):
        raise NeedsHuman(f"the stored evidence of run {row.run_id!r} cannot be used: {'; '.join(problems)}")
    return kept


def _finish(
    kept: Stored,
    row: LedgerMigration,
    endpoint: Endpoint,
    ledger: Ledger,
    run: RunContext,
    handle: StepHandle,
    deadline_seconds: float,
    log: logging.Logger,
) -> tuple[Ending, str]:
    plan = kept.plan
    if row.applied_at is not None:
        if kept.evidence is None:
            raise NeedsHuman(
                "all of it is applied, and the evidence of its dry run is gone, so nobody can say whether it is what"
                " was rehearsed"
            )
        rollback.fence_all(plan, endpoint, ledger)
        try:
            verify.run(
                plan, kept.evidence, endpoint=endpoint, ledger=ledger, run=run, deadline_seconds=deadline_seconds
            )
            return Ending.VERIFIED, "all of it was applied, and it is verified now: its run had ended before that"
        except VerifyFailed as exc:
            log.warning("%s", exc)
        except Refused as exc:  # the ledger itself is not what it was
            raise NeedsHuman(f"all of it is applied, and it cannot be verified: {exc}") from exc
    try:
        report = rollback.run(
            plan,
            endpoint=endpoint,
            ledger=ledger,
            run=run,
            start=start_of(kept.evidence) if kept.evidence is not None else None,
            deadline_seconds=deadline_seconds,
            handle=handle,
            log=log,
        )
    except RollbackFailed as exc:
        return Ending.ROLLBACK_FAILED, str(exc)
    return _ENDINGS[report.action], _told(report.action, report.reason, ledger, row)


_ENDINGS = {
    Action.ROLLED_BACK: Ending.ROLLED_BACK,
    Action.HELD: Ending.HELD,
    Action.NOTHING: Ending.CLOSED,
    Action.KEPT_VERIFIED: Ending.VERIFIED,
}


def _told(action: Action, reason: str, ledger: Ledger, row: LedgerMigration) -> str:
    if action is Action.ROLLED_BACK:
        now = ledger.migration(row.version)
        undone = now is not None and now.status is MigrationStatus.ROLLED_BACK
        return f"it is rolled back: its run had ended before that ({reason})" if undone else reason
    return reason if action is not Action.HELD else f"what is applied of it stays: {reason}"
