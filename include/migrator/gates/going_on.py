"""May the next phase of a step begin, and may long work go on: asked of the calendar, of the server and of others.

What cannot go on now, with a part of it applied, waits; so the ledger says that it does, and what it reserves.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from migrator.errors import GivesWay, MigratorError, OutsideWindow, PreflightBusy, PreflightRefused
from migrator.evidence import EvidenceBundle
from migrator.gates import beside
from migrator.gates.clear_way import partly_applied
from migrator.gates.reach import Reach
from migrator.gates.window import decide_next, may_wait
from migrator.ledger.events import RESTS, WAITS
from migrator.ledger.rows import MigrationStatus
from migrator.plan import Phase, Plan, Step
from migrator.run import RunContext
from migrator.steps.context import StepContext
from migrator.steps.contract import start_of
from migrator.steps.kinds import gate
from migrator.targets import windows
from migrator.targets.targets import Target

if TYPE_CHECKING:
    from migrator.catalogue.migration import Migration
    from migrator.ledger.ledger import Ledger


def reviewed_by(plan: Plan, ledger: Ledger, run: RunContext) -> datetime:
    """The moment at which the reviews must be valid: what this run has begun under valid ones goes on under them,
    although it works or waits for longer than they last. A rejection stops it at any time."""
    row = ledger.migration(plan.version)
    if row is None or row.status is not MigrationStatus.RUNNING or row.started_at is None:
        return run.clock()
    if (row.run_id, row.plan_digest) != (run.run_id, plan.digest) or not partly_applied(plan, ledger):
        return run.clock()
    return min(row.started_at, run.clock())


TURN_SECONDS = 20.0
"""So long it works before it lets the lock go: of two with long work each would only make way for the other."""


@dataclass(frozen=True)
class GoingOn:
    """Of one attempt at a step.

    :param healthy: asks the server. :raises PreflightBusy, PreflightRefused: it is not ready.
    """

    step: Step
    ctx: StepContext
    target: Target
    migration: Migration | None
    evidence: EvidenceBundle
    healthy: Callable[[], None]
    rested: list[bool] = field(default_factory=list)
    """Not empty: the ledger knows that it rests."""
    began: float = field(default_factory=time.monotonic)

    @functools.cached_property
    def reach(self) -> Reach | None:
        return beside.reserved(self.ctx.plan, self.evidence)

    def hears(self, told: str) -> bool:
        """See `StepContext.hears`."""
        return self.reach is None or self.reach.hears(told)

    def may_begin(self, phase: Phase) -> str | None:
        """The calendar may have closed while the task was queued, or while an earlier phase ran. Returns what an
        emergency lifts; that enough people approved it has been asked before.

        :raises OutsideWindow: `begun` says whether it can wait, with a part of it applied.
        :raises PreflightBusy, PreflightRefused: preflight has asked this before the first phase; here it has to wait.
        """
        if self.step.kind == gate.KIND:
            return None  # it begins nothing
        try:
            return self._ask(phase)
        except (OutsideWindow, PreflightBusy, PreflightRefused) as exc:
            if exc.fields.get("begun"):
                self.says(exc)
            raise

    def may_go_on(self, phase: Phase) -> None:
        """Asked between two batches. From the first time on the migration rests.

        :raises GivesWay: another migration has asked for the database. And see `may_begin`.
        """
        self.may_begin(phase)
        ctx = self.ctx
        if self.reach is not None and not self.rested:
            detail = {"step": self.step.name, **beside.told(self.reach)}
            ctx.ledger.rest(ctx.plan.version, run=ctx.run, kind=RESTS, detail=detail)
            self.rested.append(True)
        has_worked = time.monotonic() - self.began >= TURN_SECONDS
        if has_worked and ctx.lock is not None and ctx.lock.is_wanted():
            raise GivesWay("another migration has asked for the database, and goes first")

    def _ask(self, phase: Phase) -> str | None:
        rows = self.ctx.ledger.steps(self.ctx.plan.version)
        begun = may_wait(self.ctx.plan, rows)
        decision = decide_next(self.ctx.plan, self.target, self.migration, self.evidence, rows, self.ctx.run.clock())
        what = (
            f"phase {phase.name!r} of step {self.step.name!r}"
            if start_of(self.step, phase) > 0
            else f"step {self.step.name!r}"
        )
        if decision.state is not windows.WindowState.OPEN:
            if not begun:
                state, todo = "is not started", ". clear preflight with Downstream when it may run"
            else:
                state = "waits, what comes before it is applied"
                todo = ""
                if decision.state is windows.WindowState.OVER:
                    todo = "; give it another window (`schedule` in its metadata), and it goes on there"
                elif decision.opens_at is None:
                    todo = f"; it goes on when the windows and freezes of {self.target.name!r} leave room for it"
            raise OutsideWindow(
                f"{what} {state}: {decision.reason}{todo}",
                opens_at=decision.opens_at,
                closes_at=decision.closes_at,
                begun=begun,
            )
        if begun and phase.needs_window:
            try:
                if other := beside.at_work(self.ctx.plan, self.ctx.ledger):
                    raise PreflightBusy(f"{other} is being applied", checks=())
                self.healthy()
            except (PreflightBusy, PreflightRefused) as exc:
                text = f"{what} waits, what comes before it is applied: {exc}"
                raise type(exc)(text, **{**exc.fields, "begun": True}) from None
            self.ctx.ledger.goes_on(self.ctx.plan.version, run=self.ctx.run)
        return decision.lifted

    def says(self, waits: MigratorError) -> None:
        """That what is begun waits is in the ledger once for each reason, not each time somebody looks."""
        ctx, reason = self.ctx, str(waits)
        before = ctx.ledger.events(ctx.plan.version)
        if before and (before[-1].kind, before[-1].detail.get("reason")) == (WAITS, reason):
            return
        until = waits.fields.get("opens_at") or waits.fields.get("until")
        detail = {"step": self.step.name, "reason": reason, "until": until}
        detail |= beside.told(self.reach)
        ctx.ledger.rest(ctx.plan.version, run=ctx.run, kind=WAITS, detail=detail, rests=self.reach is not None)
