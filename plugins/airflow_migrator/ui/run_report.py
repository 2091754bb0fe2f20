"""From the facts of a run to its report, as markdown. Pure; the documents come from `read`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from airflow_migrator.operators.base import REFUSAL, WINDOW
from airflow_migrator.operators.dry_run import FAILED_EVIDENCE
from airflow_migrator.params import REHEARSAL
from airflow_migrator.stage_docs import STAGES
from airflow_migrator.ui.run_facts import RunFacts, TaskFacts
from migrator.documents import from_dict
from migrator.errors import MigratorError
from migrator.evidence import DryRunEvidence, EvidenceBundle, RestoreEvidence, SnapshotRecord
from migrator.plan import Plan
from migrator.reports.markup import bullets, fenced, table, text
from migrator.reports.review_card import card
from migrator.stages.outcome import Outcome
from migrator.wording import count, seconds, size

T = TypeVar("T")
Read = Callable[[Mapping[str, Any], type[T], str], T]
"""From a reference in XCom, the document's class and the stage to the document.

:raises MigratorError: it is gone, was changed, or cannot be reached from here.
"""

STATES: Mapping[str | None, str] = {
    None: "– not yet",
    "success": "✅ done",
    "failed": "❌ FAILED",
    "upstream_failed": "– not reached",
    "skipped": "– skipped",
    "removed": "– removed",
    "running": "▶️ running",
    "queued": "▶️ about to run",
    "scheduled": "▶️ about to run",
    "up_for_retry": "⏳ tries again soon",
    "deferred": "⏳ waits",
    "awaiting_input": "⏳ waits for a person",
}


BY_HAND = (
    "What is true in the database the ledger says: `migrator status`. What was applied and not verified the DAG"
    " `custodian` verifies or undoes."
)
KEPT_BACK = "What is applied and not verified meanwhile, the DAG `custodian` verifies or undoes."
AT_WORK = ("running", "queued", "awaiting_input")
NOT_RUN = (None, "skipped", "upstream_failed", "removed")


def report(run: RunFacts, read: Read[Any], *, now: datetime, progress: str = "") -> str:
    """:param progress: of the running step, as markdown."""
    return "\n\n".join(part for part in _parts(run, read, now, progress) if part) + "\n"


def plan_of(run: RunFacts, read: Read[Any]) -> Plan | None:
    """None when analyze has not left one, or when it cannot be read."""
    return _document(run.task("analyze").returned, Plan, "analyze", read, [])


def _parts(run: RunFacts, read: Read[Any], now: datetime, progress: str) -> Iterator[str]:
    notes: list[str] = []
    plan = _document(run.task("analyze").returned, Plan, "analyze", read, notes)
    bundle = _bundle(run, read, notes) if plan is not None else None
    target = plan.target if plan is not None else run.conf.get("target", "")
    yield f"# {text(run.dag_id.removeprefix('migrate_'))}" + (f" on {text(str(target))}" if target else "")
    yield _headline(run, notes)
    yield progress
    yield "## Stages\n\n" + _stages(run, now, notes)
    yield "\n".join(f"⚠️ {text(note)}" for note in notes)
    if plan is not None:
        yield "## The migration\n\n" + card(plan, bundle)


def _headline(run: RunFacts, notes: list[str]) -> str:
    """What a person has to know first: how it ended, or what it waits for."""
    began = f"Started by {text(run.by)}" + (f" at {run.started:%Y-%m-%d %H:%M:%S %Z}" if run.started else "") + "."
    if reason := run.conf.get("reason"):
        began += f" Reason: {text(str(reason))}."
    if run.conf.get("emergency"):
        began = f"⚠️ **An emergency**: it does not wait for its window. {began}"
    outcome = _outcome(run.task("outcome").left.get("outcome"), notes)
    if outcome is not None:
        head, *story = outcome.text.splitlines()
        return f"{'✅' if outcome.ok else '❌'} **{text(head)}**\n\n{began}\n\n{_story(story)}"
    refused = [task for task in run.tasks if task.state in ("failed", "up_for_retry")]
    if refused:
        said = "\n\n".join(_refusal(task) for task in refused)
        return f"❌ **Nothing was applied**\n\n{began}\n\n{said}" if _before_apply(run) else f"{began}\n\n{said}"
    if run.kept_back and not any(task.state in AT_WORK for task in run.tasks):
        return f"⏸️ **Nothing of this run goes on: {text(run.kept_back)}**\n\n{began}\n\n{KEPT_BACK}"
    waiting = next((task for task in run.tasks if task.state in ("awaiting_input", "deferred")), None)
    if waiting is not None:
        return f"⏳ **{text(_waits_for(waiting))}**\n\n{began}"
    marked = [task for task in run.tasks if task.by_hand]
    if run.state == "success" and marked:
        return f"⚠️ **Marked as done by hand: {text(_marks(marked))}**\n\n{began}\n\n{BY_HAND}"
    if run.state == "success" and run.conf.get("until") == REHEARSAL:
        return f"✅ **The rehearsal is over: all of it was proved on a copy, and nothing was changed**\n\n{began}"
    if run.state == "success":
        note = "nothing was to be done: the target has this migration already"
        return f"✅ **{note}**\n\n{began}"
    return f"**{text(run.state)}**\n\n{began}"


def _outcome(left: Any, notes: list[str]) -> Outcome | None:
    """None when the run has not left it yet, or when somebody has changed it: that is noted."""
    if left is None:
        return None
    try:
        outcome = from_dict(Outcome, left)
        if outcome.text.strip():
            return outcome
    except (ValueError, TypeError, AttributeError):
        pass
    notes.append("the XCom of outcome cannot be shown: somebody has changed it")
    return None


def _story(lines: Sequence[str]) -> str:
    """The outcome's own lines: what happened as a list, what to do next by itself."""
    happened = [line.removeprefix("- ") for line in lines if not line.startswith("next: ")]
    todo = [f"**Next**: {text(line.removeprefix('next: '))}" for line in lines if line.startswith("next: ")]
    return "\n\n".join([bullets(happened), *todo])


