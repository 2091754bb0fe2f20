"""What an application role changes between two steps of a migration that is being applied."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from migrator.database.session import Endpoint
from migrator.errors import DriftDetected, DryRunFailed, LockNotAvailable, TransientError
from migrator.evidence import EvidenceBundle, Verdict
from migrator.ledger.ledger import Ledger
from migrator.plan import Plan
from migrator.stages import apply, dry_run, restore_test, snapshot
from migrator.steps.meanwhile import Meanwhile
from migrator.steps.undo_decision import Action
from tests.evidence import rehearse
from tests.factories import plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, make_target, query, roll_back, row_of, run_of, verify_it

pytestmark = pytest.mark.usefixtures("queues_at_once")

BEFORE = """
CREATE TABLE orders (id bigint PRIMARY KEY, total int);
CREATE FUNCTION price(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 2';
CREATE DOMAIN kept AS int;
CREATE VIEW large AS SELECT id FROM orders WHERE total > 100;
CREATE TABLE orders_by_hand (id bigint, total int);
CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER seen BEFORE INSERT ON orders_by_hand FOR EACH ROW EXECUTE FUNCTION seen();
CREATE SCHEMA apart;
"""
WAITS = "LOCK TABLE orders IN SHARE MODE; "
"""For whoever writes there; the gates have only read."""
BACK = "DROP TABLE IF EXISTS copied; DROP TABLE IF EXISTS more;"


Prepared = tuple[Plan, EvidenceBundle, Endpoint]


def planned() -> Plan:
    """Two steps, of which the second calls what somebody else owns."""
    first = plan_from_sql("CREATE TABLE more (id int);", BACK)
    second = plan_from_sql(f"{WAITS}CREATE TABLE copied AS SELECT id, price(total) AS price FROM orders;", BACK)
    return replace(first, steps=(replace(first.steps[0], name="first"), replace(second.steps[0], name="second")))


def rehearsed(make_database: MakeDatabase, plan: Plan, script: str = BEFORE) -> Prepared:
    database, twin = make_database("source", script=script), make_database("twin", script=script)
    return plan, rehearse(plan, database, twin), database


@pytest.fixture
def prepared(make_database: MakeDatabase) -> Prepared:
    return rehearsed(make_database, planned())


@pytest.fixture
def really_prepared(make_database: MakeDatabase, copies: Endpoint, tmp_path: Path) -> Prepared:
    """By the stages, whose evidence says what `rehearse` says."""
    plan, database = planned(), make_database("between", script=BEFORE)
    run, target = run_of(plan), make_target(storage=str(tmp_path / "snapshots"))
    record = snapshot.run(plan, endpoint=database, target=target, run=run)
    restore = restore_test.run(record, copies=copies, target=target, run=run)
    evidence = dry_run.run(plan, record, restore, copies=copies, run=run)
    twin = make_database("twin", script=BEFORE)
    assert evidence.states == rehearse(plan, database, twin).dry_run.states
    return plan, EvidenceBundle(record, restore, evidence), database


def step(name: str, plan: Plan, bundle: EvidenceBundle, database: Endpoint) -> None:
    with Ledger(database) as ledger:
        apply.run_step(
            plan, name, endpoint=database, ledger=ledger, run=run_of(plan), target=make_target(), evidence=bundle
        )


@pytest.mark.parametrize(
    "change",
    [
        "CREATE OR REPLACE FUNCTION price(int) RETURNS int LANGUAGE sql AS 'SELECT 0'",
        "CREATE FUNCTION price(bigint) RETURNS int LANGUAGE sql AS 'SELECT 0'",
        "CREATE OR REPLACE VIEW large AS SELECT id FROM orders WHERE total > price(1)",
        "ALTER TABLE orders ALTER total SET DEFAULT price(1)",
        "CREATE INDEX ON orders (price(total)) WHERE false",
        "ALTER TABLE orders ADD CHECK (price(total) >= 0)",
        "ALTER TABLE orders ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE orders RENAME TO orders_old; CREATE TABLE orders (id bigint PRIMARY KEY, total int)",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        " CREATE TRIGGER t BEFORE INSERT ON more FOR EACH ROW EXECUTE FUNCTION f()",
    ],
)
def test_what_the_next_step_would_run_has_changed(change: str, prepared: Prepared) -> None:
    plan, bundle, database = prepared
    step("first", plan, bundle, database)
    query(database, f"SET search_path = public; {change}")
    with pytest.raises(DriftDetected, match="since step 'first' the schema is not what it was"):
        step("second", plan, bundle, database)
    assert query(database, "SELECT to_regclass('public.copied')") == [(None,)]


def test_rows_may_change(really_prepared: Prepared) -> None:
    plan, bundle, database = really_prepared
    step("first", plan, bundle, database)
    query(database, "INSERT INTO public.orders VALUES (1, 1)")
    step("second", plan, bundle, database)
    step("first", plan, bundle, database)  # cleared: it is done
    verify_it(plan, database, bundle)


@pytest.mark.parametrize(
    "change",
    [
        "CREATE OR REPLACE FUNCTION price(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 2'",
        "CREATE TABLE other (a int DEFAULT 2)",
        "ALTER DOMAIN kept SET DEFAULT 2",
        "ALTER DOMAIN kept ADD CHECK (VALUE > price(0))",
        "ALTER TABLE more ENABLE ROW LEVEL SECURITY",
        "CREATE TABLE child (id bigint, total int); ALTER TABLE child INHERIT orders_by_hand",
        "ALTER TABLE large RENAME TO larger; ALTER TABLE orders_by_hand RENAME TO large",
        "ALTER TABLE orders_by_hand ADD x int; ALTER TABLE orders_by_hand DROP x; ALTER VIEW large RENAME TO larger",
        "ALTER SCHEMA apart RENAME TO apart2; ALTER SCHEMA apart2 RENAME TO apart",
        "DROP TRIGGER seen ON orders_by_hand",
        "DROP FUNCTION seen CASCADE",
        "GRANT SELECT ON large TO public",
        "CREATE STATISTICS by_hand ON (price(total)), id FROM orders_by_hand",
    ],
)
def test_somebody_changes_it_while_a_step_waits_for_its_lock(change: str, prepared: Prepared) -> None:
    """Whoever holds the lock sees in pg_locks that the gates are passed; what is put back is noticed as well."""
    plan, bundle, database = prepared
    step("first", plan, bundle, database)
    with psycopg.connect(database.conninfo) as holder, ThreadPoolExecutor(1) as pool:
        holder.execute("LOCK TABLE public.orders IN ROW EXCLUSIVE MODE")
        doing = pool.submit(step, "second", plan, bundle, database)
        wait_for_lock(database, doing)
        query(database, f"SET search_path = public; CREATE TEMP TABLE mine (a int DEFAULT 1 PRIMARY KEY); {change}")
        holder.rollback()
        with pytest.raises(DriftDetected, match="somebody else has changed what it may run"):
            doing.result()
    assert query(database, "SELECT to_regclass('public.copied')") == [(None,)]


def test_nobody_changes_anything(prepared: Prepared) -> None:
    """Its own functions, defaults and indexes, made in sub-transactions too, and temporary tables of others are no
    matter."""
    plan, bundle, database = prepared
    step("first", plan, bundle, database)
    with Meanwhile(database) as meanwhile, psycopg.connect(database.conninfo) as conn:
        query(database, "CREATE TEMP TABLE mine (a int DEFAULT 1 PRIMARY KEY)")
        conn.execute("CREATE FUNCTION public.own() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        conn.execute("SAVEPOINT s; CREATE TABLE public.made (a int DEFAULT 1 PRIMARY KEY); RELEASE s")
        meanwhile.require_unchanged()
        query(database, "CREATE DOMAIN public.d AS int")
        with pytest.raises(DriftDetected, match=r"type (public\.)?d\b"):
            meanwhile.require_unchanged()


def test_a_function_is_exchanged_before_a_step_is_tried_again(
    make_database: MakeDatabase, copies: Endpoint, tmp_path: Path
) -> None:
    """Of a step whose statements commit one by one a part is there; the rest calls what somebody else owns."""
    script = f"{BEFORE} INSERT INTO orders VALUES (1, 5);"
    database = make_database("again", script=script)
    sql = "CREATE TABLE more (id int); VACUUM orders; UPDATE orders SET total = price(total);"
    plan = plan_from_sql(sql, "DROP TABLE IF EXISTS more;", transaction=False, lock_timeout_ms=200)
    run, target = run_of(plan), make_target(storage=str(tmp_path / "snapshots"))
    record = snapshot.run(plan, endpoint=database, target=target, run=run)
    restore = restore_test.run(record, copies=copies, target=target, run=run)
    try:
        bundle = EvidenceBundle(record, restore, dry_run.run(plan, record, restore, copies=copies, run=run))
    except DryRunFailed as failed:  # nobody gives the totals back
        bundle = EvidenceBundle(record, restore, failed.fields["evidence"])
        bundle = replace(bundle, dry_run=replace(bundle.dry_run, verdict=Verdict.PASSED))
    with psycopg.connect(database.conninfo) as holder:
        holder.execute("SELECT FROM public.orders FOR UPDATE")
        with pytest.raises(LockNotAvailable), Ledger(database) as ledger:
            apply.run_step(
                plan, plan.steps[0].name, endpoint=database, ledger=ledger, run=run, target=make_target(),
                evidence=bundle, deadline_seconds=1,
            )  # fmt: skip
    other = "CREATE OR REPLACE FUNCTION public.price(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT {}'"
    query(database, other.format("0"))
    with pytest.raises(DriftDetected, match=r"(?s)what this step may run was changed.*public.price"):
        step(plan.steps[0].name, plan, bundle, database)
    query(database, other.format("$1 * 2"))
    step(plan.steps[0].name, plan, bundle, database)
    assert query(database, "SELECT total FROM public.orders") == [(10,)]


DONE_IN_PARTS = """
CREATE TYPE state AS ENUM ('new');
CREATE TABLE more (id int PRIMARY KEY DEFAULT 1);
CREATE INDEX CONCURRENTLY by_total ON orders (total);
ALTER TYPE state ADD VALUE 'old';
ALTER TABLE orders ADD CONSTRAINT positive CHECK (total > 0) NOT VALID;
VACUUM orders;
ALTER TABLE orders VALIDATE CONSTRAINT positive;
ANALYZE orders;
"""
DONE_IN_PARTS_BACK = """
DROP INDEX IF EXISTS by_total; ALTER TABLE orders DROP CONSTRAINT IF EXISTS positive; DROP TABLE IF EXISTS more;
DROP TYPE IF EXISTS state;
"""


@pytest.fixture
def in_parts(make_database: MakeDatabase) -> Prepared:
    return rehearsed(make_database, plan_from_sql(DONE_IN_PARTS, DONE_IN_PARTS_BACK, transaction=False))


def test_what_a_step_has_committed_itself_is_nobody_else_s(in_parts: Prepared) -> None:
    plan, bundle, database = in_parts
    step(plan.steps[0].name, plan, bundle, database)
    verify_it(plan, database, bundle)


def test_somebody_changes_it_while_one_of_several_statements_waits(in_parts: Prepared) -> None:
    plan, bundle, database = in_parts
    with psycopg.connect(database.conninfo) as holder, ThreadPoolExecutor(1) as pool:
        holder.execute("LOCK TABLE public.orders IN ACCESS SHARE MODE")
        doing = pool.submit(step, plan.steps[0].name, plan, bundle, database)
        wait_for_lock(database, doing)
        query(database, "CREATE FUNCTION public.by_hand() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        holder.rollback()
        with pytest.raises(DriftDetected, match="somebody else has changed what it may run"):
            doing.result()
    assert query(database, "SELECT count(*) FROM pg_constraint WHERE conname = 'positive'") == [(0,)]
    query(database, "DROP FUNCTION public.by_hand()")
    step(plan.steps[0].name, plan, bundle, database)
    verify_it(plan, database, bundle)


def test_somebody_exchanges_a_function_during_a_statement_that_commits_by_itself(in_parts: Prepared) -> None:
    plan, bundle, database = in_parts
    with psycopg.connect(database.conninfo) as holder, ThreadPoolExecutor(1) as pool:
        holder.execute("LOCK TABLE public.orders IN SHARE UPDATE EXCLUSIVE MODE")
        doing = pool.submit(step, plan.steps[0].name, plan, bundle, database)
        wait_for_lock(database, doing)
        query(database, "CREATE OR REPLACE FUNCTION public.price(int) RETURNS int LANGUAGE sql AS 'SELECT 0'")
        holder.rollback()
        with pytest.raises(DriftDetected, match=r"somebody else has changed what it may run.*public.price"):
            doing.result()
    assert query(database, "SELECT count(*) FROM pg_constraint WHERE conname = 'positive'") == [(0,)]


CLASS = "public.{} FOR TYPE int USING btree AS OPERATOR 1 <, FUNCTION 1 btint4cmp(int, int)"
BY_SUPERUSER = {
    r"type (public\.)?d\b": "CREATE DOMAIN public.d AS int",
    "event trigger e": "CREATE FUNCTION public.f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
    " CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION public.f()",
    r"operator class (public\.)?one\b": f"CREATE OPERATOR CLASS {CLASS.format('one')}",
}


@pytest.mark.parametrize("told, change", BY_SUPERUSER.items())
def test_a_statement_that_commits_by_itself_asks_before_it_begins(
    told: str, change: str, database: Endpoint, superuser: str
) -> None:
    with Meanwhile(database) as meanwhile:
        meanwhile.require_unchanged()
        query(replace(database, conninfo=superuser), change)
        with pytest.raises(DriftDetected, match=told):
            meanwhile.require_unchanged()
        meanwhile.begin_anew()
        meanwhile.require_unchanged()


def wait_for_lock(database: Endpoint, doing: Future[Any], table: str = "orders") -> None:
    waits = f"SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'public.{table}'::regclass)"
    deadline = time.monotonic() + 20
    while query(database, waits) == [(False,)]:
        assert time.monotonic() < deadline
        assert not doing.done(), doing.result()


@pytest.mark.parametrize("saved", [False, True])
def test_a_change_of_a_transaction_that_began_before_the_gates_looked(saved: bool, prepared: Prepared) -> None:
    """A snapshot does not list the sub-transactions that are under way."""
    plan, bundle, database = prepared
    step("first", plan, bundle, database)
    other = "CREATE OR REPLACE FUNCTION public.price(int) RETURNS int LANGUAGE sql AS 'SELECT 0'"
    with psycopg.connect(database.conninfo) as holder, ThreadPoolExecutor(1) as pool:
        holder.execute("LOCK TABLE public.orders IN ROW EXCLUSIVE MODE")
        holder.execute(f"SAVEPOINT s; {other}; RELEASE s" if saved else other)
        doing = pool.submit(step, "second", plan, bundle, database)
        wait_for_lock(database, doing)
        holder.commit()
        with pytest.raises(DriftDetected, match="somebody else has changed what it may run"):
            doing.result()
    assert query(database, "SELECT to_regclass('public.copied')") == [(None,)]


def test_columns_that_change_places_while_a_step_waits(make_database: MakeDatabase) -> None:
    """Rows that the application writes, or a TRUNCATE of another table, are none of
    its business."""
    script = "CREATE TABLE t (id int PRIMARY KEY, a int, b int); CREATE TABLE other ();"
    plan = plan_from_sql("LOCK TABLE t IN SHARE MODE; UPDATE t SET a = 1 WHERE b = 2;", "SELECT 1;")
    plan, bundle, database = rehearsed(make_database, plan, script)
    for change in ("ALTER TABLE public.t RENAME a TO c", None):
        with psycopg.connect(database.conninfo) as holder, ThreadPoolExecutor(1) as pool:
            holder.execute("LOCK TABLE public.t IN ROW EXCLUSIVE MODE")
            doing = pool.submit(step, plan.steps[0].name, plan, bundle, database)
            wait_for_lock(database, doing, "t")
            if change:
                holder.execute("ALTER TABLE public.t RENAME a TO c; ALTER TABLE public.t RENAME b TO a")
                holder.execute("ALTER TABLE public.t RENAME c TO b")
            query(database, "TRUNCATE public.other; INSERT INTO public.other DEFAULT VALUES")
            holder.commit()
            if change is None:
                doing.result()
                break
            with pytest.raises(DriftDetected, match=r"columns of table public\.t\b"):
                doing.result()
        for old, new in (("a", "c"), ("b", "a"), ("c", "b")):
            query(database, f"ALTER TABLE public.t RENAME {old} TO {new}")
    verify_it(plan, database, bundle)


TRAP = """
CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER trap BEFORE UPDATE OR DELETE ON orders FOR EACH ROW EXECUTE FUNCTION trap()
"""
NEW_CODE = {
    "a trigger": TRAP,
    "a CHECK": "ALTER TABLE orders ADD CHECK (price(total) > -1) NOT VALID",
    "a rule": "CREATE RULE r AS ON UPDATE TO orders DO ALSO NOTIFY seen",
    "a function that fits better": "CREATE FUNCTION price(bigint) RETURNS int LANGUAGE sql AS 'SELECT 0'",
    "an index": "CREATE INDEX ON orders (price(total))",
    "a default": "ALTER TABLE orders ALTER total SET DEFAULT price(1)",
    "a domain's CHECK": "ALTER DOMAIN kept ADD CHECK (VALUE > price(0))",
}
CHANGED = "CREATE TABLE more (id int); UPDATE orders SET total = total + 1;"
CHANGED_BACK = "UPDATE orders SET total = total - 1; DROP TABLE more;"


@pytest.fixture
def changing(make_database: MakeDatabase) -> Prepared:
    script = f"{BEFORE} INSERT INTO orders VALUES (1, 5);"
    return rehearsed(make_database, plan_from_sql(CHANGED, CHANGED_BACK), script)


@pytest.mark.parametrize("made", NEW_CODE.values(), ids=NEW_CODE)
def test_an_automatic_rollback_runs_nothing_that_nobody_has_rehearsed(changing: Prepared, made: str) -> None:
    plan, bundle, database = changing
    apply_all(plan, database, bundle)
    query(database, f"SET search_path = public; {made}")
    report = roll_back(plan, database, bundle)
    assert report.action is Action.HELD
    assert "somebody has changed what the rollback may run" in report.reason
    assert query(database, "SELECT total FROM public.orders") == [(6,)]
    row = row_of(plan, database)
    assert row is not None
    assert row.status == "failed"
    if made is TRAP:
        query(database, "DROP TRIGGER trap ON public.orders; DROP FUNCTION public.trap()")
        assert roll_back(plan, database, bundle).action is Action.ROLLED_BACK
    else:
        assert roll_back(plan, database, bundle, force=True).action is Action.ROLLED_BACK, "a person says so"
    assert query(database, "SELECT total FROM public.orders") == [(5,)]


def test_an_automatic_rollback_waits_while_somebody_changes_what_it_runs(
    changing: Prepared,
) -> None:
    plan, bundle, database = changing
    apply_all(plan, database, bundle)
    with psycopg.connect(database.conninfo) as holder, ThreadPoolExecutor(1) as pool:
        holder.execute("LOCK TABLE public.orders IN SHARE MODE")
        doing = pool.submit(roll_back, plan, database, bundle)
        wait_for_lock(database, doing)
        query(database, "CREATE OR REPLACE FUNCTION public.price(int) RETURNS int LANGUAGE sql AS 'SELECT 0'")
        holder.rollback()
        with pytest.raises(TransientError, match="to be tried again"):
            doing.result()
    assert query(database, "SELECT total FROM public.orders") == [(6,)]
    assert roll_back(plan, database, bundle).action is Action.HELD


@pytest.mark.parametrize("made", NEW_CODE.values(), ids=NEW_CODE)
def test_new_code_before_a_step_is_tried_again(make_database: MakeDatabase, made: str) -> None:
    """Of a step that is done in part; what it has made itself, and drops at its end, is its own."""
    sql = (
        "CREATE FUNCTION helper() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER helper BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION helper();"
        "VACUUM orders; UPDATE orders SET total = total + 1; DROP FUNCTION helper CASCADE;"
    )
    plan = plan_from_sql(sql, "UPDATE orders SET total = total - 1;", transaction=False, lock_timeout_ms=200)
    plan, bundle, database = rehearsed(make_database, plan, f"{BEFORE} INSERT INTO orders VALUES (1, 5);")
    run = run_of(plan)
    with psycopg.connect(database.conninfo) as holder:
        holder.execute("SELECT FROM public.orders FOR UPDATE")
        with pytest.raises(LockNotAvailable), Ledger(database) as ledger:
            apply.run_step(
                plan, plan.steps[0].name, endpoint=database, ledger=ledger, run=run, target=make_target(),
                evidence=bundle, deadline_seconds=1,
            )  # fmt: skip
    if made is TRAP:
        step(plan.steps[0].name, plan, bundle, database)
        verify_it(plan, database, bundle)
        return
    query(database, f"SET search_path = public; {made}")
    with pytest.raises(DriftDetected, match="what this step may run was changed"):
        step(plan.steps[0].name, plan, bundle, database)
