"""A restored copy as restore_test leaves it, and its dry run: for tests that need no snapshot."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from migrator.backups import copies as restored
from migrator.backups.copies import Copy
from migrator.backups.copy_role import CopyRole
from migrator.backups.trial import seal
from migrator.database import session
from migrator.database.session import Endpoint
from migrator.errors import DryRunFailed
from migrator.evidence import Check, DryRunEvidence, Verdict
from migrator.plan import Plan
from migrator.run import RunContext
from migrator.stages import dry_run
from migrator.steps.context import StepHandle
from tests.factories_evidence import record_of, restore_of

COPY = "copy_of_shop"
SHOP = """
CREATE TABLE tenants (id bigint PRIMARY KEY, name text NOT NULL);
CREATE TABLE messages (id bigint PRIMARY KEY, tenant_id bigint, body text, stars int NOT NULL DEFAULT 0);
CREATE INDEX messages_tenant ON messages (tenant_id);
INSERT INTO tenants SELECT g, 'tenant ' || g FROM generate_series(1, 10) AS g;
INSERT INTO messages SELECT g, g % 10 + 1, 'body ' || g, g % 5 FROM generate_series(1, 500) AS g;
"""
RUN = RunContext(run_id="run-1", version="001_test", target="test", actor="tester")


def make_copy(copies: Endpoint, script: str = SHOP) -> Endpoint:
    role = CopyRole(COPY, copies)
    with session.connect(copies, purpose="restore") as conn:
        made = restored.create(conn, role, run=RUN)
        with psycopg.connect(role.on(COPY).conninfo) as as_role:
            as_role.execute(script.encode())
        seal(conn, role, made)
    return Endpoint(conninfo=make_conninfo(copies.conninfo, dbname=COPY, options=f"-c role={COPY}"), name="copies")


def copy_of(copies: Endpoint) -> Copy:
    with session.connect(copies, purpose="restore") as conn:
        return restored.own(conn, COPY, RUN)


def logged_in(copies: Endpoint) -> Endpoint:
    """The copy, for sessions that connect as its role: signals and statistics tell them from those that SET ROLE."""
    role = CopyRole(COPY, copies)
    with session.connect(copies, purpose="restore") as conn:
        role.renew(conn)
        conn.execute(sql.SQL("GRANT CONNECT ON DATABASE {0} TO {0}").format(sql.Identifier(COPY)))
    return role.on(COPY)


def run_of(plan: Plan, run_id: str = "run-1") -> RunContext:
    return RunContext(run_id=run_id, version=plan.version, target=plan.target, actor="tester")


def rehearse(plan: Plan, copies: Endpoint, copy: Endpoint, handle: StepHandle | None = None) -> DryRunEvidence:
    record = record_of(copy)
    return dry_run.run(plan, record, restore_of(record, COPY), copies=copies, run=run_of(plan), handle=handle)


def failed(plan: Plan, copies: Endpoint, copy: Endpoint) -> DryRunFailed:
    with pytest.raises(DryRunFailed) as caught:
        rehearse(plan, copies, copy)
    assert caught.value.evidence.verdict is Verdict.FAILED
    return caught.value


def check_of(evidence: DryRunEvidence, name: str) -> Check:
    return next(check for check in evidence.checks if check.name == name)