def _before_apply(run: RunFacts) -> bool:
    """No step has ever been started, in no earlier try either."""
    return all(task.state in NOT_RUN and not task.tries for task in run.tasks if task.stage == "apply")


def _marks(tasks: Sequence[TaskFacts]) -> str:
    return ", ".join(f"{task.task_id} by {task.marked_by}" if task.marked_by else task.task_id for task in tasks)


def _refusal(task: TaskFacts) -> str:
    message = str(task.left.get(REFUSAL) or "the task left no message; see its log")
    if task.state != "failed":
        return f"**{text(task.task_id)}** will be tried again:\n\n{fenced(message, 'text')}"
    advice = STAGES.get(task.stage, "").partition("Red: ")[2]
    said = f"**{text(task.task_id)}** failed:\n\n{fenced(message, 'text')}"
    return said + (f"\n\n**When {task.stage} is red**: {' '.join(advice.split())}" if advice else "")


def _waits_for(task: TaskFacts) -> str:
    if task.stage == "preflight":
        window = task.left.get(WINDOW)
        return "waits for the maintenance window" + (f": {window}" if window else "")
    if task.stage == "apply":
        where = ": see Required Actions" if task.state == "awaiting_input" else ""
        return str(task.left.get(WINDOW) or "waits for the maintenance window") + where
    if task.stage == "rollback":
        return "it failed, and a person has to decide whether to roll back: see Required Actions"
    return f"waits for {task.task_id.rpartition('.')[2].replace('_', ' ')}: see Required Actions"


