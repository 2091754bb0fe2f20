"""Step kind `drop_index` on a real server: nothing that is needed goes, and what went comes back as it was."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from migrator.database.schema_diff import diff
from migrator.database.session import Endpoint
from migrator.errors import RollbackFailed, StatementFailed
from migrator.plan import Plan, Step
from migrator.steps import concurrent_index
from migrator.steps.contract import Written
from migrator.steps.kinds import kind_named, parameters_of
from tests.evidence import read_schema, rehearse
from tests.factories import plan_from_sql, to_steps
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, query, roll_back, verify_it
from tests.integration.test_apply import in_background, wait_for
from tests.integration.test_crash import GONE
from tests.integration.worker import working

TABLE = """
CREATE TABLE parents (id int PRIMARY KEY);
CREATE TABLE t (id int, v text COLLATE "C", w int REFERENCES parents);
INSERT INTO t (id, v) SELECT g, g::text FROM generate_series(1, 1000) AS g;
CREATE UNIQUE INDEX t_v ON t (lower(v) text_pattern_ops DESC, id) INCLUDE (w) WITH (fillfactor = 70);
COMMENT ON INDEX t_v IS 'it''s old';
ALTER INDEX t_v ALTER COLUMN 1 SET STATISTICS 500;
ALTER TABLE t CLUSTER ON t_v;
CREATE INDEX t_w ON t (w);
"""
THERE = "to_regclass('t_v') IS NOT NULL"
WAITING = "EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'DROP INDEX CONC%' AND wait_event_type = 'Lock')"

REGISTERED = "SELECT class, table_name, object_name, step FROM migrator.schema_migration_objects WHERE gone_at IS NULL"


def dropping(index: str = "public.t_v", **over: Any) -> Step:
    kind = kind_named("drop_index")
    given = {"index": index, "deadline": None, **over}
    parsed, statements = to_steps(kind.sql(parameters_of(kind, given)), "migration-metadata.yaml#drop")
    return kind.plan(Written("drop", parsed, statements, given))


def plan_of(step: Step) -> Plan:
    return replace(plan_from_sql("SELECT 1"), steps=(step,))


def test_it_goes_and_comes_back_as_it_was(each_database: MakeDatabase, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    database, plan = each_database(script=TABLE), plan_of(dropping())
    before = read_schema(database)
    bundle = rehearse(plan, database, each_database(script=TABLE))
    (result,) = apply_all(plan, database, bundle)
    assert query(database, f"SELECT {THERE}") == [(False,)]
    verify_it(plan, database, bundle)
    assert "bytes, scanned 0 times since" in result.notes[0]
    assert "what standbys have scanned is not counted here" in result.notes[0]
    assert "it was unique" in result.notes[0]
    report = roll_back(plan, database, bundle, force=True)
    assert (report.action, report.schema_equal, report.leftovers) == ("rolled_back", True, ())
    assert not diff(before, read_schema(database)).changes
    (row,) = query(
        database,
        "SELECT indisvalid, indisclustered, obj_description(indexrelid) FROM pg_index"
        " WHERE indexrelid = 't_v'::regclass",
    )
    assert row == (True, True, "it's old")
    apply_all(plan, database, bundle, run_id="run-2")
    assert query(database, f"SELECT {THERE}") == [(False,)]


@pytest.mark.parametrize(
    "script, index, told",
    [
        ("", "public.missing", "there is no index public.missing"),
        ("", "public.t", "there is no index public.t"),
        (
            "ALTER TABLE t ADD PRIMARY KEY (id)",
            "t_pkey",
            "belongs to constraint t_pkey of public.t; drop the",
        ),
        (
            "CREATE UNIQUE INDEX t_id ON t (id); CREATE TABLE u (id int REFERENCES t (id))",
            "t_id",
            "belongs to constraint u_id_fkey of public.u",
        ),
        (
            "ALTER TABLE t ALTER id SET NOT NULL; CREATE UNIQUE INDEX t_id ON t (id);"
            " ALTER TABLE t REPLICA IDENTITY USING INDEX t_id",
            "t_id",
            "is the replica identity of its table",
        ),
        (
            "CREATE TABLE p (id int) PARTITION BY LIST (id); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);"
            " CREATE INDEX p_id ON p (id)",
            "p_id",
            "is that of a partitioned table, which has no CONCURRENTLY: DROP INDEX p_id in a step of kind sql",
        ),
        (
            "CREATE TABLE p (id int) PARTITION BY LIST (id); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);"
            " CREATE INDEX p_id ON p (id)",
            "p1_id_idx",
            "is a part of public.p_id of the partitioned table",
        ),
    ],
)
def test_what_is_needed_stays(database: Endpoint, script: str, index: str, told: str) -> None:
    query(database, TABLE + script)
    before = read_schema(database)
    with pytest.raises(StatementFailed, match=rf"migration-metadata\.yaml#drop:1: .*{told}"):
        apply_all(plan_of(dropping(index)), database)
    assert not diff(before, read_schema(database)).changes


def test_the_only_index_of_a_foreign_key_is_told(database: Endpoint) -> None:
    query(database, TABLE)
    (result,) = apply_all(plan_of(dropping("t_w")), database)
    assert "foreign key t_w_fkey of public.t has no other index" in result.notes[0]


def test_killed_while_it_waits_for_a_writer(
    database: Endpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Half dropped: the next try drops the rest, and the way back builds it."""
    query(database, TABLE)
    plan = plan_of(dropping())
    before = read_schema(database)
    with psycopg.connect(database.conninfo, application_name="the shop") as writer:
        writer.execute("UPDATE t SET w = NULL WHERE id = 1")
        with working(plan, database, tmp_path) as worker:
            wait_for(database, WAITING)
            worker.kill()
            wait_for(database, GONE, seconds=5)
        assert query(database, f"SELECT {THERE}") == [(True,)]
        with in_background(lambda: apply_all(plan, database)) as raised:
            wait_for(database, WAITING)
            pid = writer.info.backend_pid
            wait_for(database, "pg_sleep(1.5) IS NOT NULL")
            writer.rollback()
    assert raised == []
    assert f"step drop waits for the end of a transaction of pid {pid} (the shop" in caplog.text
    assert query(database, f"SELECT {THERE}") == [(False,)]
    assert roll_back(plan, database, force=True).action == "rolled_back"
    assert not diff(before, read_schema(database)).changes


