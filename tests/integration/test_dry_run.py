"""The dry run on a real server: every verdict, and what is left behind."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from migrator import dry_run
from migrator.errors import DryRunFailed, Refused
from migrator.evidence import DryRunEvidence, Verdict
from migrator.plan import Plan
from migrator.run import RunContext
from migrator.session import Endpoint
from tests.factories import plan_from_sql
from tests.factories_evidence import record_of, restore_of

SHOP = """
CREATE TABLE tenants (id bigint PRIMARY KEY, name text NOT NULL);
CREATE TABLE messages (id bigint PRIMARY KEY, tenant_id bigint, body text, stars int NOT NULL DEFAULT 0);
CREATE INDEX messages_tenant ON messages (tenant_id);
INSERT INTO tenants SELECT g, 'tenant ' || g FROM generate_series(1, 10) AS g;
INSERT INTO messages SELECT g, g % 10 + 1, 'body ' || g, g % 5 FROM generate_series(1, 500) AS g;
"""


def make_copy(copies: Endpoint, script: str = SHOP, name: str = "copy_of_shop") -> Endpoint:
    """A database that the copies' role owns, as a restore leaves it."""
    with psycopg.connect(copies.conninfo, autocommit=True) as conn:
        conn.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))
    endpoint = copies.with_database(name)
    with psycopg.connect(endpoint.conninfo) as conn:
        conn.execute(script.encode())
    return endpoint


def rehearse(plan: Plan, copies: Endpoint, script: str = SHOP) -> DryRunEvidence:
    copy = make_copy(copies, script)
    record = record_of(copy)
    run = RunContext(run_id="run-1", version=plan.version, target=plan.target, actor="tester")
    return dry_run.run(plan, record, restore_of(record, "copy_of_shop"), copies=copies, run=run)


def verdicts(evidence: DryRunEvidence) -> dict[str, Verdict]:
    return {check.name: check.verdict for check in evidence.checks}


def test_everything_is_proved(copies: Endpoint) -> None:
    plan = plan_from_sql(
        "CREATE TABLE analytics (id bigint PRIMARY KEY, message_id bigint REFERENCES messages);"
        "CREATE INDEX analytics_message ON analytics (message_id);",
        "DROP TABLE analytics;",
        assertions=("SELECT count(*) = 0 FROM analytics",),
        expected_changes={"added": {"table": ["public.analytics"]}},
    )
    evidence = rehearse(plan, copies)
    assert verdicts(evidence) == {
        "apply": "passed",
        "expected_changes": "passed",
        "assertions": "passed",
        "rollback": "passed",
        "rollback_schema_equal": "passed",
        "rollback_data": "passed",
        "reapply": "passed",
        "reapply_schema_equal": "passed",
    }
    assert evidence.verdict is Verdict.PASSED
    assert "+ table public.analytics" in evidence.schema_diff
