"""Costs measured on a real server, and what the planner is asked."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psycopg
import pytest

from migrator.analysis.estimate import Costs, Estimate, Profile, calibrate
from migrator.analysis.estimate.ask import look
from migrator.analysis.estimate.calibrate import DATABASE, calibrated, known_or_default
from migrator.analysis.estimate.measurement import Measured, measure
from migrator.analysis.estimate.replication import replication_of
from migrator.analysis.estimate.trials import Noise, Trials
from migrator.analysis.inspection import inspect
from migrator.analysis.known import Known, Sources
from migrator.database.session import Connection, Endpoint, connect
from migrator.embedded.download import download
from migrator.embedded.programs import Programs
from migrator.embedded.server import Server
from migrator.embedded.settings import FAST
from migrator.parsing.statements import parse

pytestmark = pytest.mark.integration

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)

SCHEMA = """
CREATE TABLE t (id bigint, a integer, email text);
INSERT INTO t SELECT i, hashint4(i), md5(i::text) FROM generate_series(1, 20000) AS i;
CREATE INDEX t_id ON t (id);
ANALYZE t;
"""


@pytest.mark.thorough
def test_costs_are_measured_once_and_again_when_they_are_old(copies: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    def measured_alone(conn: Connection) -> Measured:
        return Measured(measure(conn, rows=30_000).costs, Noise())  # whatever the machine of the tests does meanwhile

    monkeypatch.setattr(calibrate, "measure", measured_alone)
    first = calibrated(copies, clock=lambda: NOW)
    assert first.calibrated_at == NOW
    assert all(getattr(first.costs, item.name) > 0 for item in fields(Costs))
    assert first.costs.compare_text > first.costs.compare_ordered  # md5 texts against numbers in order
    later = calibrated(copies, clock=lambda: NOW + timedelta(days=1))
    assert known_or_default(copies) == first, "an analysis takes what is there, without waiting"
    assert later == first
    monkeypatch.setattr(calibrate, "measure", lambda conn: Measured(Costs(), Noise()))
    assert calibrated(copies, clock=lambda: NOW + timedelta(days=40)).calibrated_at == NOW + timedelta(days=40)
    with connect(copies.with_database(DATABASE), purpose="observe") as conn:
        left = conn.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'migrator_costs'::regnamespace AND relkind = 'r'"
        )
        assert left.fetchall() == [("migrator_costs",)]
        functions = conn.execute("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace")
        assert functions.fetchall() == []


def test_costs_of_a_busy_server_say_so_and_are_kept_for_hours_only(
    copies: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate, "measure", lambda conn: Measured(Costs(), Noise(slowdown=1.7, apart=1.1)))
    busy = calibrated(copies, clock=lambda: NOW)
    assert busy.basis.endswith("on a busy server: they may be 1.7 times too high")
    assert busy.spread > Profile(calibrated_at=NOW).spread
    monkeypatch.setattr(calibrate, "measure", lambda conn: Measured(Costs(), Noise()))
    assert calibrated(copies, clock=lambda: NOW + timedelta(hours=1)) == busy
    quiet = calibrated(copies, clock=lambda: NOW + timedelta(hours=3))
    assert (quiet.calibrated_at, quiet.busy) == (NOW + timedelta(hours=3), False)
    assert calibrated(copies, clock=lambda: NOW + timedelta(days=9)) == quiet


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux binds processes to a processor")
def test_a_processor_that_others_keep_busy_is_noticed(copies: Endpoint) -> None:
    one = {min(os.sched_getaffinity(0))}
    # Each in a session of its own: Linux shares processors out between sessions first (sched_autogroup).
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True) for _ in range(3)]
    try:
        with connect(copies, purpose="calibrate") as conn:
            try:
                for pid in (conn.info.backend_pid, *(process.pid for process in spinning)):
                    os.sched_setaffinity(pid, one)
            except PermissionError:
                pytest.skip("the server is another user's")
            time.sleep(0.5)
            trials = Trials(conn, time.perf_counter)
            for _ in range(2):
                trials.begin_round()
                for _ in range(20):
                    trials.seconds("SELECT count(*) FROM generate_series(1, 20000)", times=1)
    finally:
        for process in spinning:
            process.kill()
            process.wait()
    assert Profile(calibrated_at=NOW, noise=trials.noise().level).busy


def test_a_server_that_was_never_measured_gives_default_costs(database: Endpoint) -> None:
    profile = known_or_default(database)  # its role may not create databases, and nobody waits for a measurement
    assert (profile.calibrated_at, profile.costs) == (None, Costs())
    assert known_or_default(None).calibrated_at is None


def test_the_planner_and_the_statistics_are_asked_and_nothing_runs(database: Endpoint) -> None:
    sql = (
        "DELETE FROM t WHERE id <= 100; CREATE INDEX ON t (a) WHERE id > 19000; INSERT INTO t SELECT * FROM t;"
        " CREATE TABLE other (x int); INSERT INTO other VALUES (1); UPDATE nowhere SET x = 1;"
        " INSERT INTO other SELECT id FROM t"
    )
    parsed = parse(sql, file="f.sql")
    with connect(database, purpose="apply") as conn:
        conn.execute("SET search_path = public")
        conn.execute(SCHEMA)
        facts, basis = look(conn, [parsed], role=None)
        assert conn.execute("SELECT count(*) FROM t").fetchone() == (20000,)
    rows = [basis.statistics.rows.get(statement.digest) for statement in parsed.statements]
    assert rows[0] == pytest.approx(100, rel=0.5)
    assert rows[1] == pytest.approx(1000, rel=0.5)
    assert rows[2] == pytest.approx(20000, rel=0.1)
    assert rows[3:6] == [None, None, None]  # nothing to plan, and tables that are not there yet
    assert rows[6] == pytest.approx(20000, rel=0.1)  # what goes into one of them
    assert basis.statistics.workers[parsed.statements[0].digest] == 0
    ordered = basis.statistics.columns["public.t", "id"]
    assert ordered.correlation == pytest.approx(1.0)
    assert len(inspect(Sources((parsed,)), Known(facts=facts, basis=basis)).estimates) == 7


def test_the_planner_tells_how_many_rows_a_where_leaves_and_how_it_finds_them(database: Endpoint) -> None:
    sql = """
    UPDATE t SET a = 0 WHERE id < 100;
    ALTER TABLE t ADD COLUMN fresh int;
    UPDATE t SET fresh = a WHERE fresh IS NULL AND id > 15000;
    DELETE FROM t WHERE fresh IS NULL;
    DO $$ BEGIN DELETE FROM t WHERE id > 15000; END $$;
    """
    with connect(database, purpose="apply") as conn:
        conn.execute("SET search_path = public")
        conn.execute(SCHEMA)
        parsed = parse(sql, file="f")
        facts, basis = look(conn, [parsed], role=None)
        found = inspect(Sources([parsed]), Known(facts=facts, basis=basis)).estimates
        told = [line for number in range(5) for line in found["f", number].rows]
        assert conn.execute("SELECT count(*) FROM t WHERE a = 0").fetchone() == (0,)  # nothing ran
    counts = [int(re.findall(r"[\d,]+", line)[0].replace(",", "")) for line in told]
    assert 80 <= counts[0] <= 120
    assert told[0].endswith("(the planner's estimate)")
    assert parsed.statements[0].digest in basis.statistics.by_index
    assert 4900 <= counts[1] <= 5100
    assert told[1].endswith("(the planner's estimate of 1 of 2 conditions)")
    assert counts[2] == 20000
    assert "at most all rows" in told[2]
    assert 4900 <= counts[3] <= 5100
    assert told[3].endswith("(from pg_stats)")


def test_the_planner_tells_how_many_processes_a_copy_takes(database: Endpoint) -> None:
    parsed = parse("CREATE TABLE counted AS SELECT a, count(*) FROM t GROUP BY a", file="f.sql")
    with connect(database, purpose="apply") as conn:
        conn.execute("SET search_path = public")
        conn.execute(SCHEMA)
        for setting in ("parallel_setup_cost", "parallel_tuple_cost", "min_parallel_table_scan_size"):
            conn.execute(f"SET {setting} = 0")
        conn.execute("SET max_parallel_workers_per_gather = 2")
        _, basis = look(conn, [parsed], role=None)
        conn.execute("SET max_parallel_workers_per_gather = 0")
        _, alone = look(conn, [parsed], role=None)
    digest = parsed.statements[0].digest
    assert (basis.statistics.workers[digest], alone.statistics.workers[digest]) == (2, 0)
    assert basis.statistics.widths[digest] == 12  # an integer and a bigint


def test_a_real_standby_is_seen_with_what_it_has_not_replayed(own_server: Server, programs: Programs) -> None:
    parsed = parse("ALTER TABLE t ALTER a TYPE bigint", file="f.sql")
    endpoint = Endpoint(own_server.conninfo(), name="primary")

    def found() -> Estimate:
        with connect(endpoint, purpose="observe") as conn:
            facts, basis = look(conn, [parsed], role=None)
        return inspect(Sources((parsed,)), Known(facts=facts, basis=basis)).estimates["f.sql", 0]

    with psycopg.connect(own_server.conninfo(), autocommit=True) as conn:
        conn.execute(SCHEMA)
        conn.execute("CREATE ROLE nobody LOGIN")
    assert found().replica_lag_basis.startswith("no standby is connected")
    with standby_of(own_server, programs) as standby, psycopg.connect(standby.conninfo(), autocommit=True) as paused:
        with psycopg.connect(own_server.conninfo(), autocommit=True) as conn:
            _until(conn, "SELECT count(*) = 1 FROM pg_stat_replication WHERE state = 'streaming'")
            paused.execute("SELECT pg_wal_replay_pause()")
            _until(paused, "SELECT pg_get_wal_replay_pause_state() = 'paused'")
            conn.execute(
                "CREATE TABLE large AS SELECT repeat(md5(i::text), 30) AS a FROM generate_series(1, 60000) AS i"
            )
            _until(conn, "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) > 50000000 FROM pg_stat_replication")
            behind = found()
            conn.execute("SET ROLE nobody")
            assert "this role may not see" in replication_of(conn).basis
        with connect(Endpoint(standby.conninfo(), name="standby"), purpose="observe") as conn:
            assert replication_of(conn).basis.startswith("no standby is connected")  # none of its own
    number = re.fullmatch(
        r"1 connected, (\d+) MB behind; 100 MB of replay a second are an assumption", behind.replica_lag_basis
    )
    assert number is not None, behind.replica_lag_basis
    assert int(number[1]) >= 50
    assert behind.replica_lag_seconds > 0.4


@contextmanager
def standby_of(primary: Server, programs: Programs) -> Iterator[Server]:
    """A physical copy that streams from it. Embedded servers come without pg_basebackup: the files are copied while the
    primary is down."""
    primary.stop()
    with tempfile.TemporaryDirectory(dir=primary.data_dir.parent) as place:
        copy = Server(Path(place) / "standby", programs=programs)
        primary.account.own(Path(place))
        shutil.copytree(primary.data_dir, copy.data_dir)
        copy.data_dir.chmod(0o700)
        shutil.copy(primary.data_dir.with_name(primary.data_dir.name + ".password"), Path(place) / "standby.password")
        primary.start()
        with (copy.data_dir / "postgresql.auto.conf").open("a") as file:
            file.write(f"primary_conninfo = '{primary.conninfo()} application_name=copy'\n")
        (copy.data_dir / "standby.signal").touch()
        for path in (copy.data_dir, *copy.data_dir.rglob("*")):
            primary.account.own(path)
        copy.start()
        try:
            yield copy
        finally:
            copy.stop()


def _until(conn: psycopg.Connection, condition: str) -> None:
    for _ in range(200):
        row = conn.execute(condition.encode()).fetchone()
        if row and row[0]:
            return
        time.sleep(0.05)
    pytest.fail(f"never true: {condition}")


def test_row_triggers_of_a_real_table_are_counted(database: Endpoint) -> None:
    parsed = parse("UPDATE t SET a = 1; DELETE FROM t", file="f.sql")
    with connect(database, purpose="apply") as conn:
        conn.execute("SET search_path = public")
        conn.execute(SCHEMA)
        conn.execute("CREATE TABLE audit (id bigint)")
        conn.execute(
            "CREATE FUNCTION audited() RETURNS trigger LANGUAGE plpgsql AS"
            " $$\nBEGIN\n  INSERT INTO audit VALUES (1);\n  RETURN NEW;\nEND\n$$"
        )
        conn.execute("CREATE TRIGGER each AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION audited()")
        conn.execute("CREATE TRIGGER whole AFTER UPDATE OR DELETE ON t FOR EACH STATEMENT EXECUTE FUNCTION audited()")
        facts, basis = look(conn, [parsed], role=None)
    estimates = inspect(Sources((parsed,)), Known(facts=facts, basis=basis)).estimates
    assert "fires 1 triggers for each row, with 1 SQL statements" in estimates["f.sql", 0].work
    assert not any("fires" in what for what in estimates["f.sql", 1].work)


def test_a_role_that_may_not_read_gets_an_estimate_all_the_same(database: Endpoint) -> None:
    parsed = parse("UPDATE t SET a = 1 WHERE id < 5", file="f.sql")
    with connect(database, purpose="apply") as conn:
        conn.execute("SET search_path = public")
        conn.execute(SCHEMA)
        conn.execute("REVOKE ALL ON t FROM CURRENT_USER")
    with connect(database, purpose="observe") as conn:
        facts, basis = look(conn, [parsed], role=None)
    assert basis.statistics.rows == {}
    assert inspect(Sources((parsed,)), Known(facts=facts, basis=basis)).estimates["f.sql", 0].seconds_p50 > 0


def test_traffic_tells_who_waits_and_for_whom() -> None:
    """With pg_stat_statements, which only a complete server has; a server of its own, since it must be preloaded."""
    settings = {**FAST, "shared_preload_libraries": "pg_stat_statements"}
    with Server.temporary(programs=download(16), settings=settings) as server:
        endpoint = Endpoint(server.conninfo(), name="busy")
        with psycopg.connect(endpoint.conninfo, autocommit=True) as conn, psycopg.connect(endpoint.conninfo) as idle:
            conn.execute("CREATE EXTENSION pg_stat_statements")
            conn.execute(SCHEMA)
            for number in range(50):
                conn.execute("SELECT a FROM t WHERE id = %s", (number,))
                conn.execute("UPDATE t SET a = 1 WHERE id = %s", (number,))
            conn.execute("SELECT pg_stat_force_next_flush()")
            idle.execute("SELECT count(*) FROM t WHERE id = 1")  # stays open
            conn.execute("SELECT 1")
            parsed = parse("ALTER TABLE t ALTER a TYPE bigint; CREATE INDEX ON t (email)", file="f.sql")
            with connect(endpoint, purpose="observe") as observer:
                facts, basis = look(observer, [parsed], role=None)
    (wait,) = inspect(Sources((parsed,)), Known(facts=facts, basis=basis)).waits
    assert (wait.relation, wait.mode) == ("public.t", "ACCESS EXCLUSIVE")
    assert wait.hold_seconds > 0
    assert wait.queries_per_second > 0
    assert {"SELECT a FROM t WHERE id = $1", "UPDATE t SET a = $2 WHERE id = $1"} <= set(wait.families)
    (blocker,) = wait.in_the_way
    assert "idle in transaction, ACCESS SHARE" in blocker
    assert wait.oldest_seconds > 0


def test_a_share_lock_makes_only_writers_wait(database: Endpoint) -> None:
    parsed = parse("CREATE INDEX ON t (email)", file="f.sql")
    with connect(database, purpose="apply") as conn:
        conn.execute("SET search_path = public")
        conn.execute(SCHEMA)
        with connect(database, purpose="apply") as other, other.transaction():
            other.execute("SELECT count(*) FROM public.t")
            facts, basis = look(conn, [parsed], role=None)
            (wait,) = inspect(Sources((parsed,)), Known(facts=facts, basis=basis)).waits
            assert (wait.mode, wait.in_the_way) == ("SHARE", ())  # ACCESS SHARE is not in its way
            other.execute("UPDATE public.t SET a = 0 WHERE id = 1")
            facts, basis = look(conn, [parsed], role=None)
            (wait,) = inspect(Sources((parsed,)), Known(facts=facts, basis=basis)).waits
            assert len(wait.in_the_way) == 1
