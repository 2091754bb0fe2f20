"""Step kind `reindex` on a real server: built anew whatever stops the worker, and only our own leftovers go."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from migrator.database.schema_diff import diff
from migrator.database.session import Endpoint
from migrator.embedded.server import Server
from migrator.errors import StatementFailed
from migrator.plan import Plan
from migrator.steps.contract import Written
from migrator.steps.kinds import kind_named, parameters_of
from tests.evidence import read_schema, rehearse
from tests.factories import plan_from_sql, to_steps
from tests.integration.conftest import OWNER, MakeDatabase
from tests.integration.stages import apply_all, query, roll_back, verify_it
from tests.integration.test_apply import wait_for
from tests.integration.test_crash import GONE
from tests.integration.worker import working

TABLE = """
CREATE TABLE t (id int PRIMARY KEY, v text) WITH (autovacuum_enabled = off);
INSERT INTO t SELECT g, g::text FROM generate_series(1, 20000) AS g;
CREATE INDEX t_v ON t (v);
DELETE FROM t WHERE id > 100;
"""
LEFT = "SELECT relname::text FROM pg_class WHERE relname ~ '_cc(new|old)' AND relname !~ 'toast' ORDER BY 1"
"""But for those of TOAST tables, which their owner may drop only where he may use the schema they are in."""
TOAST_LEFT = LEFT.replace("!~ 'toast'", "~ 'toast'")
WAITING = "EXISTS (SELECT FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting%')"


def rebuilding(**given: Any) -> Plan:
    kind = kind_named("reindex")
    given = {"index": None, "table": None, "deadline": None, **given}
    parsed, statements = to_steps(kind.sql(parameters_of(kind, given)), "migration-metadata.yaml#again")
    return replace(plan_from_sql("SELECT 1"), steps=(kind.plan(Written("again", parsed, statements, given)),))


def leave_one(database: Endpoint, index: str) -> None:
    """As an interrupted REINDEX leaves it: by a session that waits for a reader, and is ended."""
    with (
        psycopg.connect(database.conninfo) as reader,
        psycopg.connect(database.conninfo, autocommit=True, options="-c statement_timeout=300") as other,
    ):
        reader.execute("SELECT count(*) FROM t")
        with pytest.raises(psycopg.errors.QueryCanceled):
            other.execute(f"REINDEX INDEX CONCURRENTLY {index}".encode())


@pytest.mark.parametrize("given", [{"table": "public.t"}, {"index": "t_v"}])
def test_smaller_and_the_same(each_database: MakeDatabase, given: dict[str, str]) -> None:
    database, plan = each_database(script=TABLE), rebuilding(**given)
    bundle = rehearse(plan, database, each_database(script=TABLE))
    before = read_schema(database)
    query(database, "VACUUM t")
    ((old,),) = query(database, "SELECT pg_relation_size('t_v')")
    (result,) = apply_all(plan, database, bundle)
    ((new,),) = query(database, "SELECT pg_relation_size('t_v')")
    assert new < old / 4
    assert f"index public.t_v had {old:,} bytes and has {new:,}" in result.notes[0]
    assert ("t_pkey" in result.notes[0]) is ("table" in given)
    verify_it(plan, database, bundle)
    assert roll_back(plan, database, bundle, force=True).action == "rolled_back"
    assert not diff(before, read_schema(database)).changes


@pytest.mark.parametrize("given", [{"index": "t_v"}, {"table": "t"}])
def test_killed_while_it_waits_it_leaves_nothing_but_what_was_there(
    each_database: MakeDatabase, tmp_path: Path, given: dict[str, str]
) -> None:
    """What it has left is no drift to the attempt after it."""
    database, twin, plan = each_database(script=TABLE), each_database(script=TABLE), rebuilding(**given)
    for endpoint in (database, twin):
        leave_one(endpoint, "t_pkey")
    bundle = rehearse(plan, database, twin)
    assert query(database, LEFT) == [("t_pkey_ccold",)]
    with psycopg.connect(database.conninfo) as writer:
        writer.execute("UPDATE t SET v = 'x' WHERE id = 1")
        with working(plan, database, tmp_path) as worker:
            wait_for(database, "to_regclass('t_v_ccnew') IS NOT NULL AND " + WAITING)
            worker.kill()
            wait_for(database, GONE, seconds=5)
    assert ("t_v_ccnew",) in query(database, LEFT)
    (result,) = apply_all(plan, database, bundle)
    assert query(database, LEFT) == [("t_pkey_ccold",)], "that is somebody else's"
    assert result.statements[0].outcome == "repaired"
    verify_it(plan, database, bundle)


def test_killed_and_rolled_back(database: Endpoint, tmp_path: Path) -> None:
    query(database, TABLE)
    plan, before = rebuilding(table="t"), read_schema(database)
    with psycopg.connect(database.conninfo) as writer:
        writer.execute("UPDATE t SET v = 'x' WHERE id = 1")
        with working(plan, database, tmp_path) as worker:
            wait_for(database, WAITING)
            worker.kill()
            wait_for(database, GONE, seconds=5)
    report = roll_back(plan, database, force=True)
    ((toast,),) = query(database, TOAST_LEFT)
    assert report.action == "rolled_back"
    assert report.leftovers == (f'DROP INDEX CONCURRENTLY IF EXISTS "pg_toast"."{toast}"',)
    assert query(database, LEFT) == []
    assert not diff(before, read_schema(database)).changes


@pytest.mark.parametrize("may_use", [False, True], ids=["an owner", "an owner who may use the schema"])
@pytest.mark.parametrize("kind", ["reindex", "sql"])
def test_a_killed_one_tells_the_toast_index_that_only_others_may_drop(
    each_server: Server, each_database: MakeDatabase, tmp_path: Path, kind: str, may_use: bool
) -> None:
    """Done in the end or rolled back: with the statement, where the login itself may not run it."""
    database, plan = each_database(script=TABLE), rebuilding(table="t")
    if kind == "sql":
        plan = plan_from_sql("REINDEX TABLE CONCURRENTLY t", "SELECT 1")
    superuser = replace(database, conninfo=each_server.conninfo(conninfo_to_dict(database.conninfo)["dbname"]))
    if may_use:
        query(superuser, f"GRANT USAGE ON SCHEMA pg_toast TO {OWNER}")
    with psycopg.connect(database.conninfo) as writer:
        writer.execute("UPDATE t SET v = 'x' WHERE id = 1")
        with working(plan, database, tmp_path) as worker:
            wait_for(database, "EXISTS (SELECT FROM pg_class WHERE relname ~ 'toast.*_ccnew') AND " + WAITING)
            worker.kill()
            wait_for(database, GONE, seconds=5)
    ((index,),) = query(database, TOAST_LEFT)
    command = f'DROP INDEX CONCURRENTLY IF EXISTS "pg_toast"."{index}"'
    (result,) = apply_all(plan, database)
    notes = [*result.notes, *(one.note for one in result.statements)]
    assert any(command in note for note in notes) is not may_use, notes
    assert query(database, TOAST_LEFT) == ([] if may_use else [(index,)])
    verify_it(plan, database)
    report = roll_back(plan, database, force=True)
    assert report.action == "rolled_back"
    assert report.leftovers == (() if may_use else (command,))
    for statement in report.leftovers:
        query(superuser, statement)
    assert query(database, TOAST_LEFT) == []


def test_at_its_deadline_it_is_given_up(database: Endpoint) -> None:
    """The reader's snapshot is of another table: what is left can be dropped."""
    query(database, TABLE + "CREATE TABLE u (id int)")
    plan = rebuilding(index="t_v", deadline="1 second")
    with psycopg.connect(database.conninfo, application_name="a report") as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM u")
        with pytest.raises(StatementFailed, match=r"at its deadline, .*\(a report.* what it left is dropped: .*ccnew"):
            apply_all(plan, database)
        assert query(database, LEFT) == []
    apply_all(plan, database)


