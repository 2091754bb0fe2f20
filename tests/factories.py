"""Small makers of plans for tests: real analysis of real SQL, with only the uninteresting fields filled in."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from migrator.analysis.inspection import inspect
from migrator.analysis.known import Known, Sources
from migrator.analysis.plan_steps import rollback_steps, steps_of_file, to_statement
from migrator.catalogue import content
from migrator.catalogue.metadata import Metadata
from migrator.facts.facts import CatalogFacts
from migrator.parsing.statements import ParsedStatement, parse
from migrator.plan import OnFailure, Plan, Risk, Statement

NOW = datetime(2025, 1, 15, 2, 0, tzinfo=timezone.utc)


def plan_from_sql(
    sql: str,
    rollback_sql: str | None = None,
    *,
    facts: CatalogFacts | None = None,
    transaction: bool | None = None,
    **over: Any,
) -> Plan:
    """The plan of one SQL text, analysed as a migration's file would be. `over` replaces any field of the Plan."""
    version = over.get("version", "001_test")
    files = {f"{version}.sql": sql.encode()}
    if rollback_sql is not None:
        files[f"{version}_rollback.sql"] = rollback_sql.encode()
    parsed = parse(sql, file=f"{version}.sql")
    rollback = None if rollback_sql is None else parse(rollback_sql, file=f"{version}_rollback.sql")
    inspection = inspect(Sources((parsed,), rollback=rollback, transaction=transaction), Known(facts=facts))
    plan = Plan(
        version=version,
        target="test",
        environment="development",
        description="a test",
        author="author@example.com",
        type=inspection.classification.type,
        risk=inspection.classification.risk,
        declared_risk=inspection.classification.risk,
        requires_downtime=inspection.classification.requires_downtime,
        on_failure=OnFailure.ROLLBACK,
        dependencies=(),
        steps=steps_of_file(parsed, transaction=transaction, effects=inspection.effects),
        rollback_steps=rollback_steps(rollback, inspection.effects),
        assertions=(),
        expected_changes=None,
        lock_timeout_ms=2000,
        statement_timeout_ms=0,
        findings=inspection.findings,
        estimated_seconds=inspection.estimated_seconds,
        server_version_num=facts.server_version_num if facts else None,
        content_digest=content.content_digest(
            sql={parsed.file: parsed}, rollback=rollback, expected_changes=None, metadata=None
        ),
        checksums=content.checksums(files),
        files=content.texts(files),
        sql_file=f"2025/{version}.sql",
        engine_version="0.0.0",
        created_at=NOW,
        reasons=inspection.classification.reasons,
        assumptions=inspection.assumptions,
    )
    return replace(plan, **over)


def make_plan(**over: Any) -> Plan:
    """A small plan: one table, with its rollback."""
    return plan_from_sql("CREATE TABLE thing (id bigint PRIMARY KEY, name text);", "DROP TABLE thing;", **over)


def make_metadata(**over: Any) -> Metadata:
    """Metadata with only what is required."""
    fields: dict[str, Any] = {
        "version": "001_test",
        "description": "a test",
        "author": "author@example.com",
        "risk_level": Risk.LOW,
    }
    return Metadata(**{**fields, **over})


def to_steps(sql: str, file: str, *, start: int = 0) -> tuple[tuple[ParsedStatement, ...], tuple[Statement, ...]]:
    """The statements of a text as a step kind gets them; `start` statements of other steps come before."""
    parsed = parse(sql, file=file)
    made = [to_statement(item, file=file, index=start + item.index, effects=None) for item in parsed.statements]
    return tuple(parsed.statements), tuple(made)