def _stages(run: RunFacts, now: datetime, notes: list[str]) -> str:
    order = {stage: number for number, stage in enumerate(STAGES)}
    ordered = sorted(run.tasks, key=lambda task: order.get(task.stage, len(order)))
    rows = []
    for task in ordered:
        started = took = ""
        if task.started and task.state not in NOT_RUN:
            started = f"{task.started:%H:%M:%S}"
            took = seconds(((task.ended or now) - task.started).total_seconds())
        rows.append((task.task_id, STATES.get(task.state, str(task.state)), started, took, _result(task, notes)))
    return table(("Stage", "", "Started", "Took", "Result"), rows, solid=(0, 1, 2, 3))


def _result(task: TaskFacts, notes: list[str]) -> str:
    """The stage's result in a few words, from what it left in XCom; what cannot be read there is noted."""
    try:
        return _left(task)
    except (ValueError, TypeError, AttributeError, ArithmeticError):
        notes.append(f"the XCom of {task.task_id} cannot be shown: somebody has changed it")
        return ""


def _left(task: TaskFacts) -> str:
    left = task.returned
    if task.by_hand:
        return f"marked by hand{f', by {task.marked_by}' if task.marked_by else ''}"
    if task.state == "failed" and task.left.get(REFUSAL):
        return " ".join(str(task.left[REFUSAL]).splitlines()[:2])
    if task.state != "success" or not left:
        return ""
    if task.stage == "analyze":
        kind = str(left.get("type", "")).replace("_", " ")
        return f"{kind}, risk {left.get('risk')}, {count(int(left.get('findings', 0)), 'finding')}"
    if task.stage == "snapshot":
        return f"{size(left.get('size_bytes', 0))} in {seconds(left.get('seconds', 0))}"
    if task.stage == "restore_test":
        tables, rows = (int(left.get(name, 0)) for name in ("tables", "rows"))
        recovery = seconds(left.get("restore_seconds", 0))
        return f"{count(tables, 'table')} and {count(rows, 'row')} equal, restored in {recovery}"
    if task.stage == "dry_run":
        undone = left.get("rollback_seconds")
        back = f", rolled back in {seconds(undone)}" if undone is not None else ""
        return (
            f"applied to the copy in {seconds(left.get('seconds', 0))}{back}, {size(left.get('wal_bytes', 0))} of WAL"
        )
    if task.stage == "review":
        return f"{left.get('decision')} by {left.get('reviewer')}" if left.get("asked") else "not asked"
    if task.stage == "preflight":
        return f"{count(int(left.get('checks', 0)), 'check')} passed"
    if task.stage == "apply":
        took = sum(step.get("seconds", 0) for step in left.get("steps", ()) if isinstance(step, Mapping))
        return f"applied in {seconds(took)}" if took else "applied"
    if task.stage == "rollback":
        return str(left.get("action", "")).replace("_", " ")
    return ""


def _bundle(run: RunFacts, read: Read[Any], notes: list[str]) -> EvidenceBundle | None:
    dry_run = run.task("dry_run")
    parts = (
        _document(run.task("snapshot").returned, SnapshotRecord, "snapshot", read, notes),
        _document(run.task("restore_test").returned, RestoreEvidence, "restore_test", read, notes),
        _document(dry_run.returned or dry_run.left.get(FAILED_EVIDENCE), DryRunEvidence, "dry_run", read, notes),
    )
    snapshot, restore, evidence = parts
    if snapshot is None or restore is None or evidence is None:
        return None
    return EvidenceBundle(snapshot, restore, evidence)


def _document(reference: Any, cls: type[T], stage: str, read: Read[Any], notes: list[str]) -> T | None:
    """None when the stage has not left it yet, or when it cannot be read: that is noted."""
    if not isinstance(reference, Mapping) or "uri" not in reference:
        return None
    try:
        return read(reference, cls, stage)  # type: ignore[no-any-return]
    except MigratorError as exc:
        notes.append(f"the document of {stage} cannot be shown: {exc}")
        return None
