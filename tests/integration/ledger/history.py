"""A ledger with a real history to look at, and hands that go behind its back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

import psycopg

from migrator.cli import main
from migrator.database.session import Endpoint
from migrator.ledger.ledger import Ledger
from migrator.ledger.rows import LedgerEvent
from migrator.plan import Plan
from tests.factories import make_plan
from tests.integration.stages import apply_all, query, run_of, verify_it

EVENTS = "migrator.schema_migration_events"
REVIEWS = "migrator.schema_migration_reviews"


def history(endpoint: Endpoint) -> Plan:
    """One migration reviewed, applied and verified: install, review, begin, step_started, step_succeeded, verified."""
    plan = make_plan()
    with Ledger(endpoint) as ledger:
        ledger.install()
        review(ledger, plan)
    apply_all(plan, endpoint)
    verify_it(plan, endpoint)
    return plan


def review(ledger: Ledger, plan: Plan, reviewer: str = "ann") -> None:
    ledger.record_review(
        version=plan.version,
        plan_digest=plan.digest,
        evidence_digest="sha256:evidence",
        reviewer=reviewer,
        reviewer_email=f"{reviewer}@example.com",
        decision="approved",
        reason="looks right",
        expires_at=datetime(2030, 1, 1, tzinfo=timezone.utc),
        run=run_of(plan),
    )


@contextmanager
def behind_its_back(superuser: str, table: str = EVENTS) -> Iterator[psycopg.Connection]:
    """A superuser's connection, with the guard of `table` off meanwhile."""
    with psycopg.connect(superuser, autocommit=True) as conn:
        conn.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only".encode())
        yield conn
        conn.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only".encode())


def events_of(endpoint: Endpoint) -> tuple[LedgerEvent, ...]:
    with Ledger(endpoint) as ledger:
        return ledger.events()


def kinds_of(endpoint: Endpoint) -> list[str]:
    return [event.kind for event in events_of(endpoint)]


def problems_of(endpoint: Endpoint) -> tuple[str, ...]:
    with Ledger(endpoint) as ledger:
        return ledger.verify_chain()


def command(endpoint: Endpoint, capsys: Any, *arguments: str) -> tuple[int, str, str]:
    """`migrator ledger ARGUMENTS` on the database: exit code, standard output, standard error."""
    code = main(["ledger", *arguments, "--dsn", endpoint.conninfo])
    said = capsys.readouterr()
    return code, said.out, said.err


def verify_command(endpoint: Endpoint, capsys: Any, *arguments: str) -> tuple[int, dict[str, Any]]:
    code, out, _ = command(endpoint, capsys, "verify", "--format", "json", *arguments)
    return code, json.loads(out)


def head_of(endpoint: Endpoint) -> str:
    count, digest = query(endpoint, "SELECT head_count, head_hash FROM migrator.ledger_identity")[0]
    return f"{count}:{digest}"
