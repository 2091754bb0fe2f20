"""Several migrations for one window of a target: in which order they come, and that each waits for those before it.

The second one is rehearsed on what the first one makes of the copy, so that the first one's success is no drift, and
nobody is asked again at night. It is applied on nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
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
    from migrator.catalogue.metadata import Schedule
    from migrator.catalogue.migration import Migration
    from migrator.ledger.ledger import Ledger
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


def rejected(reviews: Iterable[LedgerReview]) -> dict[str, str]:
    """Versions of which somebody's last answer is no, and who that is. Pure; reviews come oldest first."""
    last = {(one.version, one.reviewer): one.decision for one in reviews if one.decision != Answer.REFUSED}
    return {version: who for (version, who), decision in last.items() if decision == Answer.REJECTED}


def not_coming(
    plan: Plan,
    rows: Sequence[LedgerMigration],
    reviews: Iterable[LedgerReview],
    *,
    target: Target,
    now: datetime,
    migration: Migration | None = None,
    catalogue: Catalogue | None = None,
) -> dict[str, str]:
    """Those it was rehearsed on top of that will not be begun any more, and why. Pure.

    :param migration: itself, as its files are now. Without it or the catalogue only the reviews are asked.
    """
    no = rejected(reviews)
    own = own_schedule(migration, target)
    known, found = {row.version for row in rows}, dict[str, str]()
    for version in (first.version for first in plan.ahead if first.version not in known):
        why = f"was rejected by {no[version]}" if version in no else None
        if why is None and catalogue is not None and own is not None and now < own.window_end:
            why = _moved(version, plan.version, own, target, catalogue, now)
        if why is not None:
            found[version] = why
    return found


def _moved(first: str, version: str, own: Schedule, target: Target, catalogue: Catalogue, now: datetime) -> str | None:
    """Why the catalogue has `first` not before `version` any more. One whose window is earlier still comes."""
    found = catalogue.get(first)
    if found is None:  # while its files are edited it may be broken
        return None if first in catalogue.broken_versions else "is not in the catalogue any more"
    theirs = own_schedule(found, target)
    if theirs is None:
        return "has no window any more"
    if theirs.window_start >= own.window_end:
        return "has another window now"
    if now >= theirs.window_end:
        return "was not begun in its window, which is over"
    order = [one.version for one in catalogue.migrations]
    return "comes after it now" if version in order[: order.index(first)] else None


def require(plan: Plan, rows: Sequence[LedgerMigration], gone: Mapping[str, str] | None = None) -> None:
    """All that it was rehearsed on top of is applied and verified, with the very content. Pure.

    :param gone: those that will not be begun any more, and why: see `not_coming`.
    :raises AheadPending: one of them is still to come. :raises Refused: one will not come, or came as another one.
    """
    known = {row.version: row for row in rows}
    for first in plan.ahead:
        row = known.get(first.version)
        if row is None and gone is not None and first.version in gone:
            raise Refused(
                f"{first.version!r}, which comes first in the window, {gone[first.version]}, so it will not come:"
                f" {_without(plan, first.version)}"
            )
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


def _without(plan: Plan, version: str) -> str:
    """What to do when `version` will not come. What depends on it is refused by its own analysis then."""
    needs = {one.version: one.dependencies for one in (*plan.ahead, plan)}
    wanted, left = set[str](), [plan.version]
    while left:
        one = left.pop()
        wanted.add(one)
        left += [other for other in needs.get(one, ()) if other not in wanted]
    if version in wanted:
        return f"{plan.version!r} depends on it, and cannot be applied without it"
    return "clear analyze with Downstream, and this one is rehearsed without it"


def require_turn(
    plan: Plan,
    ledger: Ledger,
    *,
    target: Target,
    now: datetime,
    migration: Migration | None = None,
    catalogue: Catalogue | None = None,
) -> None:
    """`require`, asked of the ledger and the catalogue as they are now.

    :raises AheadPending: one of them is still to come. :raises Refused: one will not come, or came as another one.
    """
    if not plan.ahead:
        return
    rows, reviews = (ledger.migrations(), ledger.reviews(None)) if ledger.exists() else ((), ())
    gone = not_coming(plan, rows, reviews, target=target, now=now, migration=migration, catalogue=catalogue)
    require(plan, rows, gone)
