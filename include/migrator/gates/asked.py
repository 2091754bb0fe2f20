"""What people are asked about: a plan and its evidence, and what of both they decide on.

Nobody is asked twice about the same thing. Made again, on a database that other migrations have changed meanwhile or
after a task was cleared, a plan has other estimates and its evidence other times, sizes and names of copies; but when
each statement, lock, rewrite, finding, check and line of the schema's difference is the one that was approved, so is
what would happen. An answer then stays valid until it expires, unless the change takes a great deal longer now.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from migrator import documents

if TYPE_CHECKING:
    from migrator.evidence import Check, EvidenceBundle, StatementTrace
    from migrator.plan import Finding, Plan

MUCH_LONGER, SLACK_SECONDS = 2.0, 30.0
"""So much longer than on the card it may take on the copy: this many times, and this many seconds more."""
_NUMBER = re.compile(r"\d[\d.,]*")
_PLAN_WITHOUT = frozenset(
    {
        *("created_at", "engine_version", "checksums", "files", "already_applied", "applied_note", "ahead", "behind"),
        *("findings", "steps", "rollback_steps", "reasons", "assumptions", "estimated_seconds"),
    }
)
"""What changes nothing, what the schema's difference covers, and what is taken without its numbers."""


class Answered(Protocol):
    """The part of a review that tells what it is about."""

    @property
    def plan_digest(self) -> str: ...
    @property
    def evidence_digest(self) -> str: ...
    @property
    def substance(self) -> str | None: ...
    @property
    def seconds(self) -> float | None: ...


@dataclass(frozen=True)
class Asked:
    plan: str
    evidence: str | None
    """Digests."""
    substance: str | None = None
    """Digest of what people decide on; None: only the very documents are known."""
    seconds: float = 0.0
    """How long it took on the copy."""

    @classmethod
    def of(cls, plan: Plan, bundle: EvidenceBundle) -> Asked:
        return cls(plan.digest, bundle.digest, substance(plan, bundle), bundle.dry_run.seconds)

    def is_answered_by(self, review: Answered) -> bool:
        """Whether an answer is about this. Pure."""
        if (review.plan_digest, review.evidence_digest) == (self.plan, self.evidence):
            return True
        if self.substance is None or review.substance != self.substance or review.seconds is None:
            return False
        return self.seconds <= MUCH_LONGER * review.seconds + SLACK_SECONDS


def substance(plan: Plan, bundle: EvidenceBundle) -> str:
    """Digest of what people decide on: not of what is measured, nor of which copy it was measured on."""
    data = documents.to_dict(plan)
    kept = {name: value for name, value in data.items() if name not in _PLAN_WITHOUT}
    dry_run, restore, snapshot = bundle.dry_run, bundle.restore, bundle.snapshot
    told = {name: dry_run.extra.get(name, ()) for name in ("surprises", "privileges")}
    return documents.digest(
        {
            "plan": kept,
            "steps": _steps(data["steps"]),
            "rollback": _steps(data["rollback_steps"]),
            "findings": [_finding(finding) for finding in plan.findings],
            "words": [_mask(text) for text in (*plan.reasons, *plan.assumptions)],
            "snapshot": [snapshot.provider, snapshot.target, snapshot.database, snapshot.system_identifier],
            "restore": [restore.verdict, _checks(restore.checks)],
            "dry_run": [dry_run.verdict, dry_run.irreversible, _checks(dry_run.checks)],
            "schema": dry_run.schema_diff,
            "statements": [_trace(trace) for trace in (*dry_run.statements, *dry_run.rollback_statements)],
            "told": told,
            "resumed": bool(dry_run.extra.get("resumed")),
        }
    )


def _steps(steps: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Without what the analysis expects them to take."""
    return [
        {**step, "statements": [{**one, "estimated_seconds": None} for one in step["statements"]]} for step in steps
    ]


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        **documents.to_dict(finding),
        "message": _mask(finding.message),
        "help": _mask(finding.help),
        "alternative_sql": None,
    }


def _checks(checks: Iterable[Check]) -> list[list[str]]:
    return [[check.name, check.verdict] for check in checks]


def _trace(trace: StatementTrace) -> list[Any]:
    locks = sorted((lock.relation, lock.mode) for lock in trace.locks)
    touched = (trace.rewrites, trace.scans, trace.indexes_rebuilt, trace.writes)
    return [
        *(trace.step, trace.statement, trace.kind, trace.sql, trace.match, locks),
        *(sorted(names) for names in touched),
        trace.differences,
    ]


def _mask(text: str) -> str:
    """Sizes and times are measured anew."""
    return _NUMBER.sub("#", text)
