"""INSERT ... SELECT in batches on a real server: each row of the one table is copied once, as it is by then."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from migrator.database.session import Endpoint
from migrator.errors import StatementFailed, TransientError
from migrator.evidence import ObservedLock, Verdict
from migrator.plan import Plan
from migrator.steps import batch_size
from migrator.steps.batch_progress import Progress
from migrator.steps.batches import Work
from migrator.steps.contract import Written
from migrator.steps.kinds import kind_named
from tests.factories import plan_from_sql, to_steps
from tests.integration.copies import make_copy, rehearse
from tests.integration.stages import apply_all, query, verify_it
from tests.integration.test_backfill import backfill
from tests.integration.test_backfill_beside_others import meet

ROWS = 5_000
TABLE = f"""
CREATE TABLE s (id int PRIMARY KEY, v int, filler text);
INSERT INTO s SELECT g, g * 10, repeat('x', 200) FROM generate_series(1, {ROWS}) AS g;
CREATE TABLE t (id int PRIMARY KEY, v int);
CREATE TABLE copied (id int);
CREATE FUNCTION public.copied() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO public.copied VALUES (NEW.id); RETURN NULL; END $$;
CREATE TRIGGER copied AFTER INSERT ON t FOR EACH ROW
    WHEN (current_setting('application_name') LIKE 'migration%') EXECUTE FUNCTION copied();
