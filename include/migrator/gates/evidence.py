"""Does the evidence belong to this plan, and does it prove what it should?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.evidence import EvidenceBundle, Verdict
from migrator.gates import reviews
from migrator.plan import Plan

if TYPE_CHECKING:
    from migrator.ledger.ledger import Ledger


def evidence_problems(plan: Plan, evidence: EvidenceBundle) -> tuple[str, ...]:
    """Why this evidence does not belong to this plan, or does not prove what it should. Pure."""
    snapshot, restore, dry_run = evidence.snapshot, evidence.restore, evidence.dry_run
    found: list[str] = []
    if dry_run.plan_digest != plan.digest:
        found.append("the dry run was of another plan")
    if snapshot.target != plan.target:
        found.append(f"the snapshot is of target {snapshot.target!r}, the plan is for {plan.target!r}")
    if {restore.snapshot_id, dry_run.snapshot_id} != {snapshot.id}:
        found.append("snapshot, restore test and dry run do not belong together")
    if restore.verdict is not Verdict.PASSED:
        found.append(f"the restore test is {restore.verdict.value}")
    if not dry_run.stands:
        found.append(f"the dry run is {dry_run.verdict.value}")
    return tuple(found)


def kept_problems(plan: Plan, evidence: EvidenceBundle, ledger: Ledger) -> tuple[str, ...]:
    """The same of what was kept, or made again, since the plan was applied."""
    seen = reviews.seen(evidence.digest, plan, ledger)
    return (
        *evidence_problems(plan, evidence),
        *(() if seen else ("it is not what the reviewers have seen and what it was applied by",)),
    )
