"""What comes first in the same window, applied to a clone of the copy before another migration is rehearsed on it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from migrator.backups import stand_ins
from migrator.backups.trial import Trial
from migrator.database import schema, session
from migrator.database.schema import LEDGER_SCHEMA, Schema
from migrator.database.schema_diff import diff
from migrator.errors import EnvironmentFault, MigratorError, Refused, TransientError
from migrator.gates.clear_way import is_applied
from migrator.ledger.ledger import Ledger
from migrator.plan import Plan
from migrator.rehearsal.original import First
from migrator.run import RunContext
from migrator.steps import execution
from migrator.steps.attempt import Attempt
from migrator.steps.context import StepHandle

LOCK_DEADLINE_SECONDS = 60.0
"""Nobody else is on the clone: who waits longer waits for itself."""
REASON = "a clone of a restored copy, for a dry run"


def apply(
    plans: Sequence[Plan], trial: Trial, target: Schema, *, run: RunContext, handle: StepHandle, log: logging.Logger
) -> First:
    """One after the other, as production will; what they changed. Those that the snapshot has already are passed over.

    :raises Refused: one of them fails there.
    """
    before = schema_of(trial, target)
    with Ledger(trial.texts) as book:
        adopt(book, run)
        for plan in plans:
            if is_applied(plan, book.migration(plan.version)):
                continue
            log.info("%s comes first in the window: applied to the clone", plan.version)
            try:
                _apply(plan, trial, book, replace(run, version=plan.version), handle, log)
            except (TransientError, EnvironmentFault):
                raise
            except MigratorError as exc:
                if handle.cancelled:
                    raise
                raise Refused(
                    f"{plan.version!r} comes before {run.version!r} in the window, and fails on the restored copy:"
                    f" {exc}. mend it, or give one of the two another window, then clear analyze with Downstream"
                ) from exc
    after = schema_of(trial, target)
    roles = diff(before.of_roles, after.of_roles).changes
    return First(diff(before.portable, after.portable), tuple(sorted({change.name for change in roles})))


def adopt(book: Ledger, run: RunContext) -> None:
    """Make the clone's ledger its own, and let go what was in progress when the snapshot was taken."""
    if book.exists():
        book.adopt(run=run, reason=REASON)
    else:
        book.install()
    book.check()
    for held in book.all_running():
        book.repair(held.version, status="failed", run=run, reason=f"was running at the snapshot; {REASON}")


def _apply(plan: Plan, trial: Trial, book: Ledger, run: RunContext, handle: StepHandle, log: logging.Logger) -> None:
    attempt = Attempt(plan, trial.texts, book, run, "dry_run", LOCK_DEADLINE_SECONDS, handle, log=log)
    with attempt.locked() as ctx:
        book.begin(plan, run=run)
        for step in plan.steps:
            execution.run(step, ctx)
        book.mark_verified(plan.version, run=run)


def schema_of(trial: Trial, target: Schema) -> Schema:
    """As the target would have it.

    :param target: of the database that was copied."""
    with session.connect(trial.watching, purpose="observe") as conn:
        found = schema.read(conn, exclude=(LEDGER_SCHEMA,), role=trial.role.name)
    return stand_ins.as_on_target(found, target, trial.role.name)