@pytest.mark.parametrize(
    "given, told",
    [
        ({"index": "missing"}, "there is no index missing"),
        ({"table": "missing"}, "there is no table missing with an index"),
        ({"table": "pg_class"}, "pg_class is of the system's catalog, for which there is no CONCURRENTLY"),
        ({"index": "x_r_excl"}, "index public.x_r_excl belongs to an exclusion constraint"),
        ({"table": "x"}, "index public.x_r_excl belongs to an exclusion constraint, .* name the others one by one"),
        ({"index": "d_r_key"}, "index public.d_r_key belongs to a DEFERRABLE constraint"),
        ({"table": "d"}, "index public.d_r_key belongs to a DEFERRABLE constraint.* name the others one by one"),
    ],
)
def test_what_it_cannot_do_is_told(database: Endpoint, given: dict[str, str], told: str) -> None:
    query(database, "CREATE TABLE x (id int PRIMARY KEY, r int4range, EXCLUDE USING gist (r WITH &&))")
    query(database, "CREATE TABLE d (id int PRIMARY KEY, r int UNIQUE DEFERRABLE)")
    with pytest.raises(StatementFailed, match=rf"migration-metadata\.yaml#again:1: {told}"):
        apply_all(rebuilding(**given), database)


def test_an_application_does_not_wait_behind_it_for_a_writer_of_a_partition(database: Endpoint) -> None:
    query(database, "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY HASH (id)")
    query(database, "CREATE TABLE p0 PARTITION OF p FOR VALUES WITH (MODULUS 1, REMAINDER 0)")
    with ThreadPoolExecutor() as pool, psycopg.connect(database.conninfo) as writer:
        writer.execute("INSERT INTO p VALUES (1)")
        done = pool.submit(apply_all, rebuilding(table="p"), database)
        wait_for(
            database, "EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ '^REINDEX')"
        )
        try:
            query(database, "SET lock_timeout = '2s'; INSERT INTO p VALUES (2)")
        finally:
            writer.rollback()
            done.result()


