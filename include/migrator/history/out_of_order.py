"""A version that is lower than one that is applied already: merged late, and never applied or skipped in silence.

The target's policy says what happens: it is refused, somebody has to approve it, or it is applied and the ledger says
so. One that comes before it in the same window counts as applied: it will be by then.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from migrator.catalogue.order import sort_key
from migrator.errors import OutOfOrder
from migrator.ledger.rows import LedgerMigration, MigrationStatus
from migrator.plan import Finding, Severity
from migrator.targets.targets import OrderPolicy

if TYPE_CHECKING:
    from migrator.ledger.ledger import Ledger
    from migrator.plan import Plan
    from migrator.run import RunContext
    from migrator.targets.targets import Target

EVENT = "out_of_order"
RULE = "out-of-order"


def higher(version: str, rows: Iterable[LedgerMigration], first: Iterable[str] = ()) -> tuple[str, ...]:
    """The applied versions that sort above `version`, lowest first. Pure.

    :param first: those that come before it in the window.
    """
    found = {row.version for row in rows if row.status is MigrationStatus.SUCCESS and row.version != version}
    found.update(first)
    return tuple(sorted((one for one in found if sort_key(one) > sort_key(version)), key=sort_key))


def finding(version: str, above: tuple[str, ...], target: Target) -> Finding:
    """What the plan says to its reviewers. Pure."""
    message = (
        f"{version} is lower than {_names(above)}, which {target.name!r} has by then: it was not tested before them"
    )
    help = "look whether the later ones rely on its absence; or give it a higher version"
    return Finding(RULE, Severity.WARNING, message, help)


def require(plan: Plan, rows: Iterable[LedgerMigration], target: Target) -> tuple[str, ...]:
    """The higher versions that are there before it, when the policy lets this one pass all the same. Pure.

    :raises OutOfOrder: the policy rejects it, or wants approval and what is applied is not what was approved.
    """
    first = tuple(one.version for one in plan.ahead)
    above = higher(plan.version, rows, first)
    if not above or target.out_of_order is OrderPolicy.APPLY:
        return above
    if target.out_of_order is OrderPolicy.REJECT:
        when = "by then, as it comes first in the window" if set(above) <= set(first) else "already"
        raise OutOfOrder(
            f"{plan.version!r} is lower than {_names(above)}, which {target.name!r} has {when}, and its policy is"
            " out_of_order: reject. give it a version above them, or let the policy say ask",
            higher=above,
        )
    new = tuple(version for version in above if version not in plan.out_of_order)
    if new:
        raise OutOfOrder(
            f"{_names(new)} came to {target.name!r} after {plan.version!r} was analysed, so nobody has approved that it"
            " goes in below; clear analyze with downstream",
            higher=new,
        )
    return above


def record(ledger: Ledger, plan: Plan, above: tuple[str, ...], *, target: Target, run: RunContext) -> None:
    """Once a run, under the lock."""
    if any(event.kind == EVENT and event.run_id == run.run_id for event in ledger.events(plan.version)):
        return
    detail = {"higher": list(above), "policy": str(target.out_of_order)}
    ledger.append_event(EVENT, version=plan.version, run=run, detail=detail)


def _names(versions: tuple[str, ...]) -> str:
    shown = ", ".join(map(repr, versions[:5]))
    return shown if len(versions) <= 5 else f"{shown} and {len(versions) - 5} more"
