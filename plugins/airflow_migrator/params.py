"""The trigger form of a migration: where to, how far, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param

if TYPE_CHECKING:
    from migrator.catalogue.metadata import Metadata
    from migrator.plan import Risk
    from migrator.targets.targets import Target

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
            values_display={target.name: described(target, metadata.risk_level) for target in targets},
        ),
        "until": Param(
            APPLY,
            type="string",
            enum=[APPLY, REHEARSAL],
            title="How far",
            values_display={
                APPLY: "the whole runbook: rehearse, review, apply, verify",
                REHEARSAL: "rehearsal: stop after the dry run on the restored copy",
            },
            description="A rehearsal proves everything on a copy and changes nothing in the target.",
        ),
        "reason": Param(
            None,
            type=["null", "string"],
            maxLength=500,
            title="Reason",
            description="Why now, for those who read it later: a ticket, an incident.",
        ),
        "emergency": Param(
            False,
            type="boolean",
            title="Emergency",
            description="It cannot wait for its window, or for the end of a freeze that allows this. Needs a reason and"
            " two reviewers, who are told; nothing else is lifted.",
        ),
    }


def emergency_reason(params: Mapping[str, Any]) -> str | None:
    """What the person gave as the reason of an emergency, perhaps nothing; None when there is none."""
    return str(params.get("reason") or "") if params.get("emergency") else None


def review_params() -> dict[str, Param]:
    """What a reviewer may fill in beside Approve and Reject. Not `reason`, which is the trigger's."""
    return {
        "comment": Param(
            None, type=["null", "string"], maxLength=500, title="Comment", description="Kept in the ledger."
        )
    }


def described(target: Target, risk: Risk) -> str:
    """A target as the form offers it: what stands between it and a change of the declared risk."""
    environment = "" if target.environment == target.name else f"{target.environment}, "
    wanted = target.reviews.get(risk, 0)
    reviews = f"{wanted} review{'' if wanted == 1 else 's'}" if wanted else "no review"
    when = ", in its maintenance windows" if target.windows else ""
    return f"{target.name} ({environment}{reviews}{when})"


def default_target(metadata: Metadata, targets: tuple[Target, ...]) -> str:
    """The schedule's target; else the first development one; else the first."""
    names = [target.name for target in targets]
    if metadata.schedule is not None and metadata.schedule.target in names:
        return metadata.schedule.target
    development = [target.name for target in targets if target.environment == "development"]
    return (development or names)[0]
