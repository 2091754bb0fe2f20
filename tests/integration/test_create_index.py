"""Step kind `create_index` on a real server: what is in its way is told, and what is not ours stays."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from migrator.database.session import Endpoint
from migrator.database.withheld import Keeper, LocalFile, kept_by
from migrator.errors import NeedsHuman, StatementFailed
from migrator.plan import Plan
from migrator.steps import concurrent_index, progress
from migrator.steps.contract import Written
from migrator.steps.kinds import kind_named
from tests.factories import plan_from_sql, to_steps
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, query, verify_it
from tests.integration.test_apply import in_background, wait_for

TABLE = "CREATE TABLE t (id int, v int); INSERT INTO t SELECT g, g FROM generate_series(1, 1000) AS g;"
INDEX = "CREATE INDEX CONCURRENTLY t_v ON t (v)"
UNIQUE = "CREATE UNIQUE INDEX CONCURRENTLY t_v ON t (v)"
VALID = "EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('t_v') AND indisvalid)"
WAITS = "EXISTS (SELECT FROM pg_stat_progress_create_index WHERE phase = '{}')"


def indexed(sql: str = INDEX, *, rollback: str = "DROP INDEX CONCURRENTLY IF EXISTS t_v", **parameters: Any) -> Plan:
    parsed, statements = to_steps(sql, "i.sql")
    given = {"file": "i.sql", "transaction": None, "deadline": None, **parameters}
    step = kind_named("create_index").plan(Written("i", parsed, statements, given))
    return replace(plan_from_sql("SELECT 1", rollback), steps=(step,))


def left_invalid(database: Endpoint, sql: str) -> None:
    """As a build that failed leaves it."""
    with pytest.raises(psycopg.errors.UniqueViolation):
        query(database, sql)


@pytest.mark.parametrize(
    "there, told",
    [
        ("CREATE UNIQUE INDEX CONCURRENTLY t_v ON t ((v % 10))", "it differs in .*columns"),
        ("CREATE TABLE u AS SELECT 1 AS v FROM t; CREATE UNIQUE INDEX CONCURRENTLY t_v ON u (v)", "it differs in its"),
    ],
)
def test_an_invalid_index_that_is_not_ours_stays(database: Endpoint, there: str, told: str) -> None:
    query(database, TABLE)
    *before, last = there.split("; ")
    for sql in before:
        query(database, sql)
    left_invalid(database, last)
    with pytest.raises(NeedsHuman, match=f'index "public"."t_v" is there and not valid, and is none .* {told}'):
        apply_all(indexed(), database)
    assert query(database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_v'::regclass") == [(False,)]


def test_an_invalid_one_of_the_same_definition_is_built_again(database: Endpoint) -> None:
    query(database, TABLE + "INSERT INTO t VALUES (0, 1)")
    left_invalid(database, UNIQUE)
    query(database, "DELETE FROM t WHERE id = 0")
    (result,) = apply_all(indexed(UNIQUE), database)
    assert result.statements[0].outcome == "repaired"
    verify_it(indexed(UNIQUE), database)


def test_no_timeout_ends_it_whatever_role_and_database_say(database: Endpoint, superuser: str) -> None:
    query(database, TABLE)
    query(
        database,
        "CREATE FUNCTION public.told(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN"
        " RAISE WARNING 'lock %, statement %', current_setting('lock_timeout'), current_setting('statement_timeout');"
        " RETURN $1; END $$; DELETE FROM t WHERE id > 1",
    )
    with psycopg.connect(superuser, autocommit=True) as conn:
        for name in ("lock_timeout", "statement_timeout"):
            conn.execute(f'ALTER DATABASE "{database.name}" SET {name} = 5000'.encode())
            conn.execute(f'ALTER ROLE migrator IN DATABASE "{database.name}" SET {name} = 4000'.encode())
    seen: list[str] = []
    plan = indexed("CREATE INDEX CONCURRENTLY t_v ON t (public.told(v))")
    real = concurrent_index.send

    def listening(statement: Any, step: Any, ctx: Any, conn: Any) -> Any:
        conn.add_notice_handler(lambda diagnostic: seen.append(diagnostic.message_primary))
        return real(statement, step, ctx, conn)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(concurrent_index, "send", listening)
        apply_all(plan, database)
    assert set(seen) == {"lock 0, statement 0"}


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SAY_SECONDS", 0.2)


def test_who_holds_it_up_is_told_while_it_waits(
    each_database: MakeDatabase, often: None, caplog: pytest.LogCaptureFixture
) -> None:
    """A writer with an open transaction first, then a session that looks at another table with an old snapshot."""
    caplog.set_level(logging.INFO)
    database = each_database(script=TABLE)
    with (
        psycopg.connect(database.conninfo, application_name="the shop") as writer,
        psycopg.connect(database.conninfo, application_name="a report") as reader,
    ):
        writer.execute("UPDATE t SET v = -1 WHERE id = 1 AND 'kept secret' <> ''")
        with in_background(lambda: apply_all(indexed(), database)) as raised:
            wait_for(database, WAITS.format("waiting for writers before build"))
            told = f"step i waits for the end of a transaction of pid {writer.info.backend_pid} (the shop, user"
            wait_until(lambda: caplog.text.count(told) >= 2)
            reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            reader.execute("SELECT count(*) FROM pg_class")
            writer.commit()
            wait_for(database, WAITS.format("waiting for old snapshots"))
            other = f"pid {reader.info.backend_pid} (a report, user migrator, idle in transaction, transaction open for"
            wait_until(lambda: other in caplog.text)
            assert query(database, "INSERT INTO t VALUES (2000, 2000) RETURNING id") == [(2000,)], "nobody waits for us"
            reader.rollback()
    assert raised == []
    assert query(database, f"SELECT {VALID}") == [(True,)]
    assert "waiting for writers before build, 0 of 1 waits done" in caplog.text
    assert "kept secret" not in caplog.text


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "never true"
        time.sleep(0.05)


def test_at_its_deadline_it_is_given_up_and_leaves_nothing(each_database: MakeDatabase) -> None:
    database = each_database(script=TABLE + "CREATE TABLE u (id int)")
    with psycopg.connect(database.conninfo, application_name="a report") as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM u")
        pid = reader.info.backend_pid
        with pytest.raises(StatementFailed, match="was given up at its deadline, after 1 second") as caught:
            apply_all(indexed(deadline="1 second"), database)
        assert f"waiting for old snapshots, 0 of 1 waits done, held up by pid {pid} (a report" in str(caught.value)
        assert 'the invalid index "public"."t_v" is dropped' in str(caught.value)
        assert query(database, "SELECT to_regclass('t_v')") == [(None,)]
    apply_all(indexed(deadline="1 minute"), database)
    assert query(database, f"SELECT {VALID}") == [(True,)]


def test_what_cannot_be_removed_at_the_deadline_is_told(database: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """DROP INDEX CONCURRENTLY waits for the same transaction."""
    monkeypatch.setattr(concurrent_index, "CLEANUP_TIMEOUT_MS", 300)
    query(database, TABLE)
    with psycopg.connect(database.conninfo) as writer:
        writer.execute("UPDATE t SET v = -1 WHERE id = 1")
        with pytest.raises(StatementFailed, match=r"the invalid index .* could not be dropped, the next try"):
            apply_all(indexed(deadline="1 second"), database)
    (result,) = apply_all(indexed(), database)
    assert result.statements[0].outcome == "repaired"


def test_equal_keys_are_counted_before_anything_is_built(database: Endpoint, tmp_path: Path) -> None:
    query(database, TABLE + "INSERT INTO t VALUES (0, 7), (0, 7), (0, 8), (0, NULL), (0, NULL)")
    told = r"i\.sql:1: the index is not begun: 2 keys of \(v\) are there more than once, in 5 rows"
    keeper = Keeper(lambda: LocalFile(tmp_path / "kept.txt"), lambda text: None)
    with kept_by(keeper), pytest.raises(StatementFailed, match=told) as caught:
        apply_all(indexed(UNIQUE), database)
    assert caught.value.fields["sqlstate"] == "23505"
    assert "(7) in 3 rows; (8) in 2 rows" in (tmp_path / "kept.txt").read_text()
    assert query(database, "SELECT to_regclass('t_v')") == [(None,)]


def test_equal_keys_that_come_meanwhile_are_counted_after_the_build(database: Endpoint) -> None:
    query(database, TABLE)
    with psycopg.connect(database.conninfo) as writer:
        writer.execute("INSERT INTO t VALUES (0, 1)")
        with in_background(lambda: apply_all(indexed(UNIQUE), database)) as raised:
            wait_for(database, WAITS.format("waiting for writers before build"))
            writer.commit()
    (error,) = raised
    assert isinstance(error, StatementFailed)
    assert "1 key of (v) is there more than once, in 2 rows" in str(error)
    assert query(database, "SELECT to_regclass('t_v')") == [(None,)], "an invalid unique index would refuse rows"


def test_a_unique_index_of_an_expression_fails_by_itself(database: Endpoint) -> None:
    """What it calls is not run before the build: others may have made it."""
    query(database, TABLE)
    with pytest.raises(StatementFailed, match=r"i\.sql:1:1: could not create unique index .*23505"):
        apply_all(indexed("CREATE UNIQUE INDEX CONCURRENTLY t_v ON t ((v % 2))"), database)
    assert query(database, "SELECT to_regclass('t_v')") == [(None,)]
