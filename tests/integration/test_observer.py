"""What the tracer reports is what PostgreSQL really did: locks, rewrites, full reads, rows, WAL, notices."""

from __future__ import annotations

import psycopg
import pytest

from migrator.database.lock_sampler import mode_name
from migrator.database.session import Endpoint
from migrator.evidence import StatementTrace
from migrator.ledger.ledger import Ledger
from migrator.lock_modes import AX
from migrator.plan import PredictedLock, Statement
from migrator.rehearsal.observer import Observer
from migrator.run import RunContext
from migrator.steps import execution
from migrator.steps.context import StepContext
from tests.factories import plan_from_sql

SCHEMA = """
CREATE TABLE parents (id bigint PRIMARY KEY, name text);
CREATE TABLE children (id bigint PRIMARY KEY, parent_id bigint, score int, note varchar(20));
CREATE INDEX children_parent ON children (parent_id);
CREATE VIEW families AS SELECT id, parent_id FROM children;
INSERT INTO parents SELECT g, 'p' || g FROM generate_series(1, 10) AS g;
INSERT INTO children SELECT g, g % 10 + 1, g, 'n' || g FROM generate_series(1, 2000) AS g;
"""

REWRITTEN = {name: "ACCESS EXCLUSIVE" for name in ("public.children", "public.children_pkey", "public.children_parent")}


@pytest.fixture
def filled(database: Endpoint) -> Endpoint:
    with psycopg.connect(database.conninfo) as conn:
        conn.execute(SCHEMA.encode())
    return database


def observe(sql: str, endpoint: Endpoint, *, transaction: bool | None = None) -> tuple[Observer, list[StatementTrace]]:
    plan = plan_from_sql(sql, transaction=transaction)
    run = RunContext(run_id="run-1", version=plan.version, target=plan.target, actor="tester")
    with Ledger(endpoint) as ledger, Observer(endpoint, version=plan.version) as observer:
        ledger.install()
        ledger.begin(plan, run=run)
        ctx = StepContext(endpoint=endpoint, ledger=ledger, plan=plan, run=run, tracer=observer, purpose="dry_run")
        for step in plan.steps:
            execution.run(step, ctx)
        return observer, list(observer.traces)


def locks_of(trace: StatementTrace) -> dict[str, str]:
    return {lock.relation: lock.mode for lock in trace.locks}


