"""The ledger of one database: everything that reader and writer can do, and its own upkeep."""

from __future__ import annotations

import migrator
from migrator.errors import LedgerForeign, LedgerOlder, UsageError
from migrator.ledger import claims, controls, events, identity, install, states
from migrator.ledger.rows import STATEMENTS_DONE, MigrationStatus, StepStatus
from migrator.ledger.version import SCHEMA_VERSION
from migrator.ledger.writer import LedgerWriter
from migrator.run import RunContext

REPAIRED = {
    MigrationStatus.SUCCESS: (StepStatus.SUCCESS, tuple(StepStatus)),
    MigrationStatus.FAILED: (StepStatus.FAILED, (StepStatus.RUNNING,)),
    MigrationStatus.ROLLED_BACK: (StepStatus.ROLLED_BACK, tuple(StepStatus)),
}
"""Status that a person may declare -> what becomes of which steps."""


class Ledger(LedgerWriter):
    """The only truth about what was reviewed and applied. It lives in a schema of its own in the target itself, so that
    a swap of `public` does not carry it away. A context manager; not for several threads."""

    def install(self) -> None:
        """Create the ledger or bring it to this engine's layout. Any number of callers at once; a second time it writes
        nothing. Needs no superuser: CREATE on the database, or the schema owned by the role.

        :raises LedgerNewer: it has a newer layout. :raises EnvironmentFault: the role may not create the schema.
        """
        install.install(self)

    def check(self) -> None:
        """Before anything relies on it.

        :raises LedgerMissing, LedgerNewer, LedgerOlder: it cannot be used. :raises LedgerForeign: restored or cloned.
        :raises LedgerTampered: the end of the chain is not the recorded one, or the ledger's tables, triggers, grants
            and so on are not what the engine has made.
        """
        known = self.identity()
        if known.schema_version < SCHEMA_VERSION:
            raise LedgerOlder(
                f"the ledger has layout {known.schema_version}, this engine writes {SCHEMA_VERSION}; upgrade it with: "
                "migrator ledger upgrade"
            )
        found = identity.differences(known, identity.of_database(self.connection))
        if found:
            raise LedgerForeign(
                f"{'; '.join(found)}. If it shall go on with this history here: migrator ledger adopt --reason ...",
                differences=found,
            )
        self.require_shape()
        self.check_head()

    def adopt(self, *, run: RunContext, reason: str) -> None:
        """Bind a restored or cloned ledger to the database in which it lies now; an event says who decided so. Writes
        nothing when it belongs here already."""
        known, here = self.identity(), identity.of_database(self.connection)
        found = identity.differences(known, here)
        if not found:
            return
        with self.transaction() as connection:
            detail = {"reason": events.clean(reason), "differences": found, "engine_version": migrator.__version__}
            events.append(self, connection, "adopt", version=None, run=run, detail=detail)
            self.execute(connection, "rebind_identity", **vars(here))

    def repair(self, version: str, *, status: MigrationStatus | str, run: RunContext, reason: str) -> None:
        """A person says what is true in the database. Never silent: the event keeps actor, reason and the state before.

        :raises UsageError: no reason, an unknown version, or a status that nobody can declare.
        """
        if status not in REPAIRED:
            raise UsageError(f"cannot repair to {str(status)!r}; choose one of: {', '.join(map(str, REPAIRED))}")
        if not reason.strip():
            raise UsageError("a repair needs a reason: it is the only trace of what was looked at")
        to = MigrationStatus(status)
        with self.transaction() as connection:
            self.take_head(connection)
            self.fetch(connection, "lock_migration", version=version)
            row = self._row(connection, version)
            if row is None:
                raise UsageError(f"the ledger has no migration {version!r}; it has: {self._versions()}")
            if row.status is MigrationStatus.SUCCESS and to is MigrationStatus.FAILED:
                raise UsageError(
                    f"{version!r} is applied and verified; as failed it would keep every other migration out. if it was"
                    " undone by hand, say --status rolled_back; to undo it now, use migrator rollback"
                )
            detail: dict[str, object] = {
                states.STATUS: to.value,
                "before": row.status.value,
                "held_by": row.run_id,
                "reason": events.clean(reason),
            }
            step_status, affected = REPAIRED[to]
            steps = self.fetch(connection, "steps", version=version, step=None)
            detail[claims.DONE] = {
                one["step"]: one["attempts"]
                for one in steps
                if (step_status if one["status"] in affected else one["status"]) == StepStatus.SUCCESS
            }
            events.append(self, connection, "repair", version=version, run=run, detail=detail)
            self.execute(connection, "repaired", version=version, status=to.value, reason=events.clean(reason))
            self.execute(
                connection,
                "steps_repaired",
                version=version,
                to_status=step_status.value,
                from_status=[one.value for one in affected],
            )

    def settle(
        self, version: str, step: str, *, statement: int, took_effect: bool, run: RunContext, reason: str
    ) -> None:
        """A person looked whether an interrupted statement (counted from 1) took effect; the next run goes on.

        :raises UsageError: no reason, or this statement is not the one that was interrupted.
        """
        if not reason.strip():
            raise UsageError("settling a statement needs a reason: it is the only trace of what was looked at")
        with self.transaction() as connection:
            self.take_head(connection)
            self.fetch(connection, "lock_migration", version=version)
            rows = self.fetch(connection, "steps", version=version, step=step)
            cursor = rows[0]["cursor"] if rows else {}
            if cursor.get("state") != "intent" or cursor.get("statement") != statement - 1:
                at = f"; interrupted is statement {cursor['statement'] + 1}" if cursor.get("state") == "intent" else ""
                raise UsageError(f"statement {statement} of step {step!r} of {version!r} was not interrupted{at}")
            settled = {
                **cursor,
                "state": "done" if took_effect else "failed",
                STATEMENTS_DONE: statement if took_effect else statement - 1,
            }
            detail = {"step": step, "statement": statement, "took_effect": took_effect, "reason": events.clean(reason)}
            events.append(self, connection, "settle", version=version, run=run, detail=detail)
            self.execute(connection, "settle_step", version=version, step=step, cursor=events.as_json(settled))

    def ask(self, version: str, kind: str, *, run: RunContext, reason: str, **detail: int) -> None:
        """A person asks it to pause, to resume or to go at another pace; the worker looks every two seconds.

        :param kind: `controls.PAUSE`, `RESUME` or `TUNE`; the last with `controls.BATCH_MS` or `PAUSE_MS`.
        :raises UsageError: no reason, or a migration that is over, or that pauses already, or does not pause.
        """
        if not reason.strip():
            raise UsageError("it needs a reason: whoever finds it like that wants to know")
        with self.transaction() as connection:
            self.take_head(connection)
            row = self._row(connection, version)
            if row is None:
                raise UsageError(f"the ledger has no migration {version!r}; it has: {self._versions()}")
            if row.status not in (MigrationStatus.RUNNING, MigrationStatus.FAILED):
                raise UsageError(f"{version!r} is {row.status.value}: nothing of it is to go on")
            paused = self.control(version).paused
            if kind == controls.PAUSE and paused is not None:
                raise UsageError(f"{version!r} is paused already, {paused}")
            if kind == controls.RESUME and paused is None:
                raise UsageError(f"{version!r} is not paused")
            told = {**detail, "reason": events.clean(reason)}
            events.append(self, connection, kind, version=version, run=run, detail=told)

    def _versions(self) -> str:
        return ", ".join(row.version for row in self.migrations()) or "none"
