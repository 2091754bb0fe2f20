"""The end of a run in words: what the ledger says happened, and what a person has to do now.

A teardown, and the one that colours the run. It asks the ledger only: a step that somebody marked success was not
applied, and a rollback that went well is no success of the migration.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from migrator.database import queries, session
from migrator.database.session import Endpoint
from migrator.gates import answers
from migrator.gates.clear_way import has_content
from migrator.ledger.events import COMPARED
from migrator.ledger.events import FAILED as VERIFY_FAILED
from migrator.ledger.rows import LedgerEvent, LedgerMigration, LedgerStep, MigrationStatus, StepStatus, took_effect
from migrator.plan import Plan
from migrator.run import RunContext
from migrator.steps import held_locks, queueing
from migrator.wording import count, seconds

if TYPE_CHECKING:
    from migrator.ledger.ledger import Ledger

LOG = logging.getLogger(__name__)

EVENT = "outcome"
NOT_APPLIED = "not_applied"
"""Status of a version that the ledger does not know."""


ALL_COMPARED = "the database is as before"
SCHEMA_COMPARED = (
    "the schema is as before; that the rows are, nobody has compared or rehearsed, since a person has asked for the"
    " rollback: look at them"
)


@dataclass(frozen=True)
class Back:
    """What a rollback has given back, as far as anybody knows."""

    left: tuple[str, ...] = ()
    """What it has not."""
    compared: str = "it is rolled back, and nobody has compared the database with what was there before: look at it"


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `status` is the ledger's, or `not_applied`."""

    version: str
    target: str
    run_id: str
    ok: bool
    """Applied and verified, with the content of this run's plan."""
    status: str
    text: str
    """For people: what happened, stage by stage, and what to do next."""
    next_step: str = ""
    """The last part of `text` alone; empty when nothing is to be done."""
    changed: bool = True
    """False when the migration was applied and verified before this run."""
    error: str | None = None
    applied_at: str | None = None
    verified_at: str | None = None
    duration_ms: int | None = None
    actor: str = ""


def run(
    plan: Plan | None,
    *,
    version: str,
    endpoint: Endpoint,
    ledger: Ledger,
    run: RunContext,
    log: logging.Logger = LOG,
) -> Outcome:
    """Ask the ledger how it ended, and write that down once. A run that changed nothing writes nothing.

    :param plan: this run's plan; None when it is not known any more, then the content is not compared.
    """
    if not ledger.exists():
        return describe(plan, None, (), (), run=run, version=version, target=run.target)
    row, steps, events = ledger.migration(version), ledger.steps(version), ledger.events(version)
    alive = () if row is None or row.status is MigrationStatus.SUCCESS else still_there(endpoint, version)
    result = describe(plan, row, steps, events, run=run, version=version, target=run.target, alive=alive)
    if result.ok and (problems := ledger.verify_chain()):
        text = f"{version} is applied as the ledger says, and the ledger cannot be relied on: {'; '.join(problems)}"
        result = replace(result, ok=False, text=text, next_step="find out who has written to the ledger")
    if is_news(result, events, run_id=run.run_id):
        detail = {"ok": result.ok, "result": result.status, "next": result.next_step}
        ledger.append_event(EVENT, version=version, run=run, detail=detail)
    log.info("outcome of %s on %s: %s", version, result.target, result.status)
    return result


