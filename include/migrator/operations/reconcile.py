"""Ledger rows that say `running` although nobody works on them any more: found, reported, and closed where nothing of
the migration is in the database.

A run's teardowns end its row. They do not run when somebody deletes the DAG run, or when Airflow itself was gone; then
the row keeps every other migration out until somebody looks. Whether what is half applied is to be kept or undone is
for a person; that nothing was applied at all is a fact, and such a row is closed here, with an event.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from migrator.database import activity, queries, session
from migrator.database.locking import migration_lock
from migrator.database.session import Endpoint
from migrator.documents import StrEnum
from migrator.errors import HeldByOther, LedgerForeign, LedgerNewer, LedgerOlder
from migrator.ledger.rows import LedgerEvent, LedgerMigration, LedgerStep, MigrationStatus, StepStatus, took_effect
from migrator.run import RunContext

if TYPE_CHECKING:
    from migrator.ledger.ledger import Ledger

LOG = logging.getLogger(__name__)

EVENT = "reconcile"
PAUSE_SECONDS = 15.0
"""Between two looks: a run that was just marked failed has teardowns which are about to begin."""
GRACE = timedelta(minutes=15)
"""A step whose session is gone is Airflow's to retry; after this long nobody has."""
LOCK_SECONDS = 5.0


class RunState(StrEnum):
    """What Airflow says about the run that the row names."""

    ACTIVE = "active"
    OVER = "over"
    GONE = "gone"
    """Deleted: its address is of this Airflow, which does not know it any more."""
    UNKNOWN = "unknown"
    """Not known to this Airflow, and nothing says whose it is: perhaps another one is at work on it."""
    ELSEWHERE = "elsewhere"
    """Of another Airflow, which looks after it itself."""
    IDLE = "idle"
    """It goes on by its name only: nothing of it is running, waiting or about to run."""


ENDED = frozenset({RunState.OVER, RunState.GONE, RunState.IDLE, RunState.UNKNOWN})
"""As far as this Airflow knows, nobody works on what such a run has begun."""
OVER_WORDS = {
    RunState.OVER: "is over",
    RunState.GONE: "is not known to Airflow any more",
    RunState.UNKNOWN: "is not known to this Airflow",
    RunState.IDLE: "stands still (paused, or its DAG is gone)",
}


class State(StrEnum):
    FREE = "free"
    """No row says running."""
    AT_WORK = "at_work"
    CLOSED = "closed"
    """The run was over and nothing of it in the database: the row is closed, other migrations may run."""
    INTERRUPTED = "interrupted"
    """The run goes on, its session does not, and nobody has retried the step."""
    STUCK = "stuck"
    """The run is over, something is applied and not verified: a person has to decide."""
    ORPHANED = "orphaned"
    """The run is over, and its session still executes."""


WANTS_A_PERSON = frozenset({State.INTERRUPTED, State.STUCK, State.ORPHANED})


@dataclass(frozen=True)
class Report:
    """What was found on one target. `news`: nobody was told of it yet."""

    target: str
    state: State
    text: str
    version: str | None = None
    run_id: str | None = None
    news: bool = False

    @property
    def wants_a_person(self) -> bool:
        return self.state in WANTS_A_PERSON


def run(
    *,
    endpoint: Endpoint,
    ledger: Ledger,
    run: RunContext,
    state_of: Callable[[LedgerMigration], RunState],
    sleep: Callable[[float], None] = time.sleep,
    log: logging.Logger = LOG,
) -> Report:
    """Look at the row that says running, twice, and say what is wrong with it; close it when nothing was applied.

    :param run: of the housekeeping itself: `target` and `actor` go into the event.
    :param state_of: what Airflow says about the run that a row names.
    :raises LedgerForeign, LedgerTampered, LedgerNewer: nothing that its rows say can be relied on.
    """
    report = examine(endpoint=endpoint, ledger=ledger, run=run, state_of=state_of, sleep=sleep)
    return tell(report, ledger=ledger, run=run, log=log)


def require_trustworthy(ledger: Ledger, *, log: logging.Logger = LOG) -> None:
    """Also when nothing is running: who relies on the ledger next would be the first to notice.

    :raises LedgerTampered: the chain, or what the ledger consists of, is not what the engine has written.
    """
    if not ledger.exists():
        return
    try:
        ledger.check()
    except (LedgerForeign, LedgerOlder, LedgerNewer) as exc:  # for who wants to migrate there
        log.warning("%s", exc)
        return
    ledger.require_intact()


def examine(
    *,
    endpoint: Endpoint,
    ledger: Ledger,
    run: RunContext,
    state_of: Callable[[LedgerMigration], RunState],
    sleep: Callable[[float], None] = time.sleep,
    pause_seconds: float = PAUSE_SECONDS,
) -> Report:
    """Look twice; close a row of which nothing was applied."""
    report = _look(endpoint, ledger, run, state_of)
    if report.state in (State.FREE, State.AT_WORK):
        return report
    sleep(pause_seconds)
    report = _look(endpoint, ledger, run, state_of)
    return _close(report, endpoint, ledger, run, state_of) if report.state is State.CLOSED else report


def tell(report: Report, *, ledger: Ledger, run: RunContext, log: logging.Logger = LOG) -> Report:
    """Write down what was found, once, and say whether it is news."""
    if report.version is None or report.state in (State.FREE, State.AT_WORK):
        return report
    report = replace(report, news=is_news(report, ledger.events(report.version)))
    if report.news:
        detail = {"state": report.state.value, "held_by": report.run_id, "text": report.text}
        ledger.append_event(EVENT, version=report.version, run=run, detail=detail)
    log.log(logging.WARNING if report.wants_a_person else logging.INFO, "%s: %s", report.target, report.text)
    return report