def test_half_dropped_is_built_again_by_the_rollback(database: Endpoint) -> None:
    query(database, TABLE)
    plan = plan_of(dropping(deadline="1 second"))
    before = read_schema(database)
    with psycopg.connect(database.conninfo) as reader:
        reader.execute("SELECT count(*) FROM t")
        with pytest.raises(StatementFailed, match=r"DROP INDEX CONCURRENTLY was given up at its deadline, .* pid"):
            apply_all(plan, database)
    assert roll_back(plan, database, force=True).action == "rolled_back"
    assert not diff(before, read_schema(database)).changes


@pytest.mark.parametrize("again", [False, True])
def test_half_dropped_it_keeps_nobody_from_undoing_it(
    each_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """By itself, as a run's own teardown does, also when an earlier way back has left a half-built one."""
    database, plan = each_database(script=TABLE), plan_of(dropping(deadline="1 second"))
    bundle, before = rehearse(plan, database, each_database(script=TABLE)), read_schema(database)
    with psycopg.connect(database.conninfo) as reader:
        reader.execute("SELECT count(*) FROM t")
        with pytest.raises(StatementFailed, match="was given up at its deadline"):
            apply_all(plan, database, bundle)
    assert query(database, REGISTERED) == [("index", "t", "t_v", "drop")]
    if again:
        with monkeypatch.context() as patched:
            patched.setattr(concurrent_index, "send", dying)
            with pytest.raises(KeyboardInterrupt):
                roll_back(plan, database, bundle)
    report = roll_back(plan, database, bundle)
    assert (report.action, report.schema_equal) == ("rolled_back", True), report.reason
    assert not diff(before, read_schema(database)).changes
    assert query(database, REGISTERED) == []


def dying(*args: Any, **over: Any) -> Any:
    raise KeyboardInterrupt


def test_a_rollback_that_dies_after_the_build_goes_on(database: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    query(database, TABLE)
    plan, real = plan_of(dropping()), concurrent_index.build
    before = read_schema(database)
    apply_all(plan, database)

    def dying(*args: Any, **over: Any) -> Any:
        real(*args, **over)
        raise KeyboardInterrupt

    monkeypatch.setattr(concurrent_index, "build", dying)
    with pytest.raises(KeyboardInterrupt):
        roll_back(plan, database, force=True)
    monkeypatch.setattr(concurrent_index, "build", real)
    assert roll_back(plan, database, force=True).action == "rolled_back"
    assert not diff(before, read_schema(database)).changes


def test_another_index_that_got_the_name_is_left_alone(database: Endpoint) -> None:
    query(database, TABLE)
    plan = plan_of(dropping())
    apply_all(plan, database)
    query(database, "CREATE INDEX t_v ON t (id)")
    with pytest.raises(RollbackFailed, match="is not as it was: it differs in"):
        roll_back(plan, database, force=True)
    assert query(database, f"SELECT {THERE}") == [(True,)]
