"""Writing the ledger while a migration runs. Each call is one short transaction with its event in it.

The order of locks is the same everywhere: the head of the chain, then the migration's row. So writers queue and never
deadlock, and a writer never waits for DDL unless it is its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import nullcontext
from datetime import datetime
from typing import Any

from migrator.database.session import Connection
from migrator.errors import MigratorError, NeedsHuman
from migrator.ledger import beginning, events, resume, review_backing, states, work
from migrator.ledger.objects import ObjectRegistry
from migrator.ledger.reader import migration_of, step_of
from migrator.ledger.rows import WAITING, LedgerMigration, LedgerStep, MigrationStatus, StepStatus
from migrator.plan import GATE, Plan
from migrator.run import RunContext


class LedgerWriter(ObjectRegistry):
    """The verbs of apply, verify, rollback and review."""

    def begin(
        self, plan: Plan, *, run: RunContext, beside: Collection[str] = (), evidence_digest: str | None = None
    ) -> None:
        """Take the database for this version and run. Writes nothing when the run holds it already with this plan, or
        when the version is applied.

        :param beside: other versions that are not finished, and beside which it may begin.
        :param evidence_digest: what it is begun by; None: there was no dry run.
        :raises HeldByOther, ContentChanged, NeedsHuman: see `resume.decide`.
        """
        with self.transaction() as connection:
            self.take_head(connection)
            row = self._row(connection, plan.version)
            old_steps = self.fetch(connection, "steps", version=plan.version, step=None)
            held = self.fetch(connection, "migrations", version=None, status=MigrationStatus.RUNNING.value)
            decision = resume.decide(
                plan,
                run_id=run.run_id,
                running=[migration_of(one) for one in held],
                row=row,
                steps=tuple(step_of(step) for step in old_steps),
                beside=beside,
                passed=self.passed_gates(plan.version),
            )
            if decision.write:
                beginning.write(self, connection, plan, decision, run, evidence_digest)

    def step_started(
        self, version: str, step: str, *, run: RunContext, backend: tuple[int, datetime] | None
    ) -> LedgerStep:
        """One more attempt, executed by `backend`. A step that is done already comes back unchanged.

        :raises HeldByOther: this run does not hold the migration (any more).
        """
        with self.transaction() as connection:
            self.take_head(connection)
            self._hold(connection, version, run)
            pid, start = backend or (None, None)
            started = work.write(
                self,
                connection,
                "step_started",
                version=version,
                step=step,
                begins=True,
                run_id=run.run_id,
                backend_pid=pid,
                backend_start=start,
            )
            rows = self.fetch(connection, "steps", version=version, step=step)
            if not rows:
                raise NeedsHuman(f"the ledger has no step {step!r} of {version}: it was not in the plan at begin")
            if started:
                detail = {"step": step, "attempt": rows[0]["attempts"], "backend_pid": pid}
                self._event(connection, "step_started", version, run, detail)
            self.watch(version, connection)
            return step_of(rows[0])

    def rest(self, version: str, *, run: RunContext, kind: str, detail: Mapping[str, Any], rests: bool = True) -> None:
        """From here on its schema stays as it is, until `goes_on`; others may begin beside it.

        Nothing where this run does not hold it, or not yet.

        :param rests: False: it only says so, because nobody could begin beside it.
        """
        with self.transaction() as connection:
            self.take_head(connection)
            if not self.fetch(connection, "hold_migration", version=version, run_id=run.run_id):
                return
            if rests:
                self.execute(connection, "set_rests", version=version, run_id=run.run_id, rests=True)
            self._event(connection, kind, version, run, detail)

    def goes_on(self, version: str, *, run: RunContext) -> None:
        """Where this run holds it. :raises StatementFailed: another one is at work; whoever calls has asked that."""
        with self.transaction() as connection:
            self.take_head(connection)
            self.execute(connection, "set_rests", version=version, run_id=run.run_id, rests=False)

    def step_progress(
        self,
        version: str,
        step: str,
        *,
        cursor: Mapping[str, Any],
        rows_done: int | None = None,
        rows_total: int | None = None,
        on: Connection | None = None,
    ) -> None:
        """How far a running step is. A non-transactional `sql` step keeps `rows.STATEMENTS_DONE` in its cursor.

        With `on` it is written in that connection's open transaction, which is refused when the step does not run any
        more (somebody fenced us): then its DDL must not commit either.

        :raises NeedsHuman: as said. :raises LedgerTampered: see `require_untouched`.
        """
        parameters: dict[str, Any] = {
            "cursor": events.as_json(cursor),
            "rows_done": rows_done,
            "rows_total": rows_total,
        }
        if on is not None:
            self.require_untouched(on=on)
            if not work.write(self, on, "step_progress", version=version, step=step, within=True, **parameters):
                raise NeedsHuman(f"step {step!r} of {version} is not running any more: nothing is committed")
            return
        with self.transaction() as connection:
            work.write(self, connection, "step_progress", version=version, step=step, **parameters)

    def step_advanced(
        self,
        version: str,
        step: str,
        *,
        cursor: Mapping[str, Any],
        rows_done: int,
        rows_total: int | None = None,
        on: Connection,
        light: bool,
    ) -> None:
        """A batch of a step, in its open transaction: refused when another session executes the step by now.

        :param light: see `is_light`.
        :raises NeedsHuman: as said. :raises LedgerTampered: see `require_untouched`.
        """
        if light:
            self.require_unlocked_lightly(on)
        else:
            self.require_untouched(on=on)
        values = {"cursor": events.as_json(cursor), "rows_done": rows_done, "rows_total": rows_total}
        if not self.execute(on, "step_advanced", version=version, step=step, **values):
            raise NeedsHuman(f"step {step!r} of {version} is not this session's any more: nothing is committed")

    def step_waits(self, version: str, step: str, *, waiting: Mapping[str, Any] | None, pid: int) -> None:
        """Why the session `pid` begins nothing more of the step now; None: it goes on. Leaves no event."""
        with self.transaction() as connection:
            document = events.as_json({} if waiting is None else {WAITING: waiting})
            self.execute(connection, "step_waits", version=version, step=step, waiting=document, pid=pid)

    def step_succeeded(
        self,
        version: str,
        step: str,
        *,
        run: RunContext,
        on: Connection | None = None,
        last: bool,
        rows: int | None = None,
    ) -> None:
        """The step took effect. With `on`, the rows are written in that connection's open transaction and commit (or
        vanish) with the DDL; the event follows with `step_committed`, or with the next change of status.

        The DDL's transaction is refused when the run does not hold the migration any more, so a worker that everybody
        thinks dead cannot commit behind the back of a rollback.

        :raises HeldByOther: as said. :raises NeedsHuman: the step was not started.
        :raises LedgerTampered: see `require_untouched`.
        """
        if on is not None:
            self.require_untouched(on=on)
            self._succeed(on, version, step, run, last=last, rows=rows, within=True)
            return
        with self.transaction() as connection:
            self.take_head(connection)
            self._succeed(connection, version, step, run, last=last, rows=rows)
            self._tell_success(connection, version, step, run, passed=True)

    def step_committed(self, version: str, step: str, *, run: RunContext) -> bool:
        """Did the step's transaction commit? The answer to an unknown COMMIT. Adds the event if it did."""
        with self.transaction() as connection:
            self.take_head(connection)
            return self._tell_success(connection, version, step, run)

    def tampered(self, version: str, problems: tuple[str, ...]) -> None:
        with self.transaction() as connection:
            self.take_head(connection)
            run = RunContext(run_id="guard", version=version, target=self.endpoint.name, actor="engine")
            self._event(connection, events.TAMPERED, version, run, {"problems": list(problems)})

    def step_failed(self, version: str, step: str, *, run: RunContext, error: MigratorError) -> None:
        """Kept although the DDL was rolled back, with the SQLSTATE and the place of the statement."""
        sqlstate = error.fields.get("sqlstate")
        text = events.clean(str(error))
        with self.transaction() as connection:
            self.take_head(connection)
            if work.write(self, connection, "step_failed", version=version, step=step, sqlstate=sqlstate, error=text):
                place = {name: error.fields.get(name) for name in ("file", "line", "column", "statement")}
                detail = {"step": step, "error": text, "error_class": type(error).__name__, "sqlstate": sqlstate}
                self._event(connection, "step_failed", version, run, {**detail, **place})

    def step_rolled_back(self, version: str, step: str, *, run: RunContext) -> None:
        """This step's effect is undone."""
        with self.transaction() as connection:
            self._event(connection, "step_rolled_back", version, run, {"step": step})
            self.execute(connection, "step_rolled_back", version=version, step=step)

    def mark_applied(self, version: str, *, run: RunContext, duration_ms: int | None = None) -> None:
        """Every step is done; not verified yet, so the status stays running. A second time it writes nothing."""
        with self.transaction() as connection:
            self.take_head(connection)
            self._hold(connection, version, run)
            row = self._row(connection, version)
            if row is not None and row.applied_at is None:
                self._event(connection, "applied", version, run, {states.STATUS: MigrationStatus.RUNNING.value})
                self.execute(connection, "applied", version=version, duration_ms=duration_ms)

    def mark_verified(
        self,
        version: str,
        *,
        run: RunContext,
        duration_ms: int | None = None,
        schemas: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        """Only now the migration is a success. A second time it writes nothing.

        :param schemas: by `states.SCHEMAS` and `states.EXACT_SCHEMAS`, as far as known.
        """
        told = {key: list(both) for key, both in (schemas or {}).items()}
        self._mark(MigrationStatus.SUCCESS, "verified", version, run, {"duration_ms": duration_ms, **told})

    def mark_failed(self, version: str, *, run: RunContext, error_message: str) -> None:
        """Releases the database; what took effect stays recorded in the steps."""
        self._mark(MigrationStatus.FAILED, "failed", version, run, {"error_message": events.clean(error_message)})

    def mark_rolled_back(self, version: str, *, run: RunContext, reason: str, on: Connection | None = None) -> None:
        """Nothing of the migration is left; all its steps count as undone. With `on` this commits, event and all, with
        the rollback script in that connection's open transaction; call it last there.

        :raises LedgerTampered: see `require_untouched`.
        """
        self.require_untouched(on=on)
        detail = {"error_message": events.clean(reason)}
        self._mark(MigrationStatus.ROLLED_BACK, "rolled_back", version, run, detail, on=on)

    def mark_rollback_failed(self, version: str, *, run: RunContext, error_message: str) -> None:
        """Half undone: every later begin is refused until a person repairs."""
        detail = {"error_message": events.clean(error_message)}
        self._mark(MigrationStatus.ROLLBACK_FAILED, "rollback_failed", version, run, detail)

    def record_review(
        self,
        *,
        version: str,
        plan_digest: str,
        evidence_digest: str,
        reviewer: str,
        reviewer_email: str,
        decision: str,
        reason: str,
        expires_at: datetime | None,
        run: RunContext,
    ) -> None:
        """A person's answer, bound to what was shown. Append-only: a change of mind is another row.

        :raises LedgerTampered: something lies in wait for it.
        """
        fields = {
            "plan_digest": plan_digest,
            "evidence_digest": evidence_digest,
            "reviewer": events.clean(reviewer),
            "reviewer_email": events.clean(reviewer_email),
            "decision": decision,
            "reason": events.clean(reason),
            "expires_at": expires_at,
            "version": version,
            "run_id": events.clean(run.run_id),
        }
        self.require_shape()
        with self.transaction() as connection:
            event, at = self._event(connection, "review", version, run, review_backing.detail_of(fields), sealed=True)
            self.execute(connection, "insert_review", decided_at=at, event_id=event, **fields)

    def append_event(
        self, kind: str, *, version: str | None, run: RunContext, detail: Mapping[str, Any], sealed: bool = False
    ) -> None:
        """Something that happened and changes no state: an override, a terminated session, a refusal.

        :param sealed: a person's word, by which something may pass.
        """
        told = {key: value for key, value in detail.items() if key != states.STATUS}
        with self.transaction() as connection:
            self._event(connection, kind, version, run, told, sealed=sealed)

    def _mark(
        self,
        to: MigrationStatus,
        kind: str,
        version: str,
        run: RunContext,
        detail: dict[str, Any],
        *,
        on: Connection | None = None,
    ) -> None:
        with self.transaction() if on is None else nullcontext(on) as connection:
            self.take_head(connection)
            self.fetch(connection, "lock_migration", version=version)
            row = self._row(connection, version)
            refusal = states.refusal(row, to, version=version, run_id=run.run_id)
            if refusal is not None:
                raise refusal
            if row is not None and row.status is to and to in (MigrationStatus.SUCCESS, MigrationStatus.ROLLED_BACK):
                return
            for step in self.fetch(connection, "untold_successes", version=version):
                self._tell_success(connection, version, step["step"], run)
            self._event(connection, kind, version, run, {states.STATUS: to.value, **detail})
            self.execute(connection, kind, version=version, **detail)
            if to is MigrationStatus.ROLLED_BACK:
                self.execute(connection, "step_rolled_back", version=version, step=None)

    def _succeed(
        self,
        connection: Connection,
        version: str,
        step: str,
        run: RunContext,
        *,
        last: bool,
        rows: int | None,
        within: bool = False,
    ) -> None:
        self._hold(connection, version, run)
        if not work.write(self, connection, "step_succeeded", version=version, step=step, within=within, rows=rows):
            raise NeedsHuman(f"step {step!r} of {version} is not running: it was not started, or is done already")
        if last:
            self.execute(connection, "applied", version=version, duration_ms=None)

    def _tell_success(
        self, connection: Connection, version: str, step: str, run: RunContext, *, passed: bool = False
    ) -> bool:
        """One event per attempt that succeeded; whether there is one.

        :param passed: it succeeds in this very transaction. That of a gate always does: whoever has made its row say so
            without the event is not helped to it.
        """
        rows = self.fetch(connection, "steps", version=version, step=step)
        if not rows or rows[0]["status"] != StepStatus.SUCCESS.value:
            return False
        untold = self.fetch(connection, "untold_successes", version=version)
        if step in {row["step"] for row in untold}:
            detail = {"step": step, "attempt": rows[0]["attempts"], "rows": rows[0]["rows_done"]}
            if rows[0]["kind"] != GATE:
                self._event(connection, "step_succeeded", version, run, detail)
            elif passed:
                row = self._row(connection, version)
                detail["plan_digest"] = row.plan_digest if row is not None else None
                self._event(connection, "step_succeeded", version, run, detail, sealed=True)
            else:
                return False
        return True

    def _hold(self, connection: Connection, version: str, run: RunContext) -> None:
        """Lock the row and prove that this run holds the migration."""
        if not self.fetch(connection, "hold_migration", version=version, run_id=run.run_id):
            raise states.not_held(self._row(connection, version), version=version, run_id=run.run_id)

    def _row(self, connection: Connection, version: str) -> LedgerMigration | None:
        rows = self.fetch(connection, "migrations", version=version, status=None)
        return migration_of(rows[0]) if rows else None

    def _event(
        self,
        connection: Connection,
        kind: str,
        version: str | None,
        run: RunContext,
        detail: Mapping[str, Any],
        *,
        sealed: bool = False,
    ) -> tuple[int, datetime]:
        return events.append(self, connection, kind, version=version, run=run, detail=detail, sealed=sealed)
