"""What a step really held is measured, in the dry run and in production, and told beside its budget."""

from __future__ import annotations

from migrator.database.session import Endpoint
from migrator.evidence import HELD
from migrator.steps import held_locks
from tests.evidence import rehearse as as_rehearsed
from tests.factories import plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.copies import make_copy, rehearse
from tests.integration.stages import apply_all, outcome_of, query, verify_it

TABLE = "CREATE TABLE t (id int); CREATE TABLE u (id int);"
SQL = """
ALTER TABLE t ADD COLUMN w int;
SELECT pg_sleep(0.3);
CREATE TABLE made (id int);
ALTER TABLE u ADD CONSTRAINT positive CHECK (id > 0) NOT VALID;
"""
BACK = "DROP TABLE made; ALTER TABLE u DROP CONSTRAINT positive; ALTER TABLE t DROP COLUMN w;"


def test_a_transaction_holds_from_the_first_statement_to_its_commit(database: Endpoint) -> None:
    """What it has made itself keeps nobody waiting."""
    query(database, TABLE)
    (result,) = apply_all(plan_from_sql(SQL, BACK), database)
    held = {one.relation: one for one in result.held}
    assert {name: one.mode for name, one in held.items()} == dict.fromkeys(("public.t", "public.u"), "ACCESS EXCLUSIVE")
    assert 0.3 <= held["public.t"].seconds < 5
    assert held["public.u"].seconds < held["public.t"].seconds - 0.2


def test_each_transaction_of_a_step_is_measured(database: Endpoint) -> None:
    query(database, TABLE)
    plan = plan_from_sql("ALTER TABLE t ADD a int; ALTER TABLE t ADD b int; SELECT 1;", transaction=False)
    (result,) = apply_all(plan, database)
    assert [(one.relation, one.mode) for one in result.held] == [("public.t", "ACCESS EXCLUSIVE")] * 2


def test_outside_a_transaction_a_lock_counts_as_long_as_its_statement(database: Endpoint) -> None:
    query(database, TABLE)
    (result,) = apply_all(plan_from_sql("VACUUM FULL t"), database)
    (held,) = result.held
    assert (held.relation, held.mode) == ("public.t", "ACCESS EXCLUSIVE")
    assert held.seconds == round(result.statements[0].seconds, 4)


def test_what_a_block_locks_is_seen(database: Endpoint) -> None:
    query(database, TABLE)
    (result,) = apply_all(plan_from_sql("DO $$ BEGIN EXECUTE 'LOCK TABLE t IN SHARE MODE'; END $$"), database)
    assert [(one.relation, one.mode) for one in result.held] == [("public.t", "SHARE")]


def test_the_evidence_has_it(copies: Endpoint) -> None:
    sql, back = (text.replace(" t ", " messages ").replace(" u ", " tenants ") for text in (SQL, BACK))
    evidence = rehearse(plan_from_sql(sql, back), copies, make_copy(copies))
    found = {relation: (step, mode, seconds) for step, relation, mode, seconds in evidence.extra[HELD]}
    assert {name: one[:2] for name, one in found.items()} == {
        "public.messages": ("sql", "ACCESS EXCLUSIVE"),
        "public.tenants": ("sql", "ACCESS EXCLUSIVE"),
    }
    assert found["public.messages"][2] >= 0.3


def test_production_stands_beside_the_dry_run_and_the_budget(database: Endpoint, make_database: MakeDatabase) -> None:
    query(database, TABLE)
    plan = plan_from_sql("ALTER TABLE t ADD COLUMN w int", "ALTER TABLE t DROP COLUMN w", statement_timeout_ms=3000)
    extra = {HELD: [["sql", "public.t", "ACCESS EXCLUSIVE", 0.002]]}
    bundle = as_rehearsed(plan, database, make_database("twin", script=TABLE), extra=extra)
    apply_all(plan, database, bundle)
    verify_it(plan, database, bundle)
    ((detail,),) = query(
        database, "SELECT detail FROM migrator.schema_migration_events WHERE kind = %s", held_locks.EVENT
    )
    (lock,) = detail["held"]
    assert (detail["step"], lock["relation"], lock["mode"]) == ("sql", "public.t", "ACCESS EXCLUSIVE")
    assert (lock["rehearsed_seconds"], lock["budget_seconds"]) == (0.002, 6.0)
    assert 0 < lock["seconds"] < 3
    told = outcome_of(plan, database).text
    assert "step sql held ACCESS EXCLUSIVE on public.t for " in told
    assert "(2 ms in the dry run, at most 6.0 s in the plan)" in told
