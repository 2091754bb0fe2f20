"""Which change of a migration's status is allowed, and which status the events tell of. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from migrator.errors import HeldByOther, MigratorError, NeedsHuman
from migrator.ledger.resume import held_by
from migrator.ledger.rows import LedgerEvent, LedgerMigration, MigrationStatus

RUNNING, SUCCESS, FAILED = MigrationStatus.RUNNING, MigrationStatus.SUCCESS, MigrationStatus.FAILED
ROLLED_BACK, ROLLBACK_FAILED = MigrationStatus.ROLLED_BACK, MigrationStatus.ROLLBACK_FAILED

FROM = {
    SUCCESS: frozenset({RUNNING, SUCCESS}),
    FAILED: frozenset({RUNNING, FAILED}),
    ROLLED_BACK: frozenset({RUNNING, FAILED, ROLLBACK_FAILED, SUCCESS, ROLLED_BACK}),
    ROLLBACK_FAILED: frozenset({RUNNING, FAILED, ROLLBACK_FAILED, SUCCESS}),
}
"""Status to be -> statuses from which the engine may get there. Anything else is a person's `repair`."""

STATUS = "status"
"""Key of an event's detail: the status that the migration had after the event."""
EVIDENCE = "evidence_digest"
"""Key of the detail of `begin` and `evidence`: what apply's gates went by."""
SCHEMAS = "schemas"
"""Key of the detail of `verified`: the fingerprints of the portable schema before the migration and after it."""
EXACT_SCHEMAS = "exact_schemas"
"""The same of the whole schema, with owners and rights; missing where nobody knows what was before."""


def refusal(row: LedgerMigration | None, to: MigrationStatus, *, version: str, run_id: str) -> MigratorError | None:
    """Why the row may not become `to` now, or None."""
    if row is None:
        return NeedsHuman(f"the ledger has no migration {version!r}: nothing was begun")
    if row.status is RUNNING and row.run_id != run_id:
        return held_by(row)
    if row.status not in FROM[to]:
        return NeedsHuman(
            f"migration {version} is {row.status}, which cannot become {to}; if that is what is true in the database: "
            f"migrator ledger repair {version} --status {to} --reason ..."
        )
    if to is SUCCESS and row.applied_at is None:
        return NeedsHuman(f"migration {version} is not applied yet: a step is missing, so it cannot be verified")
    return None


def not_held(row: LedgerMigration | None, *, version: str, run_id: str) -> MigratorError:
    """Why this run may not write a step of `version`: somebody else took it, or it is over."""
    if row is None:
        return NeedsHuman(f"the ledger has no migration {version!r}: begin comes first")
    if row.status is RUNNING:
        return held_by(row)
    return HeldByOther(
        f"migration {version} is {row.status} and no longer held by run {run_id}: another run or a repair came in "
        "between; nothing more is executed",
        holder=row.run_id,
        version=version,
        run_id=row.run_id,
    )


class LastStates:
    """Follows the events and remembers the last status of each version."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, str]] = {}

    def watch(self, events: Iterable[LedgerEvent]) -> Iterator[LedgerEvent]:
        for event in events:
            status = event.detail.get(STATUS)
            if event.version is not None and isinstance(status, str):
                self._last[event.version] = (event.id, status)
            yield event

    def problems(self, migrations: Iterable[LedgerMigration]) -> Iterator[str]:
        """Rows whose status no event explains, and versions whose row is gone."""
        left = dict(self._last)
        for row in migrations:
            told = left.pop(row.version, None)
            if told is None:
                yield f"migration {row.version} is {row.status}, but no event tells of it: inserted by hand"
            elif told[1] != row.status:
                yield f"migration {row.version} is {row.status}, but event {told[0]} left it {told[1]}: changed by hand"
        for version, (event, status) in sorted(left.items()):
            yield f"migration {version} was {status} by event {event}, but its row is gone: deleted by hand"
