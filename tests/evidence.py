"""Evidence for tests: real schemas and digests, with only the uninteresting fields filled in."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg

from migrator.database import identities, schema, schema_diff
from migrator.database.schema import Schema
from migrator.database.session import Endpoint
from migrator.database.vocabulary import vocabulary
from migrator.evidence import (
    ROLES_CHANGED,
    TAKES,
    DryRunEvidence,
    EvidenceBundle,
    RehearsedState,
    RestoreEvidence,
    SnapshotRecord,
    StatementTrace,
    Verdict,
)
from migrator.gates import owners
from migrator.gates.rehearsed import Reached
from migrator.plan import Plan, Statement
from migrator.rehearsal import taking
from migrator.rehearsal.observer import Observer
from migrator.rehearsal.states import States, written_since
from migrator.steps.halts import halts_of
from tests.factories import NOW

EMPTY = Schema({})


def make_snapshot(before: Schema = EMPTY, **over: Any) -> SnapshotRecord:
    """A snapshot of a database with the schema `before`, taken ten minutes before NOW."""
    record = SnapshotRecord(
        id="snapshot-1",
        provider="pg_dump",
        location="file:///snapshots/snapshot-1",
        target="test",
        database="test",
        system_identifier="1",
        server_version_num=160000,
        lsn="0/1",
        taken_at=NOW - timedelta(minutes=10),
        finished_at=NOW - timedelta(minutes=9),
        seconds=60.0,
        size_bytes=1000,
        manifest_digest="sha256:0",
        tool="pg_dump",
        compression="none",
        schema_fingerprint=before.fingerprint,
        schema=before.to_dict(),
        tables=(),
        sequences={},
    )
    return replace(record, **over)


def make_bundle(plan: Plan, before: Schema = EMPTY, after: Schema = EMPTY, **over: Any) -> EvidenceBundle:
    """What a good dry run of `plan` leaves, which took the schema from `before` to `after`. `over` replaces fields of
    the dry run, and `snapshot` the snapshot."""
    snapshot = over.pop("snapshot", make_snapshot(before, target=plan.target))
    restore = RestoreEvidence(
        snapshot_id=snapshot.id,
        copy_database="copy",
        verdict=Verdict.PASSED,
        checks=(),
        restore_seconds=1.0,
        proof_seconds=1.0,
        tables_compared=0,
        rows_compared=0,
        finished_at=NOW,
    )
    traces = tuple(
        StatementTrace(
            step=step.name,
            statement=statement.index,
            kind=statement.kind,
            sql=statement.sql,
            line=statement.line,
            seconds=0.5,
            rows=0,
            wal_bytes=1000,
            locks=(),
            rewrites=(),
            scans=(),
        )
        for step in plan.steps
        for statement in step.statements
    )
    dry_run = DryRunEvidence(
        plan_digest=plan.digest,
        snapshot_id=snapshot.id,
        verdict=Verdict.PASSED,
        checks=(),
        statements=traces,
        rollback_statements=(),
        schema_diff=schema_diff.diff(before.portable, after.portable).lines(),
        fingerprint_before=before.portable.fingerprint,
        fingerprint_after=after.portable.fingerprint,
        seconds=0.5 * len(traces),
        rollback_seconds=0.5,
        wal_bytes=1000 * len(traces),
        role="migrator",
        finished_at=NOW,
        irreversible=not plan.rollback_steps,
    )
    over.setdefault("states", _states(plan, before, after))
    noted = {ROLES_CHANGED: owners.rehearsed(before, after), TAKES: takes_nothing(plan)}
    over["extra"] = {**noted, **over.get("extra", {})}
    return EvidenceBundle(snapshot=snapshot, restore=restore, dry_run=replace(dry_run, **over))


def _states(plan: Plan, before: Schema, after: Schema) -> tuple[RehearsedState, ...]:
    """The last alone."""
    if not plan.steps:
        return ()
    reached = Reached(plan.steps[-1].name, len(plan.steps[-1].statements))
    states = States(lambda: after, lambda: reached, before=before, start=before, known=vocabulary(plan, before))
    states.went_on()
    return states.taken()


def takes_nothing(plan: Plan) -> dict[str, list[str]]:
    """A rollback that takes no rows, wherever the migration stopped."""
    return {"": [], **{halt.key: [] for halt in halts_of(plan)}}


def _takes(plan: Plan, twin: Endpoint, back: Sequence[Statement]) -> list[str]:
    """What the rollback takes; it is not done."""
    with (
        Observer(twin, version=plan.version) as observer,
        psycopg.connect(twin.conninfo, autocommit=True) as conn,
        suppress(psycopg.Error),  # then nobody has rehearsed it: those tests want to see it fail later
        conn.transaction(force_rollback=True),
    ):
        there, schemas = identities.read(conn), schema.read(conn)
        for statement in back:
            observer.before("rollback", statement, conn)
            rows = conn.execute(statement.sql.encode()).rowcount
            observer.after("rollback", statement, conn, rows=rows)
        gone = taking.schemas_gone(schemas, schema.read(conn))
        return taking.noted(there, identities.read(conn), observer.taken, observer.overwritten, observer.moved, gone)
    return []


def read_schema(endpoint: Endpoint) -> Schema:
    with psycopg.connect(endpoint.conninfo, autocommit=True) as conn:
        return schema.read(conn)


def rehearse(plan: Plan, source: Endpoint, twin: Endpoint, **over: Any) -> EvidenceBundle:
    """Run the plan's SQL on `twin`, a database with the schema of `source`, and tell what came of it."""
    before = read_schema(source)
    assert read_schema(twin).fingerprint == before.fingerprint, "the twin is no twin"
    reached = Reached("", 0)
    with psycopg.connect(twin.conninfo, autocommit=True) as conn, written_since(twin, plan) as written:
        states = States(
            lambda: read_schema(twin),
            lambda: reached,
            before=before,
            start=before,
            known=vocabulary(plan, before),
            written=written,
        )
        for step in plan.steps:
            with conn.transaction() if step.transactional else nullcontext():
                for done, statement in enumerate(step.statements, start=1):
                    conn.execute(statement.sql.encode())
                    reached = Reached(step.name, done)
                    if not step.transactional and done < len(step.statements):
                        states.went_on()
            states.went_on()
    over.setdefault("states", states.taken())
    after = read_schema(twin)
    back = [statement for step in plan.rollback_steps for statement in step.statements]
    takes = _takes(plan, twin, back)
    if not all(step.transactional for step in plan.rollback_steps):
        with psycopg.connect(twin.conninfo, autocommit=True) as conn:
            for statement in back:
                conn.execute(statement.sql.encode())
                states.went_on()
        over.setdefault("undoing", states.taken())
    noted = {ROLES_CHANGED: owners.rehearsed(before, after), TAKES: {**takes_nothing(plan), "": takes}}
    over["extra"] = {**noted, **over.get("extra", {})}
    return make_bundle(plan, before, after, **over)
