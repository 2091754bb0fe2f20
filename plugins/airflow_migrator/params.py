"""The trigger form of a migration: where to, how far, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import Param

if TYPE_CHECKING:
    from migrator.metadata import Metadata
    from migrator.targets import Target

APPLY = "apply"
REHEARSAL = "dry_run"


def migration_params(metadata: Metadata, targets: tuple[Target, ...]) -> dict[str, Param]:
    return {
        "target": Param(
            default_target(metadata, targets),
            type="string",
            enum=[target.name for target in targets],
            title="Target",
            description="The database that is to be changed.",
            values_display={target.name: f"{target.name} ({target.environment})" for target in targets},
        ),
        "until": Param(
            APPLY,
            type="string",
            enum=[APPLY, REHEARSAL],
            title="How far",
            values_display={
                APPLY: "the whole runbook: review, apply, verify",
                REHEARSAL: "rehearsal: stop after the dry run on the restored copy",
            },
            description="A rehearsal changes nothing in the target.",
        ),
        "reason": Param(
            None, type=["null", "string"], maxLength=500, title="Reason", description="Kept in the ledger's events."
        ),
    }


def review_params() -> dict[str, Param]:
    """What a reviewer may fill in beside Approve and Reject."""
    return {
        "reason": Param(None, type=["null", "string"], maxLength=500, title="Reason", description="Kept in the ledger.")
    }


def default_target(metadata: Metadata, targets: tuple[Target, ...]) -> str:
    """The schedule's target; else the first development one; else the first."""
    names = [target.name for target in targets]
    if metadata.schedule is not None and metadata.schedule.target in names:
        return metadata.schedule.target
    development = [target.name for target in targets if target.environment == "development"]
    return (development or names)[0]
