"""Several migrations for one window of a target: in which order they come, and that each waits for those before it.

The second one is rehearsed on what the first one makes of the copy, so that the first one's success is no drift, and
nobody is asked again at night. It is applied on nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from migrator.errors import AheadPending, Refused
from migrator.gates.clear_way import has_content
from migrator.gates.reviews import Answer
from migrator.gates.window import own_schedule
from migrator.ledger.rows import LedgerMigration, LedgerReview, MigrationStatus
from migrator.plan import Plan

if TYPE_CHECKING:
    from migrator.catalogue.catalogue import Catalogue
    from migrator.catalogue.migration import Migration
    from migrator.targets.targets import Target

OVER = frozenset({MigrationStatus.FAILED, MigrationStatus.ROLLED_BACK, MigrationStatus.ROLLBACK_FAILED})
"""Statuses of what will not be applied by itself any more."""


@dataclass(frozen=True)
class Window:
    """The others of a migration's window, in the order in which they come."""

    ahead: tuple[Migration, ...] = ()
    behind: tuple[Migration, ...] = ()


def window_of(
    migration: Migration,
    target: Target,
    catalogue: Catalogue,
    rows: Iterable[LedgerMigration],
    now: datetime,
    *,
    given_up: Collection[str] = (),
) -> Window:
    """Those whose own window on this target touches this one's, and that are still to come. Pure.

    The order is the catalogue's: each after all that it depends on, otherwise by version.

    :param given_up: versions of which the ledger does not know that they will not come: somebody rejected them.
    """
    own = own_schedule(migration, target)
    if own is None or now >= own.window_end:
        return Window()
    done = {row.version for row in rows if row.status is MigrationStatus.SUCCESS or row.status in OVER}
    found: tuple[list[Migration], list[Migration]] = ([], [])
    after = False
    for other in catalogue.migrations:
        if other.version == migration.version:
            after = True
            continue
        theirs = own_schedule(other, target)
        if theirs is None or other.version in done or other.version in given_up or now >= theirs.window_end:
            continue
        if theirs.window_start < own.window_end and own.window_start < theirs.window_end:
            found[after].append(other)
    return Window(tuple(found[False]), tuple(found[True]))


def rejected(reviews: Iterable[LedgerReview]) -> frozenset[str]:
    """Versions of which somebody's last answer is no. Pure; reviews come oldest first."""
    last = {(one.version, one.reviewer): one.decision for one in reviews if one.decision != Answer.REFUSED}
    return frozenset(version for (version, _), decision in last.items() if decision == Answer.REJECTED)


def require(plan: Plan, rows: Sequence[LedgerMigration]) -> None:
    """All that it was rehearsed on top of is applied and verified, with the very content. Pure.

    :raises AheadPending: one of them is still to come. :raises Refused: one will not come, or came as another one.
    """
    known = {row.version: row for row in rows}
    for first in plan.ahead:
        row = known.get(first.version)
        if row is None or row.status is MigrationStatus.RUNNING:
            state = "is being applied" if row is not None else "is not applied yet"
            raise AheadPending(
                f"{first.version!r} comes first in the window and {state}: {plan.version!r} was rehearsed on top of it,"
                " and waits. to go on without it, take it out of the window, then clear analyze with Downstream",
                waits_for=first.version,
            )
        again = "what was rehearsed is not what would happen now: clear analyze with Downstream"
        if row.status is not MigrationStatus.SUCCESS:
            raise Refused(
                f"{plan.version!r} was rehearsed on top of {first.version!r}, which is {row.status.value}; {again}"
            )
        if not has_content(row, first):
            raise Refused(
                f"{plan.version!r} was rehearsed on top of {first.version!r}, which was applied with another content;"
                f" {again}"
            )
