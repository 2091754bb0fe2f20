"""How far the running step is, for the run's page, and the buttons with which a person lets it wait or go on."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow_migrator.hooks.pg_migration import PgMigrationHook
from airflow_migrator.links import DAG_PREFIX
from airflow_migrator.ui.run_facts import RunFacts
from migrator.errors import MigratorError, UsageError
from migrator.ledger import controls
from migrator.ledger.rows import MigrationStatus
from migrator.plan import Plan
from migrator.reports.markup import bullets, text
from migrator.reports.progress import progress_of
from migrator.run import RunContext
from migrator.steps.throttle import is_throttled

if TYPE_CHECKING:
    from migrator.ledger.ledger import Ledger

ASKED = (controls.PAUSE, controls.RESUME)
BUTTONS = {controls.PAUSE: "Pause", controls.RESUME: "Resume"}
AT_WORK = ("queued", "running", "up_for_retry", "deferred", "awaiting_input")
OpenLedger = Callable[[str, str], "Ledger"]
"""From a target and a purpose to its ledger."""


@dataclass(frozen=True)
class RunProgress:
    lines: tuple[str, ...] = ()
    asks: str = ""
    """What a person may ask of it now, one of `ASKED`; empty: nothing."""
    problem: str = ""

    @property
    def markdown(self) -> str:
        if self.problem:
            return f"⚠️ {text(self.problem)}"
        return "## Progress\n\n" + bullets(self.lines) if self.lines else ""


def open_ledger(target: str, purpose: str) -> Ledger:
    return PgMigrationHook(target).ledger(purpose=purpose)


def applies(run: RunFacts) -> bool:
    return any(task.state in AT_WORK for task in run.tasks if task.stage == "apply")


def read(run: RunFacts, plan: Plan | None, *, ledger_of: OpenLedger = open_ledger) -> RunProgress:
    """What the target's ledger tells of this run while it applies. Nothing of it may keep the page from being shown."""
    if plan is None or run.dag_id != DAG_PREFIX + plan.version or not applies(run):
        return RunProgress()
    try:
        with ledger_of(plan.target, "custodian") as ledger:
            row = ledger.migration(plan.version) if ledger.exists() else None
            if row is None or row.run_id != run.run_id or row.status is not MigrationStatus.RUNNING:
                return RunProgress()
            control, steps = ledger.control(plan.version), ledger.steps(plan.version)
    except Exception as exc:  # a connection of Airflow's that is not there, a server that does not answer, ...
        told = str(exc) if isinstance(exc, MigratorError) else type(exc).__name__
        return RunProgress(problem=f"the progress cannot be shown: {told}")
    undone = {step.step for step in steps if str(step.status) != "success"}
    may = any(is_throttled(step) and step.name in undone for step in plan.steps)
    asks = (controls.RESUME if control.paused is not None else controls.PAUSE) if may else ""
    return RunProgress(tuple(map(str, progress_of(steps, control))), asks)


def ask(
    run: RunFacts, plan: Plan | None, kind: str, *, actor: str, reason: str, ledger_of: OpenLedger = open_ledger
) -> None:
    """:raises UsageError: it is over, of another run, does so already, or works in no batches."""
    found = read(run, plan, ledger_of=ledger_of)
    if plan is None or found.asks != kind:
        raise UsageError(found.problem or f"there is nothing to {kind} now")
    person = RunContext(run_id=run.run_id, version=plan.version, target=plan.target, actor=actor)
    with ledger_of(plan.target, "ledger") as ledger:
        ledger.check()
        ledger.ask(plan.version, kind, run=person, reason=reason)


def button(run_id: str, kind: str) -> str:
    """HTML, for those who may: to the page with the form. This one is loaded again and again, and would forget what
    somebody types. The address is relative to the page's own."""
    address = html.escape(f"{quote(run_id, safe='')}/{kind}")
    return f'<a class="button" href="{address}">{BUTTONS[kind]}</a>'


def form(kind: str, version: str) -> str:
    """HTML; it is sent to the address of its own page."""
    return (
        f"<h1>{BUTTONS[kind]} {html.escape(version)}</h1>"
        '<form method="post"><input name="reason" required maxlength="500" size="60" aria-label="Reason"'
        f' placeholder="Why? The ledger keeps it"> <button>{BUTTONS[kind]}</button></form>'
    )
