"""Every setting of a migration's session, read back from pg_settings while a statement of each kind runs."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from migrator.database import session
from migrator.database.session import Endpoint
from tests.factories import plan_from_sql
from tests.integration.stages import apply_all, query, roll_back, verify_it

NAMES = (
    "lock_timeout",
    "statement_timeout",
    "idle_in_transaction_session_timeout",
    "client_connection_check_interval",
    "search_path",
    "TimeZone",
    "application_name",
    "synchronous_commit",
    "standard_conforming_strings",
    "default_transaction_read_only",
)
SEEN = "SELECT name, setting FROM pg_settings WHERE name IN ({})".format(", ".join(f"'{name}'" for name in NAMES))
ALWAYS = {
    "client_connection_check_interval": "1000",
    "idle_in_transaction_session_timeout": "300000",
    "search_path": "public",
    "TimeZone": "UTC",
    "application_name": "migration apply 001_test",
    "synchronous_commit": "on",
    "standard_conforming_strings": "on",
    "default_transaction_read_only": "off",
}
SPY = """
CREATE TABLE t (id int);
INSERT INTO t VALUES (1);
CREATE FUNCTION spy(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF current_setting('lock_timeout') = '0' AND current_setting('statement_timeout') = '0' THEN
        RAISE WARNING 'none';
    ELSE
        RAISE WARNING 'some';
    END IF;
    RETURN $1;
END $$;
"""


NEITHER = {"a message that may hold rows, in function public.spy(integer) line 4 at RAISE"}
"""Which of the two is told by its line."""


@pytest.fixture
def hostile(database: Endpoint) -> Endpoint:
    """A database whose own settings would hurt."""
    with psycopg.connect(database.conninfo, autocommit=True) as conn:
        for setting in (
            "lock_timeout = '1h'",
            "statement_timeout = '1s'",
            "search_path = 'nowhere'",
            "timezone = 'Asia/Kathmandu'",
            "default_transaction_read_only = on",
            "synchronous_commit = off",
        ):
            conn.execute(f'ALTER DATABASE "{conn.info.dbname}" SET {setting}'.encode())
    return database


def test_in_a_transaction(hostile: Endpoint) -> None:
    plan = plan_from_sql(f"CREATE TABLE seen AS {SEEN}", lock_timeout_ms=1234, statement_timeout_ms=56789)
    apply_all(plan, hostile)
    seen = dict(query(hostile, "SELECT * FROM public.seen"))
    assert seen == {**ALWAYS, "lock_timeout": "1234", "statement_timeout": "56789"}


def test_one_by_one(hostile: Endpoint) -> None:
    """Again before each statement: one before it may have changed them."""
    plan = plan_from_sql(
        f"SET lock_timeout = '1h'; SET statement_timeout = '1ms'; VACUUM; CREATE TABLE seen AS {SEEN};",
        lock_timeout_ms=1234,
        statement_timeout_ms=56789,
    )
    apply_all(plan, hostile)
    seen = dict(query(hostile, "SELECT * FROM public.seen"))
    assert seen == {**ALWAYS, "lock_timeout": "1234", "statement_timeout": "56789"}


def test_no_timeout_ends_a_concurrent_build(database: Endpoint) -> None:
    query(database, SPY)
    plan = plan_from_sql("CREATE INDEX CONCURRENTLY t_spy ON t (spy(id))", lock_timeout_ms=99, statement_timeout_ms=99)
    (result,) = apply_all(plan, database)
    assert set(result.warnings) == NEITHER
    again = plan_from_sql("REINDEX INDEX CONCURRENTLY t_spy", version="002_again", lock_timeout_ms=9)
    assert not verify_it(plan, database).failed
    (result,) = apply_all(again, database)
    assert set(result.warnings) == NEITHER


def test_in_the_rollback(database: Endpoint) -> None:
    plan = plan_from_sql("CREATE TABLE a (id int)", f"DROP TABLE a; CREATE TABLE seen AS {SEEN}", lock_timeout_ms=1234)
    apply_all(plan, database)
    roll_back(plan, database)
    seen = dict(query(database, "SELECT * FROM public.seen"))
    wanted = {**ALWAYS, "lock_timeout": "1234", "statement_timeout": "0"}
    assert seen == {**wanted, "application_name": "migration rollback 001_test"}


@pytest.mark.parametrize("purpose", ["apply", "verify", "ledger", "lock", "observe", "snapshot", "cancel"])
def test_every_setting_is_what_was_asked_for(hostile: Endpoint, purpose: str) -> None:
    with session.connect(hostile, purpose=purpose, version="001_test", lock_timeout_ms=700) as conn:
        wanted = session.settings_for(
            hostile, purpose=purpose, lock_timeout_ms=700, server_version_num=conn.info.server_version
        )
        for name, value in wanted.items():
            row = conn.execute("SELECT current_setting(%s), %s::text", (name, value)).fetchone()
            assert row is not None
            if value.endswith("ms"):
                milliseconds = conn.execute("SELECT setting FROM pg_settings WHERE name = %s", (name,)).fetchone()
                assert milliseconds == (value.removesuffix("ms"),)
            else:
                assert row[0] == value, name
        assert conn.info.parameter_status("application_name") == f"migration {purpose} 001_test"
        assert conn.autocommit


def test_set_role_and_search_path(database: Endpoint, superuser: str) -> None:
    """The migration's objects belong to the role; the session's own name still starts with migration."""
    with psycopg.connect(superuser, autocommit=True) as conn:
        conn.execute("DROP ROLE IF EXISTS app_owner")
        conn.execute("CREATE ROLE app_owner")
        conn.execute("GRANT app_owner TO migrator")
        conn.execute("CREATE SCHEMA app AUTHORIZATION app_owner")
        conn.execute(f'GRANT CREATE ON DATABASE "{conn.info.dbname}" TO app_owner'.encode())
    endpoint = replace(database, role="app_owner", search_path="app")
    try:
        apply_all(plan_from_sql("CREATE TABLE a (id int)"), endpoint)
        assert query(database, "SELECT tableowner, schemaname FROM pg_tables WHERE tablename = 'a'") == [
            ("app_owner", "app")
        ]
    finally:
        with psycopg.connect(superuser, autocommit=True) as conn:
            conn.execute("DROP OWNED BY app_owner CASCADE")
            conn.execute("DROP ROLE app_owner")


def test_settings_of_one_step_do_not_reach_the_next(database: Endpoint) -> None:
    """D.40: each step has a session of its own, so SET ROLE or a search_path of one file ends with it."""
    query(database, "CREATE SCHEMA elsewhere")
    first = plan_from_sql("SET search_path = elsewhere; CREATE TABLE a (id int);", version="001_first")
    apply_all(first, database)
    assert not verify_it(first, database).failed
    apply_all(plan_from_sql("CREATE TABLE b (id int);", version="002_second"), database)
    rows = query(database, "SELECT tablename, schemaname FROM pg_tables WHERE tablename IN ('a', 'b') ORDER BY 1")
    assert rows == [("a", "elsewhere"), ("b", "public")]
