"""Asking the server how it is, for those who are about to change it."""

from __future__ import annotations

from migrator.database import session
from migrator.database.session import Endpoint
from migrator.errors import PreflightBusy, PreflightRefused
from migrator.evidence import EvidenceBundle, Verdict
from migrator.operations import health_checks, health_facts
from migrator.operations.health_checks import HealthFinding
from migrator.plan import Plan
from migrator.targets.targets import Limits


def findings(plan: Plan, bundle: EvidenceBundle, endpoint: Endpoint, limits: Limits) -> tuple[HealthFinding, ...]:
    """What the server says now about what the migration needs of it."""
    with session.connect(endpoint, purpose="observe", version=plan.version) as connection:
        facts = health_facts.read(
            connection,
            touched=health_checks.touched_tables(plan, bundle),
            rewritten=health_checks.rewritten_tables(plan, bundle),
        )
    return tuple(health_checks.server_checks(facts, plan, limits, wal_bytes=bundle.dry_run.wal_bytes))


def require(plan: Plan, bundle: EvidenceBundle, endpoint: Endpoint, limits: Limits) -> None:
    """
    :raises PreflightBusy: nothing is wrong but what passes by itself. :raises PreflightRefused: something else is.
    """
    failed = [one for one in findings(plan, bundle, endpoint, limits) if one.check.verdict is Verdict.FAILED]
    if not failed:
        return
    text = "; ".join(f"{one.check.name}: {one.check.detail}" for one in failed)
    error = PreflightBusy if all(one.busy for one in failed) else PreflightRefused
    raise error(text, checks=tuple(one.check for one in failed))