def describe(
    plan: Plan | None,
    row: LedgerMigration | None,
    steps: Sequence[LedgerStep],
    events: Sequence[LedgerEvent],
    *,
    run: RunContext,
    version: str,
    target: str,
    alive: Sequence[str] = (),
) -> Outcome:
    """The judgement and its words. Pure."""
    mine = tuple(event for event in events if event.run_id == run.run_id and event.kind != EVENT)
    same = plan is None or row is None or has_content(row, plan)
    ok = row is not None and row.status is MigrationStatus.SUCCESS and same
    back = given_back(events)
    todo = "" if ok else next_step(plan, row, steps, mine, run=run, version=version, same_content=same, back=back)
    story = [*_story(row, steps, mine, ok=ok, same_content=same), *alive]
    text = f"{version} on {target}: {_headline(row, steps, run=run, ok=ok, same_content=same, mine=mine)}"
    text += "".join(f"\n- {line}" for line in story)
    if todo:
        text += f"\nnext: {todo}"
    return Outcome(
        version=version,
        target=target,
        run_id=run.run_id,
        ok=ok,
        status=row.status.value if row is not None else NOT_APPLIED,
        text=text,
        next_step=todo,
        changed=not (ok and not any(event.kind == "verified" for event in mine)),
        error=row.error_message if row is not None and not ok else None,
        applied_at=_iso(row.applied_at) if row is not None else None,
        verified_at=_iso(row.verified_at) if row is not None else None,
        duration_ms=row.duration_ms if row is not None else None,
        actor=run.actor,
    )


def still_there(endpoint: Endpoint, version: str) -> tuple[str, ...]:
    """Sessions that execute this migration although its run is at its end."""
    names = [session.application_name(purpose, version) for purpose in ("apply", "rollback")]
    with session.connect(endpoint, purpose="observe", version=version) as connection, session.translated():
        rows = connection.execute(
            queries.load("migrator.database", "activity")["sessions_named"], {"names": names}
        ).fetchall()
    return tuple(f"pid {pid} ({name}, {state or 'state hidden'}) is still there" for pid, name, state in rows)


def is_news(result: Outcome, events: Sequence[LedgerEvent], *, run_id: str) -> bool:
    """Whether this end is not in the ledger yet. A run that found everything done, or that never wrote anything, leaves
    no trace. Pure."""
    mine = [event for event in events if event.run_id == run_id]
    told = [event for event in mine if event.kind == EVENT]
    if told and told[-1].detail.get("result") == result.status and told[-1] is mine[-1]:
        return False
    return any(event.kind not in (EVENT, "review") for event in mine)


def next_step(
    plan: Plan | None,
    row: LedgerMigration | None,
    steps: Sequence[LedgerStep],
    mine: Sequence[LedgerEvent],
    *,
    run: RunContext,
    version: str,
    same_content: bool,
    back: Back = Back(),
) -> str:
    """What a person has to do, as a command where there is one. Pure."""
    if row is None:
        return "nothing was changed. see what the task that failed says, and clear what it names with downstream"
    if row.status is MigrationStatus.SUCCESS and not same_content:
        return "an applied migration must not be edited: put its files back as they were, and write a new migration"
    if row.status is MigrationStatus.ROLLBACK_FAILED:
        return (
            "the schema is between two states, and no other migration may run. look at it, put it in order by hand or"
            f' with the snapshot, then say what is true: "migrator ledger repair {version} --status rolled_back'
            ' --reason ..." (or success, or failed)'
        )
    if row.run_id != run.run_id and row.status is MigrationStatus.RUNNING:
        return f"wait for run {row.run_id!r}{_where(row)}; if it is over, clear its rollback"
    if row.status is MigrationStatus.ROLLED_BACK and back.left:
        return (
            f"it is rolled back, and the database is NOT as before: {'; '.join(back.left)}. put that back by hand or"
            " with a new migration, mend the migration and its rollback script, then clear analyze with downstream"
        )
    if row.status is MigrationStatus.ROLLED_BACK:
        return (
            f"{back.compared}. mend the cause, then clear preflight (or the first task of the group apply)"
            " with downstream; apply cleared alone is not verified, so it is undone again. after an edit of the files,"
            " clear analyze with downstream"
        )
    if row.status is MigrationStatus.RUNNING and row.applied_at is not None:
        return "it is applied, but not verified: clear verify with downstream, or clear rollback to undo it"
    done = [step.step for step in steps if took_effect(step)]
    if done:
        kept = next((event for event in reversed(mine) if event.kind == "held"), None)
        why = f" ({kept.detail.get('reason')})" if kept is not None else ""
        stay = "stays" if len(done) == 1 else "stay"
        return (
            f"{', '.join(map(repr, done))} {stay} applied{why}, and other migrations are kept out. mend the cause and"
            " clear the step that failed with downstream to go on from there; or undo it by hand and say so with"
            f' "migrator ledger repair {version} --status rolled_back --reason ..."'
        )
    return "the database is as before. mend the cause, then clear preflight with downstream"


