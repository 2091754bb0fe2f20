"""What is asked of a clone during a rehearsal: its schema, its rows, its positions, and the server around it."""

from __future__ import annotations

import functools
from collections.abc import Collection
from dataclasses import dataclass, field

from migrator.backups.trial import Trial
from migrator.database import session
from migrator.database.schema import Schema
from migrator.database.schema_diff import SchemaDiff
from migrator.database.vocabulary import Vocabulary, vocabulary
from migrator.evidence import Check, StatementTrace
from migrator.gates.assertions import assertion, step_checks
from migrator.rehearsal import ahead, blobs, built, census, positions, rows
from migrator.rehearsal import checks as dry_run_checks
from migrator.rehearsal.observer import Observer
from migrator.rehearsal.original import Original
from migrator.rehearsal.positions import NONE_TOUCHED, Touched
from migrator.rehearsal.rows import NOTHING_APPLIED, Applied
from migrator.rehearsal.sheet import Sheet
from migrator.rehearsal.taking import noted, schemas_gone


@dataclass
class Judging(Sheet):
    original: Original
    trial: Trial
    before: Schema = field(default_factory=lambda: Schema({}), kw_only=True)
    """Of the clone, when nothing was applied yet."""
    applied: Applied = field(default=NOTHING_APPLIED, kw_only=True)
    sequences: Touched = field(default=NONE_TOUCHED, kw_only=True)

    def look_around(self) -> census.Census:
        with session.connect(self.trial.copies, purpose="observe", version=self.plan.version) as conn:
            return census.take(conn, (*self.trial.copy.databases, *self.trial.copy.stand_ins))

    def judge_server(self, before: census.Census) -> None:
        """Whatever became of the rest: has it reached beyond the copy?"""
        self.timed_check(
            lambda: dry_run_checks.server_unchanged(
                census.differences(before, self.look_around()), password_changed=self.trial.password_changed()
            )
        )

    def traces(self, observer: Observer) -> tuple[StatementTrace, ...]:
        return tuple(map(self.known.trace, observer.traces))

    @functools.cached_property
    def known(self) -> Vocabulary:
        return vocabulary(self.plan, self.original.schema)

    def schema_equal(self, name: str, wanted: Schema, found: Schema) -> Check:
        return dry_run_checks.schema_equal(name, wanted, found, self.known)

    def judge_changes(self, changes: SchemaDiff) -> None:
        if self.plan.expected_changes is not None:
            self.checks.append(dry_run_checks.expected(self.plan.expected_changes, changes, self.known))

    def judge_writes(self, traces: tuple[StatementTrace, ...]) -> None:
        """Of a plan made with the catalog's facts only: without them nobody can know the triggers of a table."""
        if self.plan.server_version_num is not None and traces:
            self.checks.append(dry_run_checks.writes_predicted(traces))

    def judge_assertions(self) -> None:
        with session.connect(self.trial.texts, purpose="verify", version=self.plan.version) as conn:
            self.checks += step_checks(self.plan, conn)
            found = [assertion(conn, i, q, self.plan) for i, q in enumerate(self.plan.assertions, start=1)]
        if found:
            self.checks.append(dry_run_checks.together("assertions", found))

    def rows_equal(self, restored: Schema, written: Collection[str], *observers: Observer) -> Check:
        """The rows of every table that was written and all large objects must be those of the snapshot again, no
        sequence behind, and no index of other code."""
        found = rows.Comparison(self.trial, self.plan.version, self.applied, self.before, restored, self.known).check(
            None if self.plan.ahead else self.original.tables, written
        )
        found = positions.after_rollback(self.trial, self.plan.version, found, self.applied.dropped)
        found = blobs.after_rollback(self.trial, self.plan.version, found)
        return built.after_rollback(self.trial, self.plan.version, found, [one.built for one in observers])

    def takes_of(self, tracer: Observer, there: Schema, restored: Schema) -> list[str]:
        left = rows.identities_of(self.trial.watching, self.plan.version)
        gone = schemas_gone(there, restored)
        return noted(self.applied.after, left, tracer.taken, tracer.overwritten, tracer.moved, gone)

    def judge_sequences(self, written: Collection[str]) -> None:
        self.sequences = positions.after_apply(self.trial, self.plan.version, written)
        if self.sequences.check is not None:
            self.checks.append(self.sequences.check)

    def schema(self) -> Schema:
        return ahead.schema_of(self.trial, self.original.schema)
