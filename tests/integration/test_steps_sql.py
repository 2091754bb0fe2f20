"""Step kind sql on a real server: one transaction with its ledger row, or statement by statement with a cursor."""

from __future__ import annotations

import psycopg
import pytest

from migrator.database.session import Endpoint
from migrator.errors import ContentChanged, NeedsHuman, StatementFailed
from migrator.ledger.ledger import Ledger
from migrator.plan import Plan
from migrator.run import RunContext
from migrator.steps import execution, piecewise
from migrator.steps.context import StatementOutcome, StepContext, StepResult
from tests.factories import plan_from_sql


def run_of(plan: Plan, run_id: str = "run-1") -> RunContext:
    return RunContext(run_id=run_id, version=plan.version, target=plan.target, actor="tester")


def execute(plan: Plan, endpoint: Endpoint, *, run_id: str = "run-1", **over: object) -> list[StepResult]:
    """Begin and run every step, as apply does after its gates."""
    run = run_of(plan, run_id)
    with Ledger(endpoint) as ledger:
        ledger.install()
        ledger.begin(plan, run=run)
        ctx = StepContext(endpoint=endpoint, ledger=ledger, plan=plan, run=run, **over)  # type: ignore[arg-type]
        return [execution.run(step, ctx) for step in plan.steps]