def given_back(events: Sequence[LedgerEvent]) -> Back:
    """By the last rollback, whichever run has made it. Pure; events come oldest first."""
    left: list[str] = []
    compared = Back.compared
    for event in events:
        if event.kind in ("begin", "rolled_back", "repair"):
            left, compared = left if event.kind == "rolled_back" else [], Back.compared
        elif event.kind == COMPARED:
            compared = ALL_COMPARED if event.detail.get("rehearsed") else SCHEMA_COMPARED
        elif event.kind == "rollback_differs":
            left.append(f"the schema differs ({'; '.join(map(str, event.detail.get('differences', ())))})")
        elif event.kind in _AFTER_ROLLBACK:
            left.append(_AFTER_ROLLBACK[event.kind])
    return Back(tuple(left), compared)


def _headline(
    row: LedgerMigration | None,
    steps: Sequence[LedgerStep],
    *,
    run: RunContext,
    ok: bool,
    same_content: bool,
    mine: Sequence[LedgerEvent],
) -> str:
    if row is None:
        return "not applied; the ledger does not know it, so nothing of it was ever begun"
    if ok:
        if any(event.kind == "verified" for event in mine):
            return "applied and verified"
        return f"applied and verified before, by run {row.run_id!r}; this run changed nothing"
    if not same_content:
        return "another content than this run's plan is applied"
    if row.status is MigrationStatus.ROLLED_BACK:
        return "not applied: it failed and was rolled back" if mine else "not applied: it was rolled back earlier"
    if row.status is MigrationStatus.ROLLBACK_FAILED:
        return "THE ROLLBACK FAILED"
    if row.status is MigrationStatus.RUNNING and row.run_id != run.run_id:
        return f"not applied by this run: run {row.run_id!r} by {row.applied_by} holds the database"
    if row.status is MigrationStatus.RUNNING:
        return "applied, but not verified" if row.applied_at is not None else "not finished"
    if any(took_effect(step) for step in steps):
        return "failed, and part of it is still applied"
    return "failed; nothing of it is applied"


def _story(
    row: LedgerMigration | None,
    steps: Sequence[LedgerStep],
    mine: Sequence[LedgerEvent],
    *,
    ok: bool,
    same_content: bool,
) -> list[str]:
    """Stage by stage, what this run did."""
    if row is None or (ok and not mine):
        return []
    lines = [_approvals(mine)]
    lines += [_step_line(step) for step in steps]
    for event in mine:
        lines.append(_event_line(event))
    told = any(event.kind in (VERIFY_FAILED, "rollback_failed") for event in mine) or any(step.error for step in steps)
    if row.error_message and not ok and not told:
        lines.append(f"error: {row.error_message}")
    if row.duration_ms is not None and ok:
        lines.append(f"applied in {seconds(row.duration_ms / 1000)}, verified at {_iso(row.verified_at)}")
    if not same_content:
        lines.append("the ledger's digest and this plan's differ")
    return [line for line in lines if line]


def _approvals(mine: Sequence[LedgerEvent]) -> str:
    people = [
        f"{event.detail.get('reviewer')} ({event.detail.get('decision')})" for event in mine if event.kind == "review"
    ]
    return f"reviews: {', '.join(people)}" if people else ""