@pytest.mark.parametrize(
    "sql, locks, rewrites, scans",
    [
        (
            "ALTER TABLE children ALTER COLUMN score TYPE numeric",
            REWRITTEN,
            ("public.children",),
            (),
        ),
        ("ALTER TABLE children ALTER COLUMN note TYPE varchar(40)", {"public.children": "ACCESS EXCLUSIVE"}, (), ()),
        ("ALTER TABLE children ADD COLUMN extra int", {"public.children": "ACCESS EXCLUSIVE"}, (), ()),
        ("ALTER TABLE children ADD COLUMN extra int DEFAULT 7", {"public.children": "ACCESS EXCLUSIVE"}, (), ()),
        (
            "ALTER TABLE children ADD COLUMN at timestamptz DEFAULT clock_timestamp()",
            REWRITTEN,
            ("public.children",),
            (),
        ),
        ("CREATE INDEX children_score ON children (score)", {"public.children": "SHARE"}, (), ("public.children",)),
        (
            "CREATE INDEX CONCURRENTLY children_score ON children (score)",
            {"public.children": "SHARE UPDATE EXCLUSIVE"},
            (),
            ("public.children",),
        ),
        (
            "ALTER TABLE children ALTER COLUMN score SET NOT NULL",
            {"public.children": "ACCESS EXCLUSIVE"},
            (),
            ("public.children",),
        ),
        (
            "ALTER TABLE children ADD CONSTRAINT fk FOREIGN KEY (parent_id) REFERENCES parents NOT VALID",
            {"public.children": "SHARE ROW EXCLUSIVE", "public.parents": "SHARE ROW EXCLUSIVE"},
            (),
            (),
        ),
        (
            "UPDATE children SET score = 0 WHERE id = 1",
            {"public.children": "ROW EXCLUSIVE"},
            (),
            (),
        ),
        ("TRUNCATE children", REWRITTEN, (), ()),
        (
            "DROP INDEX children_parent",
            {"public.children": "ACCESS EXCLUSIVE", "public.children_parent": "ACCESS EXCLUSIVE"},
            (),
            (),
        ),
        ("COMMENT ON TABLE children IS 'small'", {"public.children": "SHARE UPDATE EXCLUSIVE"}, (), ()),
        ("CREATE TABLE fresh (id int); ", {}, (), ()),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
def test_locks_rewrites_and_scans(
    filled: Endpoint, sql: str, locks: dict[str, str], rewrites: tuple[str, ...], scans: tuple[str, ...]
) -> None:
    _, (trace,) = observe(sql, filled)
    assert locks_of(trace) == locks
    assert trace.rewrites == rewrites
    assert trace.scans == scans
    assert trace.seconds > 0


def test_a_validated_foreign_key_reads_both_tables(filled: Endpoint) -> None:
    _, (trace,) = observe("ALTER TABLE children ADD CONSTRAINT fk FOREIGN KEY (parent_id) REFERENCES parents", filled)
    assert locks_of(trace) == {"public.children": "SHARE ROW EXCLUSIVE", "public.parents": "SHARE ROW EXCLUSIVE"}
    assert "public.children" in trace.scans


def test_a_reindex_locks_its_index_harder_than_the_table(filled: Endpoint) -> None:
    """The planner wants every index of a table, so this stops readers although the table is only in SHARE mode."""
    _, (trace,) = observe("REINDEX INDEX children_parent", filled)
    assert locks_of(trace) == {"public.children": "SHARE", "public.children_parent": "ACCESS EXCLUSIVE"}
    assert trace.rewrites == ()
    assert trace.indexes_rebuilt == ("public.children_parent",)


def test_each_statement_of_a_transaction_has_its_own_locks(filled: Endpoint) -> None:
    _, traces = observe(
        "UPDATE parents SET name = 'x';"
        "CREATE TABLE fresh (id int, child bigint REFERENCES children);"
        "ALTER TABLE parents ADD COLUMN a int;"
        "ALTER TABLE parents ADD COLUMN b int;"
        "UPDATE fresh SET id = 1;",
        filled,
    )
    assert [locks_of(trace) for trace in traces] == [
        {"public.parents": "ROW EXCLUSIVE"},
        {"public.children": "SHARE ROW EXCLUSIVE"},
        {"public.parents": "ACCESS EXCLUSIVE"},
        {"public.parents": "ACCESS EXCLUSIVE"},  # held since the statement before, and needed
        {},
    ]
    assert traces[0].rows == 10


def test_what_a_function_does_is_seen(filled: Endpoint) -> None:
    """Nobody can read it from the statement; the locks tell."""
    with psycopg.connect(filled.conninfo) as conn:
        conn.execute(
            "CREATE FUNCTION hidden() RETURNS void LANGUAGE plpgsql AS"
            " $$BEGIN RAISE WARNING 'careful'; EXECUTE 'UPDATE children SET score = 1'; END$$"
        )
    observer, (trace,) = observe("SELECT hidden()", filled)
    assert locks_of(trace) == {"public.children": "ROW EXCLUSIVE"}
    assert "public.children" in observer.written
    assert "public.parents" not in observer.written
    assert trace.notices == ("WARNING: a message that may hold rows, in function hidden() line 1 at RAISE",)
    assert trace.wal_bytes > 2000 * 20


def test_predicted_locks_stand_beside_the_observed(filled: Endpoint) -> None:
    _, (trace,) = observe("ALTER TABLE children ADD COLUMN extra int", filled)
    assert trace.predicted_locks == trace.locks


def test_wal_grows_with_the_rows(filled: Endpoint) -> None:
    _, (small, large) = observe(
        "UPDATE children SET score = 0 WHERE id = 1; UPDATE children SET score = 0 WHERE id > 1;", filled
    )
    assert large.wal_bytes > 50 * small.wal_bytes > 0
    assert (small.rows, large.rows) == (1, 1999)


def test_nothing_is_held_after_a_statement_that_failed(filled: Endpoint) -> None:
    """Its end is not told to the observer; the table must be free for whatever comes then."""
    with psycopg.connect(filled.conninfo, autocommit=True) as conn:
        conn.execute("CREATE TABLE parted (id int) PARTITION BY LIST (id)")
        conn.execute("CREATE TABLE part PARTITION OF parted FOR VALUES IN (1)")
        conn.execute("CREATE TABLE rest PARTITION OF parted DEFAULT")
        sql = "ALTER TABLE parted DETACH PARTITION part CONCURRENTLY"
        locks = (PredictedLock("public.parted", "SHARE UPDATE EXCLUSIVE"), PredictedLock("public.part", AX))
        statement = Statement(0, sql, "ALTER TABLE", "x.sql", 1, 1, False, "", locks=locks)
        with Observer(filled, version="001") as observer:
            observer.before("sql", statement, conn)
            with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
                conn.execute(sql.encode())
            with psycopg.connect(filled.conninfo, autocommit=True) as other:
                other.execute("SET lock_timeout = '10s'")
                other.execute("DROP TABLE part")


def test_statements_outside_a_transaction(filled: Endpoint) -> None:
    """They have given their locks back when they return; every one is still seen, also the quickest."""
    _, traces = observe(
        "CREATE INDEX CONCURRENTLY children_score ON children (score);"
        "DROP INDEX CONCURRENTLY children_score;"
        "REINDEX TABLE CONCURRENTLY parents;"
        "VACUUM parents;"
        "VACUUM FULL children;",
        filled,
    )
    found = [locks_of(trace) for trace in traces]
    assert found[0] == {"public.children": "SHARE UPDATE EXCLUSIVE"}
    assert found[1]["public.children"] == "SHARE UPDATE EXCLUSIVE"
    assert found[2]["public.parents"] == "SHARE UPDATE EXCLUSIVE"
    assert found[3]["public.parents"] == "SHARE UPDATE EXCLUSIVE"
    assert found[4]["public.children"] == "ACCESS EXCLUSIVE"
    assert traces[4].rewrites == ("public.children",)


def test_nothing_is_left_held(filled: Endpoint) -> None:
    observe("DROP INDEX CONCURRENTLY children_parent;", filled)
    with psycopg.connect(filled.conninfo) as conn:
        conn.execute("SET lock_timeout = '100ms'; LOCK TABLE children IN ACCESS EXCLUSIVE MODE")


def test_mode_names_are_those_of_the_documentation() -> None:
    assert mode_name("AccessExclusiveLock") == "ACCESS EXCLUSIVE"
    assert mode_name("ShareUpdateExclusiveLock") == "SHARE UPDATE EXCLUSIVE"
    assert mode_name("ShareLock") == "SHARE"
