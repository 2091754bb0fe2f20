"""Is in the database what was promised? The only place that makes a migration a success."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from migrator.database import schema, sequences, session
from migrator.database.locking import migration_lock
from migrator.database.schema import Schema
from migrator.database.schema_diff import diff, is_about
from migrator.database.session import Connection, Endpoint
from migrator.database.vocabulary import MARK, Vocabulary, only_known, vocabulary
from migrator.errors import DriftDetected, NeedsHuman, TransientError, VerifyFailed
from migrator.evidence import ROLES_CHANGED, Check, EvidenceBundle, Verdict
from migrator.gates import owners, settings
from migrator.gates import sequences as next_values
from migrator.gates.assertions import assertion, step_checks
from migrator.gates.clear_way import is_applied
from migrator.gates.drift import Start, elsewhere, left_by_those_ahead, start_of, without_others
from migrator.gates.undone import KINDS, by_others, without
from migrator.ledger.events import FAILED
from migrator.ledger.rows import LedgerMigration, LedgerStep, MigrationStatus, StepStatus
from migrator.ledger.states import EXACT_SCHEMAS, SCHEMAS
from migrator.plan import Plan
from migrator.rehearsal import checks as dry_run_checks
from migrator.run import RunContext
from migrator.steps.meanwhile import Meanwhile

if TYPE_CHECKING:
    from migrator.ledger.ledger import Ledger

LOG = logging.getLogger(__name__)


SCHEMA, OWNERS = "schema", "owners and rights"
"""Checks without which no assertion is asked."""
OTHERS = "meanwhile others have changed what this migration can neither touch nor run"
ONLY_FINGERPRINT = "the fingerprint differs from the dry run's in the order of columns, or in what is withheld"
UNFINISHED = ("[invalid]", "[index invalid]", "not valid")
"""How `schema.read` marks an index or constraint that does not do its work yet."""


@dataclass(frozen=True)
class VerifyReport:
    version: str
    checks: tuple[Check, ...]
    already_verified: bool = False

    @property
    def failed(self) -> tuple[Check, ...]:
        """What is not proved; a check that could not run is not passed."""
        return tuple(check for check in self.checks if check.verdict is not Verdict.PASSED)


def run(
    plan: Plan,
    bundle: EvidenceBundle | None,
    *,
    endpoint: Endpoint,
    ledger: Ledger,
    run: RunContext,
    without_evidence: bool = False,
    deadline_seconds: float = 600.0,
    log: logging.Logger = LOG,
) -> VerifyReport:
    """Check everything, then mark the migration verified. A second time it writes nothing.

    :param without_evidence: there was no dry run (a local trial), so there is nothing to compare the schema with.
    :raises VerifyFailed: with every problem; nothing is undone here, the rollback does that.
    """
    if bundle is None and not without_evidence:
        raise NeedsHuman("verify compares with the dry run's evidence, and there is none; run again from snapshot")
    settings.require_as_planned(plan, endpoint, then="roll it back by hand by the names that it had")
    ledger.check()
    ledger.require_intact()
    row = ledger.migration(plan.version)
    if is_applied(plan, row):
        log.info("%s is verified already", plan.version)
        return VerifyReport(plan.version, (Check("ledger", Verdict.PASSED, "verified before"),), already_verified=True)
    with migration_lock(endpoint, run=run, deadline_seconds=deadline_seconds) as lock:
        ledger.require_intact()
        row = ledger.migration(plan.version)
        checks = [ledger_check(plan, row, ledger.steps(plan.version), run_id=run.run_id)]
        schemas: Mapping[str, tuple[str, str]] | None = None
        if checks[0].verdict is Verdict.PASSED:
            found, schemas = _database_checks(plan, bundle, endpoint, ledger)
            checks += found
        report = VerifyReport(plan.version, tuple(checks))
        for check in report.checks:
            log.info("verify %s: %s %s", check.name, check.verdict, check.detail)
        if report.failed:
            problems = tuple(f"{check.name}: {check.detail}" for check in report.failed)
            if row is not None and row.run_id == run.run_id:
                ledger.append_event(FAILED, version=plan.version, run=run, detail={"problems": problems})
            raise VerifyFailed(
                f"{plan.version!r} is not what was promised:\n" + "\n".join(problems), problems=problems, report=report
            )
        lock.check()
        ledger.mark_verified(plan.version, run=run, schemas=schemas)
    return report


def ledger_check(plan: Plan, row: LedgerMigration | None, steps: Sequence[LedgerStep], *, run_id: str) -> Check:
    """All steps of this very plan, done by this run. Task states do not matter. Pure."""
    if row is None:
        return _verdict("ledger", ["the ledger does not know the migration: no step was executed"])
    problems: list[str] = []
    if row.status is not MigrationStatus.RUNNING:
        problems.append(f"its status is {row.status.value!r}, not applied and waiting to be verified")
    if row.run_id != run_id:
        problems.append(f"run {row.run_id!r} has it in hand, this is run {run_id!r}")
    if row.checksum != plan.content_digest:
        problems.append("what is applied has another digest than this plan")
    states = {step.step: step.status for step in steps}
    for step in plan.steps:
        if states.get(step.name) is not StepStatus.SUCCESS:
            problems.append(f"step {step.name!r} is {states.get(step.name, StepStatus.PENDING).value}")
    if row.applied_at is None and not problems:
        problems.append("the ledger has no time of application")
    return _verdict("ledger", problems, f"{len(plan.steps)} steps done")


def schema_check(now: Schema, before: Schema, bundle: EvidenceBundle, known: Vocabulary) -> Check:
    """The schema must be the very one that the dry run produced, whichever role owns it here."""
    if now.portable.fingerprint == bundle.dry_run.fingerprint_after:
        return Check(SCHEMA, Verdict.PASSED, "as the dry run left it")
    changes, rehearsed = diff(before.portable, now.portable), bundle.dry_run.schema_diff
    happened = known.lines_and_rest(changes, "what changed in the schema")
    problems = [f"not rehearsed: {line}" for line in happened if line not in (*rehearsed, MARK)]
    problems += [f"rehearsed, but not there: {line}" for line in rehearsed if line not in (*happened, MARK)]
    problems += [MARK] if problems and MARK in happened else []
    return _verdict(SCHEMA, problems or [ONLY_FINGERPRINT])


def owners_check(now: Schema, start: Start, bundle: EvidenceBundle, known: Vocabulary) -> Check:
    """Of what the rehearsal left alone. Evidence that is older than this check proves nothing."""
    rehearsed = bundle.dry_run.extra.get(ROLES_CHANGED)
    if rehearsed is None:
        return Check(OWNERS, Verdict.UNVERIFIED, "not compared: the dry run has not looked at them")
    changes = owners.changed_by_others(now, start, rehearsed)
    lines = known.named_and_rest(changes, "what changed in owners and rights")
    return _verdict(OWNERS, [f"not rehearsed: {line}" for line in lines], "what was not rehearsed is as it was")


def unfinished(now: Schema, before: Schema, rehearsed: Iterable[str], words: Vocabulary) -> tuple[str, ...]:
    """Invalid indexes and unvalidated constraints that came with this migration, unless the dry run left them the same
    way: a migration may well add a constraint NOT VALID for a later one to validate. Pure."""
    known = tuple(rehearsed)
    found = []
    for kind in ("index", "constraint"):
        old = before.objects.get(kind, {})
        for name, definition in now.objects.get(kind, {}).items():
            mark = next((mark for mark in UNFINISHED if mark in definition.casefold()), None)
            if mark is None or old.get(name) == definition:
                continue
            told = words.tell(name)
            if not any(is_about(line, kind, told) and mark in line.casefold() for line in known):
                found.append(f"{kind} {told} is {mark.strip('[]')}")
    return tuple(found)


def _database_checks(
    plan: Plan, bundle: EvidenceBundle | None, endpoint: Endpoint, ledger: Ledger
) -> tuple[list[Check], dict[str, tuple[str, str]]]:
    """And the fingerprints of the schema before it and now, where there is evidence of what was before."""
    checks: list[Check] = []
    schemas: dict[str, tuple[str, str]] = {}
    names = start_of(bundle).snapshot if bundle is not None else None
    watched = Meanwhile(endpoint) if plan.assertions else nullcontext()
    with (
        only_known(plan, names) if names is not None else nullcontext(),
        session.connect(endpoint, purpose="verify", version=plan.version) as conn,
        watched as meanwhile,
    ):
        if bundle is not None:
            started = time.monotonic()
            start = start_of(bundle)
            before, known = start.schema, vocabulary(plan, start.snapshot)
            now = schema.read(conn, exclude=(ledger.schema,), role=before.role)
            for version, back in (undone := by_others(now, plan, start, ledger.iterate_events(kinds=KINDS))).items():
                told = known.named_and_rest(back, f"what {version} has undone")
                text = (
                    f"meanwhile {version} has undone what this migration can neither touch nor run: {'; '.join(told)}"
                )
                checks.append(Check("others", Verdict.PASSED, text))
            now = without(now, undone.values())
            if others := elsewhere(now, plan, start):
                told = known.named_and_rest(others, "what others have changed in the schema")
                checks.append(Check("others", Verdict.PASSED, f"{OTHERS}: {'; '.join(told)}"))
                now = without_others(now, plan, start)
            elif not undone:
                schemas = _fingerprints(before, now, start, plan, ledger)
            checks.append(replace(schema_check(now, before, bundle, known), seconds=time.monotonic() - started))
            checks.append(owners_check(now, start, bundle, known))
            half_made = unfinished(now, before, bundle.dry_run.schema_diff, known)
            checks.append(_verdict("unfinished", half_made, "nothing is left half-made"))
            # Of a resumed migration a part is in the snapshot: the dry run, which gave this very schema, has judged.
            if plan.expected_changes is not None and not bundle.dry_run.extra.get("resumed"):
                checks.append(dry_run_checks.expected(plan.expected_changes, diff(before, now), known))
            checks += _sequences(bundle, conn, ledger)
        if any(check.name in (SCHEMA, OWNERS) and check.verdict is not Verdict.PASSED for check in checks):
            return [*checks, *_not_asked(plan)], schemas
        checks += step_checks(plan, conn)
        checks += _assertions(plan, conn, meanwhile, names) if meanwhile is not None else []
    return checks, schemas


def _fingerprints(before: Schema, now: Schema, start: Start, plan: Plan, ledger: Ledger) -> dict[str, tuple[str, str]]:
    """By which a later drift can be explained: this migration, and nobody else, has made one of the other."""
    found = {SCHEMAS: (before.portable.fingerprint, now.portable.fingerprint)}
    exact = before.fingerprint if start.exact else left_by_those_ahead(start, plan, ledger.events())
    return found if exact is None else {**found, EXACT_SCHEMAS: (exact, now.fingerprint)}


def _assertions(plan: Plan, conn: Connection, meanwhile: Meanwhile, names: Schema | None) -> list[Check]:
    """One may wait for a lock, and what somebody exchanges then is not run: not by itself where its text shows the
    lock, and in any case not by the next.

    :raises TransientError: somebody has; the next try looks at the schema again.
    """
    checks: list[Check] = []
    try:
        for number, query in enumerate(plan.assertions, start=1):
            meanwhile.require_unchanged()
            started = time.monotonic()
            check = assertion(conn, number, query, plan, names, unchanged=meanwhile.require_unchanged)
            checks.append(replace(check, seconds=time.monotonic() - started))
        meanwhile.require_unchanged()
    except DriftDetected as exc:
        changed = ", ".join(exc.fields["differences"])
        raise TransientError(
            f"while assertions were asked somebody else has changed what they may run: {changed}"
        ) from exc
    return checks


def _not_asked(plan: Plan) -> list[Check]:
    """What a view or function of another schema than the rehearsed one would run, nobody has reviewed."""
    if not plan.assertions:
        return []
    return [Check("assertions", Verdict.UNVERIFIED, "not asked, because the schema is not what was rehearsed")]


def _sequences(bundle: EvidenceBundle, conn: Connection, ledger: Ledger) -> list[Check]:
    """Those that the dry run has compared: can they go on here, too?"""
    keys = {next_values.told_key(key) for key in bundle.dry_run.extra.get("sequences", ())}
    if not keys:
        return []
    started = time.monotonic()
    with session.translated():
        now = sequences.read(conn, exclude=(ledger.schema,))
    feeds = [feed for feed in now.feeds if next_values.told_key(feed.key) in keys]
    found = next_values.look(conn, now, feeds, largest_scan=next_values.LARGEST_SCAN)
    check = next_values.judge(found, known=bundle.dry_run.extra.get("sequences_as_before", ()))
    return [replace(check, seconds=time.monotonic() - started)]


def _verdict(name: str, problems: Sequence[str], good: str = "") -> Check:
    return Check(name, Verdict.FAILED if problems else Verdict.PASSED, "; ".join(problems) or good)
