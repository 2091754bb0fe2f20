"""The metadata's `verify` may read, and nothing else: judged before anything is sent to a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.catalogue.catalogue import load_one
from migrator.errors import AnalysisRefused
from migrator.plan import Plan, Severity
from migrator.reports.review_card import card
from migrator.stages.analyze import analyze, refuse_errors
from tests.unit.trees import metadata

SMUGGLED = "SELECT true; COMMIT; UPDATE public.users SET name = 'after'; SELECT true"


def planned(root: Path, assertion: str) -> Plan:
    folder = root / "2026" / "001_one"
    folder.mkdir(parents=True)
    (folder / "001_one.sql").write_text("CREATE TABLE t (id bigint PRIMARY KEY);\n")
    text = metadata("001_one", verify=[assertion], rollback_available=False)
    (folder / "migration-metadata.yaml").write_text(text)
    return analyze(load_one(root, "001_one"))


@pytest.mark.parametrize(
    "assertion, wrong",
    [
        (SMUGGLED, "must be one query, and is 4 statements"),
        ("UPDATE users SET name = 'x' RETURNING true", "and is UPDATE"),
        ("WITH gone AS (DELETE FROM users RETURNING 1) SELECT count(*) = 1 FROM gone", "does not (Delete)"),
        ("SELECT true FROM users FOR UPDATE", "does not (LockingClause)"),
        ("SELECT true INTO t2", "does not (IntoClause)"),
        ("SELECT pg_terminate_backend(1)", "calls pg_terminate_backend()"),
        ("SELECT pg_catalog.setval('s', 5) = 5", "calls setval()"),
        ("CALL p()", "and is CALL"),
        ("EXPLAIN ANALYZE SELECT true", "and is EXPLAIN"),
        ("SELECT id = $1 FROM users", "nobody gives it a value"),
        ("SELECT tru", ""),
        ("SELECT (", "syntax error"),
        ("", "and is 0 statements"),
    ],
)
def test_an_assertion_that_is_no_query_is_refused(assertion: str, wrong: str, tmp_path: Path) -> None:
    plan = planned(tmp_path, assertion or "-- nothing")
    found = [one for one in plan.findings if one.file == "migration-metadata.yaml#verify[0]"]
    errors = [one.message for one in found if one.severity is Severity.ERROR]
    if not wrong:
        assert errors == [], "a name that may not exist is asked of a server"
        return
    assert any(wrong in message for message in errors), errors
    with pytest.raises(AnalysisRefused):
        refuse_errors(plan)


@pytest.mark.parametrize(
    "assertion",
    ["SELECT count(*) = 0 FROM t", "VALUES (true)", "SHOW jit", "TABLE t", "SELECT pg_sleep(1) IS NOT NULL"],
)
def test_queries_are_assertions(assertion: str, tmp_path: Path) -> None:
    plan = planned(tmp_path, assertion)
    assert [one for one in plan.findings if one.file == "migration-metadata.yaml#verify[0]"] == []


def test_the_reviewer_sees_the_text(tmp_path: Path) -> None:
    plan = planned(tmp_path, "SELECT count(*) = 0 FROM t")
    assert "## Assertions" in card(plan, None)
    assert "SELECT count(*) = 0 FROM t" in card(plan, None)
