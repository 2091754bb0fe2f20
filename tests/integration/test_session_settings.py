"""Every setting of a migration's session, read back from pg_settings while a statement of each kind runs."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from migrator.database import meanings, session
from migrator.database.session import Endpoint
from migrator.embedded.server import Server
from migrator.errors import DriftDetected, Refused, StatementFailed
from migrator.evidence import LACKING, Verdict
from migrator.ledger.ledger import Ledger
from migrator.reports.review_card import concerns
from migrator.stages import dry_run, preflight
from tests.evidence import make_bundle, read_schema
from tests.factories import make_plan, plan_from_sql
from tests.factories_evidence import record_of, restore_of
from tests.integration.conftest import MakeDatabase
from tests.integration.copies import COPY, make_copy
from tests.integration.copies import run_of as run_of_copy
from tests.integration.stages import apply_all, make_target, query, roll_back, run_of, verify_it

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


OTHERWISE = {
    "transform_null_equals": ("on", "(1 = NULL) IS NULL"),
    "array_nulls": ("off", "'{NULL}'::text[] IS NOT DISTINCT FROM ARRAY[NULL::text]"),
    "IntervalStyle": ("sql_standard", "(interval '1 2:03:04')::text = '1 day 02:03:04'"),
    "DateStyle": ("'German, DMY'", "(date '01-02-03')::text = '2001-02-03'"),
    "timezone_abbreviations": ("'India'", "timestamptz '2020-01-01 12:00 IST' = '2020-01-01 10:00+00'"),
    "extra_float_digits": ("-10", "(0.1::float8 + 0.2::float8)::text = '0.30000000000000004'"),
    "bytea_output": ("escape", r"('\x41'::bytea)::text = '\x41'"),
    "xmloption": ("document", "current_setting('xmloption') = 'content'"),
    "xmlbinary": ("hex", "current_setting('xmlbinary') = 'base64'"),
    "backslash_quote": ("off", r"E'\'' = ''''"),
    "row_security": ("off", "current_setting('row_security') = 'on'"),
    "gin_fuzzy_search_limit": ("1", "current_setting('gin_fuzzy_search_limit') = '0'"),
    "check_function_bodies": ("off", "current_setting('check_function_bodies') = 'on'"),
    "client_min_messages": ("error", "current_setting('client_min_messages') = 'notice'"),
    "exit_on_error": ("on", "current_setting('exit_on_error') = 'off'"),
}
"""What a database may have, and what SQL says only without it."""


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
            *(f"{name} = {value}" for name, (value, _) in OTHERWISE.items()),
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


def of_database(superuser: str, setting: str, *, role: str = "") -> None:
    with psycopg.connect(superuser, autocommit=True) as conn:
        whose = f'ROLE {role} IN DATABASE "{conn.info.dbname}"' if role else f'DATABASE "{conn.info.dbname}"'
        conn.execute(f"ALTER {whose} SET {setting}".encode())


def test_a_text_means_what_it_means_everywhere(hostile: Endpoint) -> None:
    said = ", ".join(f"({told}) AS {name}" for name, (_, told) in OTHERWISE.items())
    apply_all(plan_from_sql(f"CREATE TABLE seen AS SELECT {said};"), hostile)
    with psycopg.connect(hostile.conninfo, row_factory=psycopg.rows.dict_row) as conn:
        conn.execute("SET client_min_messages = notice")
        (row,) = conn.execute("SELECT * FROM public.seen").fetchall()
    assert row == dict.fromkeys((name.lower() for name in OTHERWISE), True)


def test_an_assert_is_asked_whatever_the_database_says(each_server: Server, each_database: MakeDatabase) -> None:
    """Also where PL/pgSQL is loaded later than its settings are set."""
    database = each_database("asserts", script="CREATE TABLE t AS SELECT 1 AS id;")
    with psycopg.connect(each_server.conninfo(database.name), autocommit=True) as conn:
        for setting in ("plpgsql.check_asserts = off", "plpgsql.extra_errors = 'all'"):
            conn.execute(f'ALTER DATABASE "{database.name}" SET {setting}'.encode())
    shadowed = "DO $$ DECLARE a int; BEGIN DECLARE a int; BEGIN NULL; END; END $$;"
    plan = plan_from_sql(shadowed, version="001_shadowed")
    apply_all(plan, database)
    assert not verify_it(plan, database).failed
    with pytest.raises(StatementFailed, match="rows would be lost"):
        apply_all(plan_from_sql("DO $$ BEGIN ASSERT false, 'rows would be lost'; DELETE FROM t; END $$;"), database)
    assert query(database, "SELECT * FROM public.t") == [(1,)]


@pytest.mark.parametrize(
    "setting, of_role",
    [
        ("session_replication_role = replica", False),
        ("session_replication_role = local", True),
        ("lo_compat_privileges = on", False),
        ("plpgsql.variable_conflict = use_variable", False),
        ("zero_damaged_pages = on", False),
    ],
)
def test_what_only_superusers_may_set_keeps_sql_out(
    database: Endpoint, superuser: str, setting: str, of_role: bool
) -> None:
    query(database, "CREATE TABLE t AS SELECT 1 AS id")
    of_database(superuser, setting, role="migrator" if of_role else "")
    name, mended = setting.split()[0], 'ALTER ROLE "migrator" IN DATABASE' if of_role else "ALTER DATABASE"
    plan = plan_from_sql("DELETE FROM t;")
    with pytest.raises(Refused, match=f"(?s){name} is .*{mended} .* RESET {name}"):
        apply_all(plan, database)
    assert query(database, "SELECT * FROM public.t") == [(1,)]
    bundle = make_bundle(plan, before := read_schema(database), before)
    with Ledger(database) as ledger, pytest.raises(Refused, match=f"RESET {name}"):
        preflight.run_checks(
            plan, bundle, endpoint=database, ledger=ledger, target=make_target(), migration=None, run=run_of(plan)
        )


def test_a_role_that_the_database_chooses_is_refused_and_the_configured_one_is_not(
    database: Endpoint, superuser: str
) -> None:
    with psycopg.connect(superuser, autocommit=True) as conn:
        conn.execute("DROP ROLE IF EXISTS chosen")
        conn.execute("CREATE ROLE chosen")
        conn.execute("GRANT chosen TO migrator")
        conn.execute(f'GRANT CREATE ON DATABASE "{conn.info.dbname}" TO chosen'.encode())
    of_database(superuser, "role = chosen")
    plan = plan_from_sql("CREATE TABLE a (id int)")
    try:
        with pytest.raises(Refused, match=r'(?s)say "role".*RESET role'):
            apply_all(plan, database)
        with session.connect(database, purpose="observe") as looking:
            assert looking.execute("SELECT current_user::text").fetchone() == ("migrator",)
        with session.connect(replace(database, role="chosen"), purpose="apply") as conn:
            assert conn.execute("SELECT current_user::text").fetchone() == ("chosen",)
    finally:
        with psycopg.connect(superuser, autocommit=True) as conn:
            conn.execute("SET ROLE NONE")
            conn.execute(f'ALTER DATABASE "{conn.info.dbname}" RESET role'.encode())
            conn.execute("DROP OWNED BY chosen CASCADE")
            conn.execute("DROP ROLE chosen")


def test_settings_that_have_changed_since_the_snapshot_are_drift(database: Endpoint, superuser: str) -> None:
    plan = make_plan()
    before = read_schema(database)
    with session.connect(database, purpose="snapshot") as conn:
        bundle = make_bundle(plan, before, before)
        bundle = replace(bundle, snapshot=replace(bundle.snapshot, settings=meanings.of_target(conn)))
    of_database(superuser, "default_text_search_config = 'pg_catalog.german'")
    with pytest.raises(DriftDetected, match=r"default_text_search_config was .* is 'pg_catalog.german'"):
        apply_all(plan, database, bundle)
    with Ledger(database) as ledger, pytest.raises(Refused, match=r"is 'pg_catalog.german'"):
        preflight.run_checks(
            plan, bundle, endpoint=database, ledger=ledger, target=make_target(), migration=None, run=run_of(plan)
        )


def test_the_copy_rehearses_with_the_targets_own(copies: Endpoint) -> None:
    plan = plan_from_sql(
        "CREATE TABLE seen AS SELECT to_tsvector('the houses') AS v;",
        "DROP TABLE seen;",
        assertions=("SELECT v = to_tsvector('simple', 'the houses') FROM seen",),
    )
    copy = make_copy(copies)
    own = {"default_text_search_config": "pg_catalog.simple", "default_tablespace": "fast"}
    record = replace(record_of(copy), settings=own)
    evidence = dry_run.run(plan, record, restore_of(record, COPY), copies=copies, run=run_of_copy(plan))
    assert evidence.verdict is Verdict.PASSED
    (told,) = evidence.extra[LACKING]
    assert "default_tablespace is 'fast' on the target" in told
    bundle = replace(make_bundle(plan), dry_run=evidence)
    assert any("rehearsed without" in str(one) and "default" in str(one) for one in concerns(plan, bundle))