"""
COPY = "INSERT INTO t (id, v) SELECT s.id, s.v FROM s WHERE NOT EXISTS (SELECT FROM t WHERE t.id = s.id)"
DIFFERENT = "SELECT count(*) FROM s FULL JOIN t USING (id) WHERE s.v IS DISTINCT FROM t.v"
TWICE = "SELECT count(*) FROM (SELECT FROM copied GROUP BY id HAVING count(*) > 1) AS twice"


def plan_of(sql: str = COPY, **parameters: Any) -> Plan:
    return replace(plan_from_sql("SELECT 1", "TRUNCATE t"), steps=(backfill(sql, **parameters),))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_size, "FIRST_PAGES", 4)
    monkeypatch.setattr(batch_size, "MOST_PAGES", 8)


def until_all_are_copied(database: Endpoint) -> None:
    while not query(database, f"SELECT 1 FROM t HAVING count(*) = {ROWS}"):
        time.sleep(0.05)


@contextmanager
def beside(work: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join(30)


@pytest.mark.parametrize("sql", [COPY, f"{COPY} AND s.v > 0 ON CONFLICT DO NOTHING"])
def test_every_row_is_copied_once(database: Endpoint, sql: str) -> None:
    query(database, f"{TABLE} INSERT INTO t VALUES (7, 70)")
    plan = plan_of(sql)
    (result,) = apply_all(plan, database)
    assert result.statements[0].rows == ROWS - 1
    assert query(database, DIFFERENT) == [(0,)]
    assert query(database, TWICE) == [(0,)]
    verify_it(plan, database)


def test_from_partitions_and_another_table(database: Endpoint) -> None:
    query(
        database,
        f"""CREATE TABLE p (id int, k int) PARTITION BY LIST (k);
        CREATE TABLE p0 PARTITION OF p FOR VALUES IN (0); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
        INSERT INTO p SELECT g, g % 2 FROM generate_series(1, {ROWS}) AS g;
        CREATE TABLE names AS SELECT 1 AS k, 'one' AS name;
        CREATE TABLE n (id int, name text, UNIQUE (id), note text); ALTER TABLE n ALTER id SET NOT NULL""",
    )
    sql = (
        "INSERT INTO n (id, name) SELECT x.id, names.name FROM p AS x LEFT JOIN names USING (k)"
        " WHERE NOT EXISTS (SELECT FROM n AS o WHERE o.id = x.id)"
    )
    apply_all(plan_of(sql), database)
    assert query(database, "SELECT count(*), count(name), count(DISTINCT id) FROM n") == [(ROWS, ROWS // 2, ROWS)]


@pytest.mark.parametrize(
    "key",
    [
        "CREATE TABLE t (id int, v int)",
        "CREATE TABLE t (id int UNIQUE, v int)",
        "CREATE TABLE t (id int NOT NULL, v int NOT NULL, UNIQUE (id, v))",
        "CREATE TABLE t (id int NOT NULL, v int); CREATE UNIQUE INDEX ON t (id) WHERE v > 0",
        "CREATE TABLE t (id int NOT NULL, v int); CREATE UNIQUE INDEX ON t (abs(id))",
    ],
)
def test_without_a_key_it_is_refused_before_anything_is_copied(database: Endpoint, key: str) -> None:
    """An application that inserts the same row meanwhile would have it twice."""
    query(database, f"CREATE TABLE s AS SELECT 1 AS id, 1 AS v; {key}")
    with pytest.raises(StatementFailed, match=r"fill\.sql:1: t has no unique index, of all its rows, on \(id\)"):
        apply_all(plan_of(), database)
    assert query(database, "SELECT count(*) FROM t") == [(0,)]


@pytest.mark.parametrize(
    "more",
    [
        "ALTER TABLE s ALTER id TYPE numeric; UPDATE s SET id = id + 0.4",
        """CREATE FUNCTION public.other() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN NEW.id := -NEW.id; RETURN NEW; END';
        CREATE TRIGGER other BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION other()""",
    ],
)
def test_a_row_that_is_not_found_again_is_not_copied(database: Endpoint, more: str) -> None:
    query(database, TABLE + more)
    with pytest.raises(StatementFailed, match="rows still meet the condition after the change"):
        apply_all(plan_of(), database)
    assert query(database, "SELECT count(*) FROM t") == [(0,)]


def test_a_row_that_cannot_be_copied_is_left_out(database: Endpoint) -> None:
    query(database, f"{TABLE} ALTER TABLE t ADD CHECK (v <> 770)")
    plan = plan_of(quarantine=1)
    with pytest.raises(StatementFailed, match=r"rows that fail: 1 \(constraint t_v_check\)"):
        apply_all(plan, database)
    assert query(database, "SELECT s.id FROM s LEFT JOIN t USING (id) WHERE t.id IS NULL") == [(77,)]
    query(database, "DELETE FROM s WHERE id = 77")
    apply_all(plan, database)
    assert query(database, DIFFERENT) == [(0,)]


def test_what_is_being_changed_is_copied_as_it_is_then(database: Endpoint) -> None:
    """Its transaction has found no copy to change."""
    query(database, TABLE)
    with psycopg.connect(database.conninfo) as holder, psycopg.connect(database.conninfo, autocommit=True) as look:
        holder.execute("UPDATE s SET v = -1 WHERE id = 5; UPDATE t SET v = -1 WHERE id = 5")
        thread = threading.Thread(target=apply_all, args=(plan_of(), database))
        thread.start()
        seen = """SELECT EXISTS (SELECT FROM t WHERE id = 5)
            OR EXISTS (SELECT FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid)))"""
        while look.execute(seen.encode(), (holder.info.backend_pid,)).fetchone() == (False,):
            assert thread.is_alive()
        holder.commit()
        thread.join()
    assert query(database, "SELECT v FROM t WHERE id = 5") == [(-1,)]
    assert query(database, DIFFERENT) == [(0,)]


PARTNERS = """
CREATE TABLE s (id int PRIMARY KEY, k int);
INSERT INTO s SELECT g, 0 FROM generate_series(1, 50) AS g;
CREATE TABLE names (k int PRIMARY KEY, name text, banned bool);
INSERT INTO names VALUES (0, 'old', false), (1, 'new', false), (2, 'none', true);
CREATE TABLE items (s_id int, x int);
INSERT INTO items SELECT g, 1 FROM generate_series(1, 50) AS g;
CREATE TABLE t (id int PRIMARY KEY, v text);
"""


@pytest.mark.parametrize(
    "sql, texts, copied",
    [
        (
            "INSERT INTO t (id, v) SELECT s.id, names.name FROM s LEFT JOIN names USING (k) WHERE",
            ["UPDATE s SET k = 1 WHERE id = 5"],
            [("new",)],
        ),
        (
            "INSERT INTO t (id, v) SELECT s.id, (SELECT sum(x) FROM items WHERE s_id = s.id)::text FROM s WHERE",
            ["UPDATE s SET k = 1 WHERE id = 5", "INSERT INTO items VALUES (5, 100)"],
            [("101",)],
        ),
        (
            "INSERT INTO t (id) SELECT s.id FROM s WHERE NOT EXISTS"
            " (SELECT FROM names WHERE names.k = s.k AND banned) AND",
            ["UPDATE s SET k = 2 WHERE id = 5"],
            [],
        ),
    ],
    ids=["a partner", "what is added up", "a condition"],
)
def test_what_was_waited_for_is_copied_with_what_belongs_to_it_then(
    database: Endpoint, sql: str, texts: list[str], copied: list[tuple[str]]
) -> None:
    query(database, PARTNERS)
    meet(database, plan_of(f"{sql} NOT EXISTS (SELECT FROM t WHERE t.id = s.id)", batch_ms=1000), *texts)
    assert query(database, "SELECT v FROM t WHERE id = 5") == copied
    assert query(database, "SELECT count(*) FROM t WHERE id <> 5") == [(49,)]


KEPT = """
CREATE FUNCTION public.kept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.t VALUES (NEW.id, NEW.v) ON CONFLICT (id) DO UPDATE SET v = excluded.v; RETURN NULL; END $$;
CREATE TRIGGER kept AFTER UPDATE ON s FOR EACH ROW EXECUTE FUNCTION kept();
CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN IF NEW.id = 5 AND NEW.v > 0 THEN PERFORM pg_sleep(0.4); END IF; RETURN NEW; END $$;
CREATE TRIGGER slow BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION slow();
"""


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_trigger_finds_no_copy_that_is_newer_than_its_snapshot_and_fails(database: Endpoint, level: str) -> None:
    """As the README has it: the change is tried again, and none is lost."""
    query(database, TABLE + KEPT)
    with psycopg.connect(database.conninfo) as application:
        application.execute(f"SET TRANSACTION ISOLATION LEVEL {level}".encode())
        application.execute("SELECT 1 FROM s WHERE id = 5")
        failed = []

        def later() -> None:
            until_all_are_copied(database)
            try:
                application.execute("UPDATE s SET v = -1 WHERE id = 5")
            except psycopg.errors.SerializationFailure as exc:
                failed.append(exc)
            application.rollback()
            application.execute("UPDATE s SET v = -1 WHERE id = 5")
            application.commit()

        with beside(later):
            (result,) = apply_all(plan_of(), database)
    assert len(failed) == 1
    assert result.statements[0].note == ""
    assert query(database, DIFFERENT) == [(0,)]
    assert query(database, "SELECT v FROM t WHERE id = 5") == [(-1,)]


def test_a_trigger_finds_the_copy_for_which_its_statement_has_waited(database: Endpoint) -> None:
    query(database, TABLE + KEPT)
    thread = threading.Thread(target=apply_all, args=(plan_of(), database))
    with psycopg.connect(database.conninfo, autocommit=True) as application:
        thread.start()
        sleeping = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep')"
        while application.execute(sleeping.encode()).fetchone() == (False,):
            assert thread.is_alive()
        application.execute("UPDATE s SET v = -1 WHERE id = 5")
    thread.join()
    assert query(database, DIFFERENT) == [(0,)]
    assert query(database, "SELECT v FROM t WHERE id = 5") == [(-1,)]


@pytest.mark.thorough
def test_a_rehearsal_finds_the_locks_that_are_predicted(copies: Endpoint) -> None:
    predicted = plan_from_sql(COPY, "TRUNCATE t;")
    parsed, _ = to_steps(COPY, "fill.sql")
    step = kind_named("backfill").plan(Written("fill", parsed, predicted.steps[0].statements, {"file": None}))
    plain = TABLE[: TABLE.index("CREATE TABLE copied")]
    evidence = rehearse(replace(predicted, steps=(step,)), copies, make_copy(copies, plain))
    assert evidence.verdict is Verdict.PASSED
    (trace,) = evidence.statements
    assert (trace.rows, trace.differences) == (ROWS, ())
    assert ObservedLock("public.s", "ROW SHARE") in trace.locks


def _write(database: Endpoint, number: int, stop: threading.Event, done: list[int]) -> None:
    """The new application: whatever it changes in the one table, it changes in the other one after it."""
    chance = random.Random(f"writer {number}")
    with psycopg.connect(database.conninfo, autocommit=True) as conn:
        while not stop.is_set():
            key, v = chance.randint(1, ROWS), chance.randint(1, 10**6)
            fresh = ROWS + 1 + len(done) * 2 + number
            try:
                with conn.transaction():
                    sort = chance.choice(("update", "update", "delete", "insert", "move"))
                    if sort == "update":
                        conn.execute("UPDATE s SET v = %s WHERE id = %s", (v, key))
                        conn.execute("UPDATE t SET v = %s WHERE id = %s", (v, key))
                    elif sort == "delete":
                        conn.execute("DELETE FROM s WHERE id = %s", (key,))
                        conn.execute("DELETE FROM t WHERE id = %s", (key,))
                    elif sort == "insert":
                        conn.execute("INSERT INTO s VALUES (%s, %s)", (fresh, v))
                        conn.execute("INSERT INTO t VALUES (%s, %s)", (fresh, v))
                    elif conn.execute("DELETE FROM s WHERE id = %s RETURNING v", (key,)).fetchone():
                        conn.execute("DELETE FROM t WHERE id = %s", (key,))
                        conn.execute("INSERT INTO s VALUES (%s, %s)", (fresh, v))
                        conn.execute("INSERT INTO t VALUES (%s, %s)", (fresh, v))
            except psycopg.errors.DeadlockDetected:  # of the two writers
                continue
            done.append(key)


def test_beside_an_application_over_a_kill(database: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    query(database, TABLE)
    plan, real, count = plan_of(batch_ms=20, pause_ms=5), Work._batch, [0]

    def killed(work: Work, table: Any, then: Progress, first: int) -> Progress:
        count[0] += 1
        if count[0] == 6:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(work, table, then, first)

    child = os.fork()
    if child == 0:
        try:
            Work._batch = killed  # type: ignore[method-assign, assignment]
            apply_all(plan, database)
        finally:
            os._exit(1)
    stop, done = threading.Event(), ([], [])
    threads = [threading.Thread(target=_write, args=(database, n, stop, done[n])) for n in range(2)]
    for thread in threads:
        thread.start()
    try:
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        before = query(database, "SELECT count(*) FROM copied")
        assert before > [(0,)]
        while True:
            try:
                apply_all(plan, database)
                break
            except TransientError:
                continue
        assert query(database, "SELECT count(*) FROM copied") > before
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert all(done)
    assert query(database, DIFFERENT) == [(0,)]
    assert query(database, TWICE) == [(0,)]


@pytest.mark.parametrize("level", ["REPEATABLE_READ", "SERIALIZABLE"])
def test_what_is_changed_past_its_copy_is_copied_again(database: Endpoint, level: str) -> None:
    """By an application whose snapshot is older than the batch. It changes a row that was only locked, and then the
    copy, which it does not see: no error tells it."""
    query(database, TABLE)
    with psycopg.connect(database.conninfo) as application:
        application.isolation_level = psycopg.IsolationLevel[level]
        application.execute("SELECT FROM s WHERE id = 7")

        def later() -> None:
            until_all_are_copied(database)
            application.execute("UPDATE s SET v = 1 WHERE id = 7")
            application.execute("UPDATE t SET v = 1 WHERE id = 7")
            application.commit()

        with beside(later):
            (result,) = apply_all(plan_of(), database)
    assert query(database, DIFFERENT) == [(0,)]
    assert result.statements[0].note.startswith("1 row changed past its copy and copied again: whoever writes")
