"""What the ledger must say before a migration may begin: nothing half applied, all dependencies there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from migrator.errors import DependencyMissing, NeedsHuman
from migrator.ledger import resume
from migrator.ledger.rows import LedgerMigration, LedgerStep, MigrationStatus, took_effect
from migrator.plan import Plan
from migrator.targets.targets import Target

if TYPE_CHECKING:
    from migrator.ledger.ledger import Ledger


LEFT_BEHIND = frozenset({MigrationStatus.FAILED, MigrationStatus.ROLLBACK_FAILED})
"""Statuses in which something of a migration may be in the database although nobody works on it."""


def require_clear_way(plan: Plan, rows: Sequence[LedgerMigration], ledger: Ledger) -> None:
    """:raises NeedsHuman: an earlier migration was left half applied."""
    for other in rows:
        if other.version == plan.version or other.status not in LEFT_BEHIND:
            continue
        reason = in_the_way(other, ledger.steps(other.version))
        if reason is not None:
            raise NeedsHuman(reason, version=other.version)


def require_free(plan: Plan, ledger: Ledger, run_id: str, beside: Collection[str] = ()) -> None:
    """The very questions that the ledger asks when a migration begins.

    :raises HeldByOther: another one, or another run of this one, is in progress.
    :raises ContentChanged, NeedsHuman: see `resume.decide`.
    """
    resume.decide(
        plan,
        run_id=run_id,
        running=ledger.all_running(),
        row=ledger.migration(plan.version),
        steps=ledger.steps(plan.version),
        beside=beside,
    )


def in_the_way(row: LedgerMigration, its_steps: Sequence[LedgerStep]) -> str | None:
    """Why no other migration may run on top of this one, or None. Pure."""
    if row.status is MigrationStatus.ROLLBACK_FAILED:
        return (
            f"the rollback of {row.version!r} failed, so the schema is between two states; put it in order and say what"
            f' is true with "migrator ledger repair {row.version}"'
        )
    if row.status is MigrationStatus.FAILED and any(took_effect(step) for step in its_steps):
        return (
            f"{row.version!r} failed and part of it is still applied; finish it or roll it back first, or say what is"
            f' true with "migrator ledger repair {row.version}"'
        )
    return None


def missing_dependencies(plan: Plan, rows: Sequence[LedgerMigration]) -> tuple[str, ...]:
    """Dependencies that are not applied and verified (or adopted by a baseline). Pure."""
    there = {row.version for row in rows if row.status is MigrationStatus.SUCCESS}
    return tuple(version for version in plan.dependencies if version not in there)


def require_dependencies(plan: Plan, rows: Sequence[LedgerMigration], target: Target) -> None:
    """:raises DependencyMissing: names all of them. Pure."""
    missing = missing_dependencies(plan, rows)
    if missing:
        raise DependencyMissing(
            f"{plan.version!r} needs {', '.join(map(repr, missing))}, which the ledger of {target.name!r} does not have"
            " as applied and verified; apply them first",
            missing=missing,
        )


def partly_applied(plan: Plan, ledger: Ledger) -> bool:
    """Whether anything of this migration may be in the database: then its schema is no longer the snapshot's."""
    return any(took_effect(item) for item in ledger.steps(plan.version))


def is_applied(plan: Plan, row: LedgerMigration | None) -> bool:
    """Applied and verified with the content of this plan, or adopted by a baseline with a content that nobody knows.
    Pure."""
    return row is not None and row.status is MigrationStatus.SUCCESS and has_content(row, plan)


def has_content(row: LedgerMigration, plan: Plan) -> bool:
    """Whether the row is of the plan's content, as far as anybody knows. Pure."""
    return row.checksum in (None, plan.content_digest)


def applied_already(plan: Plan, ledger: Ledger) -> bool:
    """`is_applied`, asked of the ledger as it is now; before the first migration there is none."""
    return is_applied(plan, ledger.migration(plan.version) if ledger.exists() else None)
