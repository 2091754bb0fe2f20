"""May this plan begin, go on, or start again where an earlier run stopped? Pure.

What took effect stays as it is; so a plan may only go on if its first statements are the very ones that were done.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from migrator.errors import ContentChanged, HeldByOther, NeedsHuman
from migrator.ledger.rows import LedgerMigration, LedgerStep, MigrationStatus
from migrator.plan import GATE, Plan, Step


@dataclass(frozen=True)
class Beginning:
    """What `begin` has to write: nothing, or the row and these steps."""

    write: bool
    done: Mapping[str, int] = field(default_factory=dict)
    """Per step that was touched: how many leading statements took effect. Its cursor is kept: it may say that the next
    one was interrupted."""
    applied_at: datetime | None = None
    """Kept when every step is done already: only verify is left."""
    resumed_from: str | None = None
    """The run whose work this one continues."""


def decide(
    plan: Plan,
    *,
    run_id: str,
    running: Iterable[LedgerMigration],
    row: LedgerMigration | None,
    steps: tuple[LedgerStep, ...],
    beside: Collection[str] = (),
    passed: Collection[str] | None = None,
) -> Beginning:
    """
    :param running: all that are.
    :param beside: versions beside which it may begin. What is begun goes on, whoever has begun beside it.
    :param passed: gates of which a sealed record says that they have opened; None: as their rows have it.
    :raises HeldByOther: a version, or another run of this one, is in progress.
    :raises ContentChanged: what was done differs from the plan's beginning.
    :raises NeedsHuman: the last rollback failed half-way."""
    is_begun = row is not None and (row.status, row.run_id) == (MigrationStatus.RUNNING, run_id)
    for other in running:
        mine = other.version == plan.version
        if other.run_id != run_id if mine else not is_begun and other.version not in beside:
            raise held_by(other)
    if row is None or row.status is MigrationStatus.ROLLED_BACK:
        return Beginning(write=True)
    if row.status is MigrationStatus.ROLLBACK_FAILED:
        raise NeedsHuman(
            f"the rollback of {row.version} failed half-way ({row.error_message}); put the database in order, then say "
            f"what is true: migrator ledger repair {row.version} --status rolled_back --reason ..."
        )
    if row.status is MigrationStatus.SUCCESS:
        if row.checksum not in (None, plan.content_digest):
            raise ContentChanged(
                f"{row.version} was applied with another content: {row.checksum} then, {plan.content_digest} now; "
                "write a new migration instead of changing an applied one",
                old_digest=row.checksum,
                new_digest=plan.content_digest,
            )
        return Beginning(write=False)
    stand = gates_stand(row, plan, run_id)
    done = completed_prefix(plan, steps, gates=stand, passed=passed)
    if row.status is MigrationStatus.RUNNING and row.plan_digest == plan.digest:
        return Beginning(write=False, done=done)
    complete = all(done.get(step.name) == len(step.statements) for step in plan.steps if step.kind != GATE)
    return Beginning(write=True, done=done, applied_at=row.applied_at if complete else None, resumed_from=row.run_id)


def gates_stand(row: LedgerMigration | None, plan: Plan, run_id: str) -> bool:
    """Whether gates that were passed stay so: what was waited for was so for this very run and plan. Pure."""
    return row is not None and (row.run_id, row.plan_digest) == (run_id, plan.digest)


def completed_prefix(
    plan: Plan, steps: tuple[LedgerStep, ...], *, gates: bool = True, passed: Collection[str] | None = None
) -> dict[str, int]:
    """How many statements of each step are done, after proving that the plan begins with exactly those, gates aside.

    :param gates: False: none of them counts as passed, so each is waited at again.
    :param passed: see `decide`.
    :raises ContentChanged: naming the first statement that differs.
    """
    done = [step for step in steps if step.touched and step.kind != GATE]
    planned = [step for step in plan.steps if step.kind != GATE]
    for index, old in enumerate(done):
        new = planned[index] if index < len(planned) else None
        if new is None or new.name != old.step:
            raise _changed(plan, f'step "{old.step}" was executed, but the plan has {_name(new)} in its place')
        _compare(plan, old, new)
    at_gates = [step for step in steps if step.touched and step.kind == GATE and gates]
    opened = [step for step in at_gates if passed is None or step.step in passed]
    return {step.step: step.statements_done for step in (*done, *opened)}


def held_by(row: LedgerMigration) -> HeldByOther:
    """Says who, since when, and what to do if nobody is there any more."""
    since = row.started_at.isoformat(timespec="seconds") if row.started_at else "an unknown time"
    return HeldByOther(
        f"migration {row.version} holds this database: run {row.run_id} by {row.applied_by}, since {since}. If that "
        f"run is over, clear its rollback task, or: migrator ledger repair {row.version} --status failed --reason ...",
        holder=row.run_id,
        version=row.version,
        run_id=row.run_id,
        since=since,
    )


def _compare(plan: Plan, old: LedgerStep, new: Step) -> None:
    count = old.statements_done
    for number in range(count):
        if number >= len(new.statements):
            raise _changed(plan, f'statement {number + 1} of step "{old.step}" is done, but no longer in the plan')
        statement = new.statements[number]
        if statement.digest != old.statement_digests[number]:
            raise _changed(
                plan,
                f'statement {number + 1} of step "{old.step}" ({statement.file}:{statement.line}) is done, but was '
                "edited since",
                old_digest=old.statement_digests[number],
                new_digest=statement.digest,
            )
    if old.status == "success" and len(new.statements) > count:
        extra = new.statements[count]
        raise _changed(
            plan,
            f'step "{old.step}" is done, but statement {count + 1} ({extra.file}:{extra.line}) was added to it since',
        )


def _changed(plan: Plan, what: str, *, old_digest: str | None = None, new_digest: str | None = None) -> ContentChanged:
    return ContentChanged(
        f"cannot go on with {plan.version}: {what}; restore the text as it was, or roll back first",
        old_digest=old_digest,
        new_digest=new_digest,
    )


def _name(step: Step | None) -> str:
    return f'step "{step.name}"' if step else "no step"