def decide(
    row: LedgerMigration,
    steps: Sequence[LedgerStep],
    *,
    target: str,
    state: RunState,
    alive: Sequence[int],
    now: datetime,
) -> Report:
    """Pure.

    :param alive: sessions that execute this migration, by their pid.
    """
    who = f"{row.version} of run {row.run_id!r} by {row.applied_by}"

    def report(state: State, text: str) -> Report:
        return Report(target, state, text, row.version, row.run_id)

    if state is RunState.ELSEWHERE:
        return report(State.AT_WORK, f"{who} belongs to another Airflow, {row.run_url}")
    if state is RunState.ACTIVE:
        lost = [step for step in steps if _is_lost(step, now)] if not alive else []
        if not lost:
            return report(State.AT_WORK, f"{who} is at work")
        since = lost[0].started_at
        return report(
            State.INTERRUPTED,
            f"step {lost[0].step!r} of {who} began at {since:%Y-%m-%d %H:%M:%S %Z}, its session is gone and nobody has"
            " gone on: see whether its task still runs; if not, clear that task with downstream",
        )
    over = OVER_WORDS[state]
    if alive:
        pids = ", ".join(map(str, alive))
        ending = (
            "clear its rollback with downstream: it ends the session first"
            if state not in (RunState.GONE, RunState.UNKNOWN)
            else f'end it with "SELECT pg_terminate_backend({alive[0]})", then see what this report says'
        )
        return report(State.ORPHANED, f"the run of {who} {over}, but its session (pid {pids}) still executes: {ending}")
    done = [step.step for step in steps if took_effect(step)]
    if not done:
        return report(State.CLOSED, f"the run of {who} {over} and nothing of it was applied: its row is closed")
    what = "applied, but not verified" if row.applied_at is not None else f"applied in part ({', '.join(done)})"
    ending = (
        "clear verify with downstream to have it verified, or rollback with downstream to have it undone"
        if state not in (RunState.GONE, RunState.UNKNOWN)
        else f'look at the database; then "migrator ledger repair {row.version} --status failed --reason ..." and'
        " trigger it again: it goes on where it stopped"
    )
    return report(State.STUCK, f"the run of {who} {over} and it is {what}, so every other migration waits: {ending}")


def is_news(report: Report, events: Sequence[LedgerEvent]) -> bool:
    """Whether something happened to this version since the same was reported. Pure."""
    last = events[-1] if events else None
    if last is None or last.kind != EVENT:
        return True
    return (last.detail.get("state"), last.detail.get("held_by")) != (report.state.value, report.run_id)


def _is_lost(step: LedgerStep, now: datetime) -> bool:
    return step.status is StepStatus.RUNNING and step.started_at is not None and step.started_at < now - GRACE


def _look(
    endpoint: Endpoint, ledger: Ledger, run: RunContext, state_of: Callable[[LedgerMigration], RunState]
) -> Report:
    """Of several that are not finished, the first that nobody works on."""
    rows = ledger.all_running() if ledger.exists() else ()
    if not rows:
        return Report(run.target, State.FREE, "no migration is running")
    ledger.check()
    found = [_look_at(row, endpoint, ledger, run, state_of(row)) for row in rows]
    return next((one for one in found if one.state is not State.AT_WORK), found[0])


def _look_at(row: LedgerMigration, endpoint: Endpoint, ledger: Ledger, run: RunContext, state: RunState) -> Report:
    steps = ledger.steps(row.version)
    alive = at_work(endpoint, row, steps)
    return decide(row, steps, target=run.target, state=state, alive=alive, now=run.clock())


def at_work(endpoint: Endpoint, row: LedgerMigration, steps: Sequence[LedgerStep]) -> tuple[int, ...]:
    """Sessions that work on it: by the name they go by, and by what the ledger recorded of them."""
    names = [session.application_name(purpose, row.version) for purpose in ("apply", "rollback", "lock")]
    with session.connect(endpoint, purpose="observe") as connection:
        with session.translated():
            named = connection.execute(
                queries.load("migrator.database", "activity")["sessions_named"], {"names": names}
            ).fetchall()
        recorded = {
            step.backend_pid
            for step in steps
            if step.backend_pid is not None
            and step.backend_start is not None
            and activity.is_alive(connection, pid=step.backend_pid, backend_start=step.backend_start)
        }
    return tuple(sorted({pid for pid, *_ in named} | recorded))


def _close(
    report: Report,
    endpoint: Endpoint,
    ledger: Ledger,
    run: RunContext,
    state_of: Callable[[LedgerMigration], RunState],
) -> Report:
    """Under the lock, and only if it is still so."""
    assert report.version is not None
    assert report.run_id is not None
    holder = replace(run, version=report.version)
    try:
        with migration_lock(endpoint, run=holder, deadline_seconds=LOCK_SECONDS):
            row = ledger.migration(report.version)
            if row is None or (row.status, row.run_id) != (MigrationStatus.RUNNING, report.run_id):
                return _look(endpoint, ledger, run, state_of)
            if any(took_effect(step) for step in ledger.steps(row.version)):
                return _look(endpoint, ledger, run, state_of)
            errors = [f"step {step.step}: {step.error}" for step in ledger.steps(row.version) if step.error]
            ledger.mark_failed(
                row.version,
                run=replace(run, version=row.version, run_id=row.run_id),
                error_message="; ".join([*errors, report.text]),
            )
    except HeldByOther as exc:
        return replace(report, state=State.AT_WORK, text=str(exc))
    return report
