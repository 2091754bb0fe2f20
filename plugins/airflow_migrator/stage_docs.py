"""What each task's page says about its stage: what it does, and what to do when it is red. For the person on call."""

from __future__ import annotations

from collections.abc import Mapping

STAGES: Mapping[str, str] = {
    "analyze": """\
**Parses the SQL, asks the target's catalog, computes locks, risk and type, and freezes the
plan.**

Red: a finding of severity error, a risk above the declared one, or a dependency that is not
applied. Nothing was touched. Mend the migration's files, then clear this task with downstream.""",
    "snapshot": """\
**Takes a restorable copy of the target: pg_dump in one exported snapshot, with checksums of
every table.**

Red: the target or the storage could not be reached, or there is no room. Nothing was changed.
Clear with downstream.""",
    "restore_test": """\
**Restores the snapshot on another server and proves that it equals the target.**

Red: this snapshot is no way back. Do not go on without one: look at the difference in the log,
then clear snapshot with downstream.""",
    "dry_run": """\
**Applies the plan on the restored copy, rolls it back, compares, and applies it again; watches
locks, rewrites and time.**

Red: it would have failed in production, too. The target was not touched. Mend the files, then
clear analyze with downstream.""",
    "drop_copy": """\
**Drops the restored copy.**

Red: a database named `copy_...` is left on the server for copies; it does no harm.""",
    "review": """\
**Asks a person, who decides on plan and evidence under Required Actions. The answer is kept in
the ledger. An answer that comes when another plan or other evidence lies there is refused, and
the question asked again.**

Red: rejected, or an answer that does not count (an author's own, the same person twice, not a
reviewer). Nothing was applied. After an edit clear analyze with downstream; to ask again clear
this task with downstream. Marking it success approves nothing: apply asks the ledger.""",
    "begin": """\
**From here on something may be applied. Does nothing itself: because it is done, rollback and
outcome run, whatever becomes of the tasks after it.**

Red: somebody has marked it, so rollback and outcome cannot run; what is applied by then the
custodian ends.""",
    "preflight": """\
**Waits for the maintenance window without holding a worker, then checks drift, reviews, the
snapshot's age, replication, long transactions and room in the window.**

Red: one of the checks, named in the log. Nothing was applied. When it is over, clear this task
with downstream.""",
    "apply": """\
**Executes one step in the target, under the lock; asks reviews, digests, window and drift again
inside it. A gate waits here, without a worker, for a person's answer or for its condition.**

Red: what took effect is undone by rollback, unless the metadata says otherwise; see outcome.
Safe to clear, with downstream: the ledger knows how far it came.""",
    "verify": """\
**Compares the target with what the dry run produced, and asks the migration's assertions. Only
this stage makes a migration a success.**

Red: what was applied is not what was promised, and rollback undoes it. Read outcome.""",
    "rollback": """\
**Undoes what this run applied and did not verify. Skipped when there is nothing to undo.**

Red: the database is between two states, and other migrations are kept out. Put it in order by
hand or from the snapshot, then say what is true: `migrator ledger repair VERSION --status ...
--reason ...`.""",
    "outcome": """\
**Says what the ledger knows at the end, and tells people.**

Red: the migration is not applied and verified. Its log says what happened and what to do next.""",
}
