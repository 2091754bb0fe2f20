"""Verify on a real server: only what was rehearsed, finished and promised becomes a success."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from migrator.database.schema import Schema
from migrator.database.session import Endpoint
from migrator.errors import LockNotAvailable, NeedsHuman, TransientError, VerifyFailed
from migrator.evidence import Check
from migrator.gates import assertions
from migrator.ledger.ledger import Ledger
from migrator.plan import Plan
from migrator.stages import verify
from tests.evidence import make_bundle, read_schema, rehearse
from tests.factories import make_plan, plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, query, row_of, run_of, verify_it


def test_what_nobody_applied_is_not_verified(database: Endpoint) -> None:
    """Somebody marked the step as success in the UI."""
    plan = make_plan()
    with Ledger(database) as ledger:
        ledger.install()
    with pytest.raises(VerifyFailed, match="no step was executed"):
        verify_it(plan, database)
    with Ledger(database) as ledger:
        ledger.begin(plan, run=run_of(plan))
    with pytest.raises(VerifyFailed, match="step 'sql' is pending"):
        verify_it(plan, database)
    row = row_of(plan, database)
    assert row is not None
    assert row.status == "running"


def test_what_another_run_applied_is_not_ours(database: Endpoint) -> None:
    plan = make_plan()
    apply_all(plan, database)
    with pytest.raises(VerifyFailed, match="run 'run-1' has it in hand, this is run 'run-2'"):
        verify_it(plan, database, run_id="run-2")


def test_something_else_happened_than_was_rehearsed(database: Endpoint, make_database: MakeDatabase) -> None:
    plan = make_plan()
    bundle = rehearse(plan, database, make_database("twin"))
    apply_all(plan, database, bundle)
    query(database, "CREATE TABLE public.surprise (id int); ALTER TABLE thing DROP COLUMN name")
    with pytest.raises(VerifyFailed) as caught:
        verify_it(plan, database, bundle)
    text = "\n".join(caught.value.problems)
    assert "not rehearsed: + table public.…" in text
    assert "rehearsed, but not there" in text


def test_assertions_run_nothing_that_was_exchanged_meanwhile(database: Endpoint, make_database: MakeDatabase) -> None:
    """A view's functions run with the rights of whoever reads it: here with those of the migration's role."""
    script = (
        "CREATE FUNCTION public.watched() RETURNS bool LANGUAGE sql AS 'SELECT true';"
        " CREATE VIEW public.state AS SELECT public.watched() AS good"
    )
    twin = make_database("twin", script=script)
    query(database, script)
    plan = make_plan(assertions=("SELECT good FROM public.state",))
    bundle = rehearse(plan, database, twin)
    apply_all(plan, database, bundle)
    ends = "CREATE OR REPLACE FUNCTION public.watched() RETURNS bool LANGUAGE sql AS 'SELECT 1 / 0 = 1'"
    query(database, ends)
    with pytest.raises(
        VerifyFailed, match="assertions: not asked, because the schema is not what was rehearsed"
    ) as caught:
        verify_it(plan, database, bundle)
    assert "division by zero" not in str(caught.value)
    query(database, ends.replace("1 / 0 = 1", "true"))
    verify_it(plan, database, bundle)


@pytest.mark.parametrize(
    "told, change",
    [
        (
            "function public.watched",
            "CREATE OR REPLACE FUNCTION public.watched() RETURNS bool LANGUAGE sql AS 'SELECT 1 = 1'",
        ),
        ("columns of table public.t", "ALTER TABLE public.t ALTER a TYPE public.small"),
    ],
)
def test_what_is_exchanged_during_an_assertion_is_not_run_by_the_next(
    told: str, change: str, database: Endpoint, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        "CREATE FUNCTION public.watched() RETURNS bool LANGUAGE sql AS 'SELECT true';"
        " CREATE TABLE public.t (a int); CREATE DOMAIN public.small AS int;"
        " CREATE VIEW public.state AS SELECT public.watched() AS good"
    )
    twin = make_database("twin", script=script)
    query(database, script)
    plan = make_plan(assertions=("SELECT true", "SELECT good FROM public.state"))
    bundle = rehearse(plan, database, twin)
    apply_all(plan, database, bundle)
    asked = []

    def slow(
        conn: psycopg.Connection[Any], number: int, text: str, plan: Plan, before: Schema | None, **given: Any
    ) -> Check:
        query(database, change)
        asked.append(number)
        return assertions.assertion(conn, number, text, plan, before)

    monkeypatch.setattr(verify, "assertion", slow)
    with pytest.raises(TransientError, match=told):
        verify_it(plan, database, bundle)
    assert asked == [1]
    row = row_of(plan, database)
    assert row is not None
    assert row.status == "running", "the next try looks again"


def test_a_lock_in_the_way_is_no_verdict(database: Endpoint) -> None:
    """Else somebody's lock of two seconds would have a good migration undone."""
    plan = make_plan(assertions=("SELECT count(*) = 0 FROM thing",))
    apply_all(plan, database)
    with psycopg.connect(database.conninfo) as somebody:
        somebody.execute("LOCK TABLE thing IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(LockNotAvailable):
            verify_it(plan, database)
    row = row_of(plan, database)
    assert row is not None
    assert row.status == "running"
    verify_it(plan, database)
    with Ledger(database) as ledger:
        assert "verify_failed" not in [event.kind for event in ledger.events()]


def test_an_invalid_index_is_not_finished(database: Endpoint) -> None:
    plan = plan_from_sql("CREATE TABLE t (id int); INSERT INTO t VALUES (1), (1);", "DROP TABLE t;")
    bundle = make_bundle(plan, before := read_schema(database), before)
    apply_all(plan, database, bundle)
    with psycopg.connect(database.conninfo, autocommit=True) as conn, pytest.raises(psycopg.errors.UniqueViolation):
        conn.execute("CREATE UNIQUE INDEX CONCURRENTLY t_id ON t (id)")
    with pytest.raises(VerifyFailed, match=r"index public\.t_id is .*invalid"):
        verify_it(plan, database, bundle)


@pytest.mark.parametrize(
    "assertion, problem",
    [
        ("SELECT false", "gave false, not true"),
        ("SELECT NULL::boolean", "gave NULL, not true"),
        ("SELECT 'secret'", "a value of type str"),
        ("SELECT true, true", "must give one row with one value"),
        ("SELECT true FROM generate_series(1, 2)", "more than one rows"),
        ("SELECT true WHERE false", "0 rows"),
        ("SELECT nonsense", "does not exist"),
        ("DELETE FROM thing", "read-only"),
    ],
)
def test_assertions(database: Endpoint, assertion: str, problem: str) -> None:
    plan = make_plan(assertions=("SELECT true", assertion))
    apply_all(plan, database)
    with pytest.raises(VerifyFailed) as caught:
        verify_it(plan, database)
    (told,) = caught.value.problems
    assert told.startswith("assertion 2: ")
    assert problem in told
    assert "secret" not in told.partition(": gave")[2].partition(": SELECT")[0]


def test_expected_changes(database: Endpoint, make_database: MakeDatabase) -> None:
    good = {"added": {"table": ["public.thing"]}}
    plan = make_plan(expected_changes={"added": {"table": ["public.other"]}})
    bundle = rehearse(plan, database, make_database("twin"))
    apply_all(plan, database, bundle)
    with pytest.raises(VerifyFailed, match="expected_changes"):
        verify_it(plan, database, bundle)
    kept = make_plan(expected_changes=good)
    assert kept.content_digest == plan.content_digest


def test_evidence_is_asked_for(database: Endpoint) -> None:
    plan = make_plan()
    apply_all(plan, database)
    with Ledger(database) as ledger, pytest.raises(NeedsHuman, match="there is none"):
        verify.run(plan, None, endpoint=database, ledger=ledger, run=run_of(plan))
