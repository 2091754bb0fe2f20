"""What a teardown has to do about the ledger as it is. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from migrator.documents import StrEnum
from migrator.ledger.rows import LedgerMigration, LedgerStep, MigrationStatus, took_effect
from migrator.plan import OnFailure
from migrator.steps import gating
from migrator.steps.undo import needs_script


class Action(StrEnum):
    NOTHING = "nothing"
    """Nothing of this run is in the database."""
    ROLLED_BACK = "rolled_back"
    HELD = "held"
    """Something is applied and stays until a person has decided."""
    KEPT_VERIFIED = "kept_verified"
    """Applied and verified: the good end."""


@dataclass(frozen=True)
class Decision:
    """`action` ROLLED_BACK means: do it. `close` means: the row says running although nothing runs any more."""

    action: Action
    reason: str
    close: bool = False


def decide(
    row: LedgerMigration | None,
    steps: Sequence[LedgerStep],
    *,
    run_id: str,
    on_failure: OnFailure,
    has_script: bool,
    force: bool = False,
    same_content: bool = True,
) -> Decision:
    """What a teardown has to do about the ledger as it is. Pure.

    :param same_content: the plan at hand has the content that was applied, and so its rollback script.
    :param force: a person asked for the rollback: also of a verified migration, one that is held, or another run's.
    """
    if row is None:
        return Decision(Action.NOTHING, "the migration never began")
    if row.status is MigrationStatus.ROLLED_BACK:
        return Decision(Action.NOTHING, "it is rolled back already")
    if row.status is MigrationStatus.SUCCESS and not force:
        return Decision(Action.KEPT_VERIFIED, "it is applied and verified")
    if row.run_id != run_id and not force:
        return Decision(Action.NOTHING, f"run {row.run_id!r} has applied it, this run has applied nothing")
    if row.status is MigrationStatus.ROLLBACK_FAILED and not force:
        return Decision(
            Action.HELD,
            f"a rollback failed before ({row.error_message}); it is not repeated blindly. put the database in order,"
            f' then say what is true with "migrator ledger repair {row.version}"',
        )
    if not any(took_effect(step) for step in steps):
        return Decision(Action.NOTHING, "no statement took effect", close=row.status is MigrationStatus.RUNNING)
    if not same_content:
        return Decision(
            Action.HELD,
            "another content is analysed now than was applied, so nobody has rehearsed or approved the rollback script"
            " that lies there: put the files back as they were and clear analyze and rollback, or undo it by hand, then"
            f' say what is true with "migrator ledger repair {row.version}"',
            close=row.status is MigrationStatus.RUNNING,
        )
    if not has_script and needs_script(steps):
        return Decision(
            Action.HELD,
            "there is no rollback script: write a new migration that repairs what is there (a forward fix), or restore"
            " the snapshot",
            close=row.status is MigrationStatus.RUNNING,
        )
    if not force and (gate := gating.expired(steps)):
        return Decision(
            Action.HELD,
            f"gate {gate!r} has waited for as long as it may, and what is applied before it has not failed: clear the"
            f" apply task of {gate!r} with Downstream, and it waits anew; or undo it with"
            f' "migrator rollback {row.version} --reason ..."',
            close=row.status is MigrationStatus.RUNNING,
        )
    if on_failure is not OnFailure.ROLLBACK and not force:
        return Decision(
            Action.HELD,
            f"the metadata says on_failure: {on_failure.value}, so what is applied stays until a person decides",
            close=row.status is MigrationStatus.RUNNING,
        )
    return Decision(Action.ROLLED_BACK, f"undoing {', '.join(step.step for step in steps if took_effect(step))}")