def _step_line(step: LedgerStep) -> str:
    text = f"step {step.step}: {_STEP_WORDS[step.status]}"
    if step.started_at is not None and step.finished_at is not None and step.finished_at >= step.started_at:
        text += f", {seconds((step.finished_at - step.started_at).total_seconds())}"
    if step.attempts > 1:
        text += f", {count(step.attempts, 'attempt')}"
    if step.status is not StepStatus.SUCCESS and step.statements_done > 0:
        text += f", {step.statements_done} of {count(len(step.statement_digests), 'statement')} took effect"
    if step.rows_done:
        text += f", {count(step.rows_done, 'row')}"
    if step.error:
        text += f": {step.error}"
    return text


_STEP_WORDS: Mapping[StepStatus, str] = {
    StepStatus.PENDING: "not started",
    StepStatus.RUNNING: "interrupted",
    StepStatus.SUCCESS: "done",
    StepStatus.FAILED: "failed",
    StepStatus.ROLLED_BACK: "undone",
}


def _event_line(event: LedgerEvent) -> str:
    """The events that a person wants to know of; the others are in the steps already."""
    detail: Mapping[str, Any] = event.detail
    at = event.at.strftime("%H:%M:%S")
    if event.kind == "begin" and detail.get("reason"):
        return f"begun by {event.actor} at {at}: {detail['reason']}"
    if event.kind == VERIFY_FAILED:
        return f"verify failed at {at}: {'; '.join(map(str, detail.get('problems', ())))}"
    if event.kind == "emergency":
        return f"EMERGENCY at {at}, {detail.get('reason', '')}: it did not count that {detail.get('lifted', '')}"
    if event.kind == "out_of_order":
        return f"out of order: {', '.join(detail.get('higher', ()))} applied before"
    if event.kind == answers.EVENT:
        said = f": {detail['comment']}" if detail.get("comment") else ""
        return f"gate {detail.get('step')}: {event.actor} answered at {at}, {detail.get('decision')}{said}"
    if event.kind == "rolled_back":
        return f"rolled back at {at}"
    if event.kind == "rollback_failed":
        return f"rollback failed at {at}: {detail.get('error_message', '')}"
    if event.kind == "rollback_differs":
        differences = "; ".join(map(str, detail.get("differences", ())))
        return f"after the rollback the schema is not the one from before: {differences}"
    if event.kind in _AFTER_ROLLBACK:
        return f"{_AFTER_ROLLBACK[event.kind]}: {'; '.join(map(str, detail.get('told', ())))}"
    if event.kind == "rollback_decided":
        return f"{event.actor} decided about the rollback at {at}: {detail.get('decision', '')}"
    if event.kind == held_locks.EVENT:
        return f"step {detail['step']} held {'; '.join(map(_held, detail['held']))}"
    if event.kind == queueing.EVENT:
        waited, who = seconds(detail["waited_seconds"]), ", ".join(detail["blockers"])
        return f"step {detail['step']} has waited {waited}, before it queued for a lock, for {who}"
    if event.kind == queueing.ENDED:
        idle_for = seconds(detail["idle_seconds"])
        return f"step {detail['step']} ended {detail['session']}, idle in its transaction for {idle_for}"
    if event.kind == "held":
        return f"left as it is at {at}: {detail.get('reason', '')}"
    if event.kind in ("repair", "settle"):
        return f"{event.actor} put the ledger right at {at}: {detail.get('reason', '')}"
    return ""


def _held(lock: Mapping[str, Any]) -> str:
    before, most = lock["rehearsed_seconds"], lock["budget_seconds"]
    said = f"{lock['mode']} on {lock['relation']} for {seconds(lock['seconds'])}"
    rehearsed = "not in the dry run" if before is None else f"{seconds(before)} in the dry run"
    return f"{said} ({rehearsed}, {'no bound' if most is None else f'at most {seconds(most)}'} in the plan)"


_AFTER_ROLLBACK = {
    "rollback_lost": "the rollback has deleted, or changed, rows that others had written since",
    "rollback_set_back": "the rollback has set sequences back",
}


def _where(row: LedgerMigration) -> str:
    return f" ({row.run_url})" if row.run_url else ""


def _iso(moment: Any) -> str | None:
    return None if moment is None else str(moment.isoformat(timespec="seconds"))