def test_all_partitions(each_database: MakeDatabase) -> None:
    database = each_database(
        script="CREATE TABLE p (id int) PARTITION BY LIST (id); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);"
        "CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2); CREATE INDEX p_id ON p (id)"
    )
    for plan in (rebuilding(table="p"), rebuilding(index="p_id")):
        (result,) = apply_all(plan, database)
        assert "index public.p1_id_idx" in result.notes[0]
        assert "index public.p2_id_idx" in result.notes[0]
        verify_it(plan, database)
        query(database, "DROP SCHEMA migrator CASCADE")


@pytest.mark.parametrize("given", [{"index": "t_v"}, {"table": "t"}])
def test_what_it_has_left_keeps_nobody_from_undoing_it(
    each_database: MakeDatabase, tmp_path: Path, given: dict[str, str]
) -> None:
    """By itself, as a run's own teardown does: nobody has rehearsed a rollback beside a copy that is half built."""
    database, twin, plan = each_database(script=TABLE), each_database(script=TABLE), rebuilding(**given)
    for endpoint in (database, twin):
        leave_one(endpoint, "t_pkey")
    bundle, before = rehearse(plan, database, twin), read_schema(database)
    with psycopg.connect(database.conninfo) as writer:
        writer.execute("UPDATE t SET v = 'x' WHERE id = 1")
        with working(plan, database, tmp_path) as worker:
            wait_for(database, "to_regclass('t_v_ccnew') IS NOT NULL AND " + WAITING)
            worker.kill()
            wait_for(database, GONE, seconds=5)
    report = roll_back(plan, database, bundle)
    assert (report.action, report.schema_equal) == ("rolled_back", True), report.reason
    assert query(database, LEFT) == [("t_pkey_ccold",)], "that is somebody else's"
    assert not diff(before, read_schema(database)).changes
    assert query(database, "SELECT count(*) FROM migrator.schema_migration_objects WHERE gone_at IS NULL") == [(0,)]
