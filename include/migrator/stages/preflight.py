"""The last look before apply: is everything that the reviewers decided on still true, and may the server be changed?

All checks are made, and all that fail are told at once. Apply repeats those inside its lock that nothing may slip past
(reviews, content, drift, window, dependencies); what is only asked here concerns the server's health.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from migrator.catalogue import content
from migrator.database import schema, session
from migrator.database.session import Endpoint
from migrator.errors import (
    AheadPending,
    HeldByOther,
    MigratorError,
    OutsideWindow,
    PreflightBusy,
    PreflightRefused,
    Refused,
    TransientError,
)
from migrator.evidence import Check, EvidenceBundle, Verdict
from migrator.gates import ahead, beside, clear_way, clock, origin, reviews, settings
from migrator.gates.drift import require_no_drift, start_of
from migrator.gates.evidence import evidence_problems
from migrator.gates.window import decide_next
from migrator.history import out_of_order
from migrator.operations import health, health_checks
from migrator.plan import Plan
from migrator.run import RunContext
from migrator.targets import windows
from migrator.targets.targets import Target

if TYPE_CHECKING:
    from migrator.catalogue.catalogue import Catalogue
    from migrator.catalogue.migration import Migration
    from migrator.ledger.ledger import Ledger

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreflightReport:
    version: str
    target: str
    checks: tuple[Check, ...]
    already_applied: bool = False

    @property
    def failed(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.verdict is Verdict.FAILED)

    @property
    def unverified(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.verdict is Verdict.UNVERIFIED)


@dataclass(frozen=True)
class Made:
    """One check that was made, and the error that it would be alone."""

    check: Check
    error: MigratorError | None = None


def run_checks(
    plan: Plan,
    bundle: EvidenceBundle,
    *,
    endpoint: Endpoint,
    ledger: Ledger,
    target: Target,
    migration: Migration | None,
    run: RunContext,
    catalogue: Catalogue | None = None,
    log: logging.Logger = LOG,
) -> PreflightReport:
    """Make every check; writes nothing. `migration` None: the files are not compared with the plan.

    :param catalogue: with it and `migration`, whether what comes first in the window is still to come.
    :raises ReviewMissing, DriftDetected, ContentChanged, DependencyMissing, HeldByOther, NeedsHuman, ...: when that is
        all that keeps it from starting.
    :raises PreflightRefused: several reasons, or one of the server's health that does not pass by itself.
    :raises PreflightBusy: only such as pass by themselves; another try may go through.
    """
    if clear_way.applied_already(plan, ledger):
        checks = (Check("ledger", Verdict.PASSED, "applied and verified already: there is nothing to do"),)
        return PreflightReport(plan.version, target.name, checks, already_applied=True)
    there = ledger.exists()
    made = [
        _gate("evidence", lambda: _evidence(plan, bundle)),
        _gate("clock", lambda: clock.require(ledger)),
        _gate("ledger", lambda: _ledger(ledger, there)),
        _gate("holder", lambda: _holder(plan, bundle, ledger, there, run)),
        _gate("reviews", lambda: _reviews(plan, bundle, ledger, target, run)),
        _gate("content", lambda: _content(plan, migration)),
        _gate("dependencies", lambda: _dependencies(plan, ledger, there, target)),
        _gate("ahead", lambda: _ahead(plan, ledger, target, migration, catalogue, run)),
        _gate("order", lambda: _order(plan, ledger, there, target)),
        _gate("window", lambda: _window(plan, bundle, ledger, target, migration, run)),
        _gate("settings", lambda: _settings(plan, bundle, endpoint)),
        _gate("drift", lambda: _drift(plan, bundle, endpoint, ledger, there)),
    ]
    findings = [health_checks.snapshot_age(bundle, target.snapshot.max_age, run.clock())]
    started = time.monotonic()
    findings += health.findings(plan, bundle, endpoint, target.limits)
    seconds = time.monotonic() - started
    made += [_health(finding, seconds) for finding in findings]
    report = PreflightReport(plan.version, target.name, tuple(one.check for one in made))
    for check in report.checks:
        log.log(_LEVELS[check.verdict], "preflight %s: %s, %s", check.name, check.verdict, check.detail)
    error = verdict(report, made)
    if error is not None:
        raise error
    return report


_LEVELS = {Verdict.PASSED: logging.INFO, Verdict.UNVERIFIED: logging.WARNING, Verdict.FAILED: logging.ERROR}


def verdict(report: PreflightReport, made: Sequence[Made]) -> MigratorError | None:
    """What to raise: the one specific reason as itself, several together, or that it is worth another try. Pure."""
    failed = [one for one in made if one.error is not None]
    lasting = [one for one in failed if not isinstance(one.error, TransientError)]
    if not failed:
        return None
    checks = tuple(one.check for one in failed)
    error = (lasting or failed)[0].error
    assert error is not None
    if len(failed) == 1:
        return type(error)(str(error), **{**error.fields, "checks": checks})
    text = f"{report.version!r} must not be applied to {report.target!r} now, for {len(failed)} reasons:\n" + "\n".join(
        f"- {one.check.name}: {one.error}" for one in failed
    )
    if not lasting:
        return PreflightBusy(text, checks=checks)
    if len(lasting) == 1:
        return type(error)(text, **{**error.fields, "checks": checks})
    return PreflightRefused(text, checks=checks)


def _gate(name: str, look: Callable[[], str]) -> Made:
    """A refusal is a failed check. Anything else, such as a lost connection, ends the stage: it may be retried."""
    started = time.monotonic()
    try:
        detail = look()
    except (Refused, HeldByOther, AheadPending) as exc:
        return Made(Check(name, Verdict.FAILED, str(exc), time.monotonic() - started), exc)
    return Made(Check(name, Verdict.PASSED, detail, time.monotonic() - started))


def _health(finding: health_checks.HealthFinding, seconds: float) -> Made:
    check = replace(finding.check, seconds=seconds if finding.check.name != "snapshot" else 0.0)
    if check.verdict is not Verdict.FAILED:
        return Made(check)
    return Made(check, (PreflightBusy if finding.busy else PreflightRefused)(f"{check.name}: {check.detail}"))


def _evidence(plan: Plan, bundle: EvidenceBundle) -> str:
    problems = evidence_problems(plan, bundle)
    if problems:
        raise Refused(f"the evidence does not support this plan: {'; '.join(problems)}. run it again from snapshot")
    return f"of snapshot {bundle.snapshot.id}, restored and rehearsed on"


def _ledger(ledger: Ledger, there: bool) -> str:
    if not there:
        return "none yet; the first apply installs it"
    ledger.check()
    ledger.require_intact()
    return "whole, and of this database"


def _holder(plan: Plan, bundle: EvidenceBundle, ledger: Ledger, there: bool, run: RunContext) -> str:
    """The very questions that apply asks when it begins."""
    if not there:
        return "no other migration is in the way"
    clear_way.require_clear_way(plan, ledger.migrations(), ledger)
    others = beside.beside(plan, bundle, ledger, run.run_id)
    clear_way.require_free(plan, ledger, run.run_id, others)
    if others:
        return f"{', '.join(others)} rests, and what this one touches is out of its reach"
    return "no other migration is in the way"


def _reviews(plan: Plan, bundle: EvidenceBundle, ledger: Ledger, target: Target, run: RunContext) -> str:
    reviews.require(ledger, plan, bundle.digest, target, run.clock())
    wanted = reviews.required(target, plan)
    return f"{wanted} wanted for risk {plan.risk.value!r}, and there" if wanted else "none wanted"


def _content(plan: Plan, migration: Migration | None) -> str:
    if migration is None:
        return "not compared: there are no files"
    notes = "; ".join(content.check_disk(plan, migration))
    origin.require(plan, migration)
    return notes or "the files are as they were analysed"


def _dependencies(plan: Plan, ledger: Ledger, there: bool, target: Target) -> str:
    clear_way.require_dependencies(plan, ledger.migrations() if there else (), target)
    return f"{', '.join(plan.dependencies)} applied" if plan.dependencies else "none"


def _ahead(
    plan: Plan,
    ledger: Ledger,
    target: Target,
    migration: Migration | None,
    catalogue: Catalogue | None,
    run: RunContext,
) -> str:
    ahead.require_turn(plan, ledger, target=target, now=run.clock(), migration=migration, catalogue=catalogue)
    return f"{', '.join(one.version for one in plan.ahead)} applied" if plan.ahead else "nothing comes first"


def _order(plan: Plan, ledger: Ledger, there: bool, target: Target) -> str:
    above = out_of_order.require(plan, ledger.migrations() if there else (), target)
    return (
        f"out of order, which the policy allows: {', '.join(above)} applied already" if above else "the next in order"
    )


def _window(
    plan: Plan, bundle: EvidenceBundle, ledger: Ledger, target: Target, migration: Migration | None, run: RunContext
) -> str:
    """The operator has waited for it; here it is told with the rest."""
    rows = ledger.steps(plan.version) if ledger.exists() else ()
    decision = decide_next(plan, target, migration, bundle, rows, run.clock())
    if decision.state is not windows.WindowState.OPEN:
        raise OutsideWindow(decision.reason, opens_at=decision.opens_at, closes_at=decision.closes_at)
    return decision.reason


def _settings(plan: Plan, bundle: EvidenceBundle, endpoint: Endpoint) -> str:
    with session.connect(endpoint, purpose="observe", version=plan.version) as connection:
        session.require_usual(connection, endpoint)
        settings.require_same(connection, bundle.snapshot)
    settings.require_as_planned(plan, endpoint)
    return "a text means what it meant on the copy"


def _drift(plan: Plan, bundle: EvidenceBundle, endpoint: Endpoint, ledger: Ledger, there: bool) -> str:
    if there and clear_way.partly_applied(plan, ledger):
        return "not compared: part of this migration is applied, and apply goes on from there"
    with session.connect(endpoint, purpose="observe", version=plan.version) as connection:
        now = schema.read(connection, exclude=(ledger.schema,), role=start_of(bundle).schema.role)
    require_no_drift(now, plan, bundle, ledger.events if there else tuple)
    return "the schema is the one of the snapshot"