def query(endpoint: Endpoint, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(endpoint.conninfo, autocommit=True) as conn:
        return conn.execute(sql).fetchall()  # type: ignore[return-value,arg-type]


def test_statements_and_ledger_row_commit_together(database: Endpoint) -> None:
    plan = plan_from_sql("CREATE TABLE a (id int);\nINSERT INTO a SELECT generate_series(1, 3);")
    (result,) = execute(plan, database)
    assert result.status == "success"
    assert [item.rows for item in result.statements][1] == 3
    xmins = query(
        database,
        "SELECT (SELECT xmin::text FROM pg_class WHERE oid = 'a'::regclass),"
        " (SELECT first::text FROM migrator.schema_migration_transactions WHERE NOT is_part)",
    )
    assert xmins[0][0] == xmins[0][1]


def test_second_run_of_a_done_step_executes_nothing(database: Endpoint) -> None:
    plan = plan_from_sql("CREATE TABLE a (id int)")
    execute(plan, database)
    (again,) = execute(plan, database)
    assert again.reconciled
    assert again.attempts == 1


def test_failure_leaves_nothing_but_its_record(database: Endpoint) -> None:
    plan = plan_from_sql("CREATE TABLE a (id int);\r\n-- höhö\r\nINSERT INTO a\r\n  VALUES ('ä', nonsense);")
    with pytest.raises(StatementFailed) as caught:
        execute(plan, database)
    error = caught.value
    assert (error.file, error.line, error.column, error.sqlstate) == ("001_test.sql", 4, 16, "42703")
    assert query(database, "SELECT to_regclass('a')") == [(None,)]
    with Ledger(database) as ledger:
        (row,) = ledger.steps(plan.version)
    assert (row.status, row.sqlstate) == ("failed", "42703")
    assert "001_test.sql:4:16" in (row.error or "")


def test_deferred_constraint_at_commit_is_a_failure(database: Endpoint) -> None:
    plan = plan_from_sql(
        "CREATE TABLE p (id int PRIMARY KEY);"
        "CREATE TABLE c (id int REFERENCES p DEFERRABLE INITIALLY DEFERRED);"
        "INSERT INTO c VALUES (1);"
    )
    with pytest.raises(StatementFailed) as caught:
        execute(plan, database)
    assert caught.value.sqlstate == "23503"
    assert query(database, "SELECT to_regclass('p')") == [(None,)]
    with Ledger(database) as ledger:
        assert ledger.steps(plan.version)[0].status == "failed"


def test_notices_and_warnings_are_kept(database: Endpoint) -> None:
    plan = plan_from_sql("DO $$ BEGIN RAISE NOTICE 'counted %', 3; RAISE WARNING 'look here'; END $$")
    (result,) = execute(plan, database)
    where = "in function inline_code_block line 1 at RAISE"
    said = [str(notice) for notice in result.statements[0].notices]
    assert said == [f"NOTICE: counted %, {where}", f"WARNING: look here, {where}"]
    assert result.warnings == (f"look here, {where}",)


def test_timeouts_are_set_inside_the_transaction(database: Endpoint) -> None:
    plan = plan_from_sql(
        "CREATE TABLE seen AS SELECT name, setting FROM pg_settings"
        " WHERE name IN ('lock_timeout', 'statement_timeout', 'application_name')",
        lock_timeout_ms=1234,
        statement_timeout_ms=56789,
    )
    execute(plan, database)
    assert dict(query(database, "SELECT * FROM seen")) == {
        "lock_timeout": "1234",
        "statement_timeout": "56789",
        "application_name": "migration apply 001_test",
    }


MIXED = """
CREATE TABLE a (id int, v int);
SET maintenance_work_mem = '3MB';
CREATE INDEX CONCURRENTLY a_id ON a (id);
INSERT INTO a VALUES (1, 1);
VACUUM a;
"""


def test_mixed_file_runs_statement_by_statement(database: Endpoint) -> None:
    plan = plan_from_sql(MIXED)
    assert not plan.steps[0].transactional
    (result,) = execute(plan, database)
    assert {item.outcome for item in result.statements} == {StatementOutcome.EXECUTED}
    with Ledger(database) as ledger:
        (row,) = ledger.steps(plan.version)
        assert row.status == "success"
        assert ledger.verify_chain() == ()


def test_resume_after_mending_the_failed_statement(database: Endpoint) -> None:
    broken = plan_from_sql(MIXED.replace("VALUES (1, 1)", "VALUES (1, 1, 1)"))
    with pytest.raises(StatementFailed) as caught:
        execute(broken, database)
    assert caught.value.line == 5
    with Ledger(database) as ledger:
        assert ledger.steps(broken.version)[0].statements_done == 3
    (result,) = execute(plan_from_sql(MIXED), database)
    outcomes = [item.outcome for item in result.statements]
    assert outcomes == [StatementOutcome.ALREADY_DONE] * 3 + [StatementOutcome.EXECUTED] * 2
    assert result.attempts == 2
    assert query(database, "SELECT count(*) FROM a") == [(1,)]


def test_session_settings_before_the_cursor_are_set_again(database: Endpoint) -> None:
    sql = "SET my.flag = 'on'; VACUUM; INSERT INTO t SELECT nonsense;"
    query_free = "CREATE TABLE t (flag text);"
    with psycopg.connect(database.conninfo, autocommit=True) as conn:
        conn.execute(query_free)
    with pytest.raises(StatementFailed):
        execute(plan_from_sql(sql), database)
    execute(plan_from_sql(sql.replace("nonsense", "current_setting('my.flag')")), database)
    assert query(database, "SELECT flag FROM t") == [("on",)]


def test_editing_a_done_statement_is_refused(database: Endpoint) -> None:
    with pytest.raises(StatementFailed):
        execute(plan_from_sql(MIXED.replace("VALUES (1, 1)", "VALUES (1, 1, 1)")), database)
    with pytest.raises(ContentChanged):
        execute(plan_from_sql(MIXED.replace("v int", "v bigint")), database)


def interrupt(plan: Plan, endpoint: Endpoint, position: int) -> None:
    """Leave the ledger as a worker leaves it that died while statement `position` was under way."""
    run = run_of(plan)
    statement = plan.steps[0].statements[position]
    with Ledger(endpoint) as ledger:
        ledger.install()
        ledger.begin(plan, run=run)
        ledger.step_started(plan.version, plan.steps[0].name, run=run, backend=None)
        cursor = piecewise.cursor_of(statement, position, "intent", position)
        ledger.step_progress(plan.version, plan.steps[0].name, cursor=cursor)


def test_interrupted_call_needs_a_human(database: Endpoint) -> None:
    with psycopg.connect(database.conninfo, autocommit=True) as conn:
        conn.execute("CREATE TABLE t (id int)")
        conn.execute("CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t VALUES (1); COMMIT; END $$")
    plan = plan_from_sql("CALL p(); VACUUM t;", transaction=False)
    interrupt(plan, database, 0)
    with pytest.raises(NeedsHuman, match="CALL was interrupted"):
        execute(plan, database)
    assert query(database, "SELECT count(*) FROM t") == [(0,)]


@pytest.mark.parametrize("done", [True, False])
def test_a_person_settles_what_nobody_can_know(database: Endpoint, done: bool) -> None:
    with psycopg.connect(database.conninfo, autocommit=True) as conn:
        conn.execute("CREATE TABLE t (id int)")
        conn.execute("CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t VALUES (1); COMMIT; END $$")
    plan = plan_from_sql("CALL p(); VACUUM t;", transaction=False)
    interrupt(plan, database, 0)
    with Ledger(database) as ledger:
        execution.settle(
            ledger, plan.version, plan.steps[0].name, statement=1, done=done, run=run_of(plan), reason="looked at t"
        )
    execute(plan, database)
    assert query(database, "SELECT count(*) FROM t") == [(0 if done else 1,)]
    with Ledger(database) as ledger:
        assert [event.detail["done"] for event in ledger.events() if event.kind == "settled"] == [done]


def test_interrupted_vacuum_is_repeated(database: Endpoint) -> None:
    plan = plan_from_sql("VACUUM")
    interrupt(plan, database, 0)
    (result,) = execute(plan, database)
    assert result.statements[0].outcome is StatementOutcome.EXECUTED


@pytest.mark.parametrize("there", [True, False])
def test_interrupted_drop_index_concurrently(database: Endpoint, there: bool) -> None:
    with psycopg.connect(database.conninfo, autocommit=True) as conn:
        conn.execute("CREATE TABLE t (id int)")
        if there:
            conn.execute("CREATE INDEX t_id ON t (id)")
    plan = plan_from_sql("DROP INDEX CONCURRENTLY t_id")
    interrupt(plan, database, 0)
    (result,) = execute(plan, database)
    expected = StatementOutcome.EXECUTED if there else StatementOutcome.ALREADY_DONE
    assert result.statements[0].outcome is expected
    assert query(database, "SELECT to_regclass('t_id')") == [(None,)]


def test_interrupted_reindex_drops_its_leftovers(database: Endpoint) -> None:
    with psycopg.connect(database.conninfo, autocommit=True) as conn:
        conn.execute("CREATE TABLE t (id int)")
        conn.execute("CREATE INDEX t_id ON t (id)")
        conn.execute("INSERT INTO t SELECT 1 FROM generate_series(1, 2)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            conn.execute("CREATE UNIQUE INDEX CONCURRENTLY t_id_ccnew ON t (id)")
    plan = plan_from_sql("REINDEX TABLE CONCURRENTLY t")
    interrupt(plan, database, 0)
    (result,) = execute(plan, database)
    assert result.statements[0].outcome is StatementOutcome.REPAIRED
    assert query(database, "SELECT relname FROM pg_class WHERE relname LIKE 't_id%'") == [("t_id",)]


def test_pending_detach_is_finalized(database: Endpoint) -> None:
    with psycopg.connect(database.conninfo, autocommit=True) as conn:
        conn.execute("CREATE TABLE t (id int) PARTITION BY RANGE (id)")
        conn.execute("CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (1) TO (10)")
        with psycopg.connect(database.conninfo) as reader:
            reader.execute("SELECT * FROM t")
            conn.execute("SET statement_timeout = '500ms'")
            with pytest.raises(psycopg.errors.QueryCanceled):
                conn.execute("ALTER TABLE t DETACH PARTITION t_1 CONCURRENTLY")
        assert conn.execute("SELECT inhdetachpending FROM pg_inherits").fetchone() == (True,)
    plan = plan_from_sql("ALTER TABLE t DETACH PARTITION t_1 CONCURRENTLY")
    interrupt(plan, database, 0)
    (result,) = execute(plan, database)
    assert result.statements[0].outcome is StatementOutcome.REPAIRED
    assert query(database, "SELECT count(*) FROM pg_inherits") == [(0,)]


def test_transactional_statement_of_a_mixed_file_commits_with_its_cursor(database: Endpoint) -> None:
    plan = plan_from_sql("CREATE TABLE a (id int); VACUUM;")
    execute(plan, database)
    xmins = query(database, "SELECT xmin::text FROM pg_class WHERE relname = 'a'")
    assert xmins  # the cursor row was overwritten since; what counts is that a crash test finds them together


def test_a_statement_that_ends_the_transaction_is_caught(database: Endpoint) -> None:
    plan = plan_from_sql("CREATE TABLE a (id int); COMMIT; CREATE TABLE b (id int);")
    with pytest.raises(StatementFailed, match="transaction"):
        execute(plan, database)
    assert query(database, "SELECT to_regclass('b')") == [(None,)]


COMMITS = """
CREATE TABLE t (id int);
CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t VALUES (1); COMMIT; END $$;
"""


def test_a_block_that_calls_what_commits(database: Endpoint) -> None:
    """Out of a transaction, as CALL itself; a comment makes no such block."""
    with psycopg.connect(database.conninfo, autocommit=True) as conn:
        conn.execute(COMMITS)
    plan = plan_from_sql("DO $$ BEGIN CALL p(); END $$; DO $$ BEGIN /* call */ NULL; END $$;", transaction=False)
    assert [piecewise.may_commit(statement) for statement in plan.steps[0].statements] == [True, False]
    execute(plan, database)
    assert query(database, "SELECT count(*) FROM t") == [(1,)]


def test_an_interrupted_block_that_calls_needs_a_human(database: Endpoint) -> None:
    plan = plan_from_sql("DO $$ BEGIN CALL p(); END $$;", transaction=False)
    interrupt(plan, database, 0)
    with pytest.raises(NeedsHuman, match="DO was interrupted"):
        execute(plan, database)


@pytest.mark.parametrize("sql", ["CALL p();", "DO $$ BEGIN CALL p(); END $$;"])
def test_what_commits_in_a_transaction_is_told_which_key_to_set(database: Endpoint, sql: str) -> None:
    with psycopg.connect(database.conninfo, autocommit=True) as conn:
        conn.execute(COMMITS)
    with pytest.raises(StatementFailed, match=r"2D000.*transaction: false") as caught:
        execute(plan_from_sql(sql), database)
    assert (caught.value.sqlstate, caught.value.line) == ("2D000", 1)
