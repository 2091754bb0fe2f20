"""What the rules about privileges take for granted, asked of the server: the lists of functions, settings and roles,
and that each way to more rights is one."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import psycopg
import pytest

from migrator.analysis.inspection import inspect
from migrator.analysis.known import Known, Sources
from migrator.analysis.rules import PRIVILEGES
from migrator.analysis.rules.privileges import engine_limits, other_sessions, roles, server_files, superuser_settings
from migrator.database.session import Endpoint, connect
from migrator.facts.query import collect_facts
from migrator.parsing.statements import parse
from migrator.plan import Risk, Severity
from tests.integration.conftest import MakeDatabase

ONLY_TELL = {
    "pg_config",
    "pg_get_aios",
    "pg_get_backend_memory_contexts",
    "pg_get_shmem_allocations",
    "pg_get_shmem_allocations_numa",
    "pg_replication_origin_oid",
    "pg_replication_origin_progress",
    "pg_replication_origin_session_is_setup",
    "pg_replication_origin_session_progress",
    "pg_show_replication_origin_status",
    "pg_stat_have_stats",
}
"""Not for everybody, and they do nothing: what they tell is no secret of the database's."""


def test_what_the_server_keeps_from_public_is_in_the_lists(superuser: str) -> None:
    with psycopg.connect(superuser) as conn:
        kept = {
            name
            for (name,) in conn.execute(
                "SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace"
                " AND NOT has_function_privilege('public', oid, 'EXECUTE')"
            )
        }
    assert len(kept) > 40
    assert kept - server_files.FUNCTIONS - other_sessions.FUNCTIONS == kept & ONLY_TELL


def test_the_lists_name_functions_that_some_version_has(superuser: str) -> None:
    """A misspelt name finds nothing."""
    elsewhere = {name for name in server_files.FUNCTIONS if name.startswith(("pg_file_", "pg_logdir_"))}
    with psycopg.connect(superuser) as conn:
        version = conn.info.server_version // 10000
        there = {name for (name,) in conn.execute("SELECT proname FROM pg_proc")}
    if version < 18:
        pytest.skip("older versions have fewer")
    gone = {"pg_start_backup", "pg_stop_backup"}
    named = server_files.FUNCTIONS | other_sessions.FUNCTIONS | set(engine_limits.UNLOCKED)
    assert named - there == elsewhere | gone


def test_settings_of_superusers_are_in_the_list(superuser: str) -> None:
    with psycopg.connect(superuser) as conn:
        rows = conn.execute("SELECT name FROM pg_settings WHERE context IN ('superuser', 'superuser-backend')")
        names = {name for (name,) in rows if "." not in name}
    assert names - superuser_settings.NAMES == {"session_replication_role"}


def test_predefined_roles_are_in_the_list(superuser: str) -> None:
    with psycopg.connect(superuser) as conn:
        names = {name for (name,) in conn.execute(r"SELECT rolname FROM pg_roles WHERE rolname ~ '^pg_'")}
    assert names <= roles.PREDEFINED.keys()


@dataclass(frozen=True)
class Way:
    """What a migration says, and what is true for `role` afterwards."""

    sql: str
    true: str
    before: str = "SELECT 1"
    role: str = "postgres"


SECURED = (
    "CREATE TABLE t AS SELECT 1 AS id; ALTER TABLE t ENABLE ROW LEVEL SECURITY; GRANT SELECT ON t TO somebody;"
    "CREATE POLICY one ON t USING (id > 0); CREATE POLICY two ON t AS RESTRICTIVE USING (false)"
)
SOMEBODY = "SELECT current_user = 'somebody'"
LIMIT = "SELECT current_setting('lock_timeout') = '{}'"
MEMBER = "SELECT pg_has_role('{}', '{}', 'MEMBER')"
CREATEDB = "SELECT rolcreatedb FROM pg_roles WHERE rolname = 'somebody'"
READ = "SELECT count(*) = 1 FROM t"
WAYS = [
    Way("DO $$ DECLARE x text; BEGIN x := set_config('role', 'somebody', true); END $$", SOMEBODY),
    Way("SELECT set_config('RO' || 'LE', 'somebody', true)", SOMEBODY),
    Way("DO $$ DECLARE a int[]; BEGIN a[length(set_config('role', 'somebody', true))] := 1; END $$", SOMEBODY),
    Way("UPDATE pg_settings SET setting = '7' WHERE name = 'lock_timeout'", LIMIT.format("7ms")),
    Way("RESET lock_timeout", LIMIT.format("0"), "SET lock_timeout = '5s'"),
    Way("RESET ALL", LIMIT.format("0"), "SET lock_timeout = '5s'"),
    Way(
        "WITH x AS (UPDATE pg_proc SET prosecdef = true WHERE proname = 'f' RETURNING 1) SELECT * FROM x",
        "SELECT prosecdef FROM pg_proc WHERE proname = 'f'",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ),
    Way("CREATE OPERATOR ## (FUNCTION = pg_read_file, RIGHTARG = text)", "SELECT length(## 'PG_VERSION') > 0"),
    Way(
        "CREATE TABLE leak AS SELECT * FROM ts_stat('SELECT pg_read_file(''PG_VERSION'')::tsvector')",
        "SELECT count(*) = 1 FROM leak",
    ),
    Way("CREATE ROLE x IN ROLE pg_execute_server_program", MEMBER.format("x", "pg_execute_server_program")),
    Way("ALTER GROUP crowd ADD USER somebody", MEMBER.format("somebody", "crowd"), "CREATE ROLE crowd"),
    Way(
        "CREATE SCHEMA s CREATE TABLE t (id int) GRANT ALL ON t TO PUBLIC",
        "SELECT has_table_privilege('public', 's.t', 'DELETE')",
    ),
    Way(
        "CREATE FUNCTION f() RETURNS text LANGUAGE sql SET role = somebody AS 'SELECT current_user::text'",
        "SELECT f() = 'somebody'",
    ),
    Way(
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN ALTER ROLE somebody CREATEDB; RETURN new; END $$;"
        "CREATE TRIGGER t AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f(); INSERT INTO t VALUES (1)",
        CREATEDB,
        "CREATE TABLE t (id int)",
    ),
    Way("DO $$ DECLARE x text; BEGIN x := 'ALTER ROLE somebody CREATEDB'; EXECUTE x; END $$", CREATEDB),
    Way("DO $$ BEGIN EXECUTE format('ALTER ROLE %I CREATEDB', lower('SOMEBODY')); END $$", CREATEDB),
    Way(
        "CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS"
        " $$ BEGIN RETURN (SELECT min(datname) FROM pg_database); END $$",
        "CREATE TEMP TABLE pg_database AS SELECT 'captured'::text AS datname; SELECT f() = 'captured'",
        role="somebody",
    ),
    Way(
        "CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, h, pg_temp AS"
        " $$ BEGIN RETURN who(); END $$",
        "CREATE FUNCTION public.who() RETURNS text LANGUAGE sql AS $$ SELECT current_user::text || ' captured' $$;"
        "SELECT f() = 'postgres captured'",
        "CREATE SCHEMA h; CREATE FUNCTION h.who() RETURNS text LANGUAGE sql AS $$ SELECT 'it' $$;"
        "GRANT CREATE ON SCHEMA public TO somebody",
        "somebody",
    ),
    Way(
        "CREATE POLICY three ON t USING (1 = 1)",
        READ,
        f"{SECURED}; DROP POLICY one ON t; DROP POLICY two ON t",
        "somebody",
    ),
    Way("DROP POLICY two ON t", READ, SECURED, "somebody"),
    Way("ALTER TABLE t DISABLE ROW LEVEL SECURITY", READ, SECURED, "somebody"),
    Way(
        "ALTER VIEW v RESET (security_invoker)",
        "SELECT count(*) = 1 FROM v",
        "CREATE TABLE t AS SELECT 1 AS id; CREATE VIEW v WITH (security_invoker) AS SELECT * FROM t;"
        "GRANT SELECT ON v TO somebody",
        "somebody",
    ),
    Way(
        "CREATE FUNCTION f(a text) RETURNS text LANGUAGE internal AS 'pg_read_file_all'",
        "SELECT length(f('PG_VERSION')) > 0",
    ),
    Way(
        "CREATE FUNCTION counted(relation text) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER"
        " SET search_path = pg_catalog, pg_temp AS $$ DECLARE result bigint;"
        " BEGIN EXECUTE 'SELECT count(*) FROM ' || relation INTO result; RETURN result; END $$",
        "SELECT counted('pg_authid') > 0",
        role="somebody",
    ),
    Way(
        "CREATE VIEW v AS SELECT rolname, rolpassword FROM pg_authid",
        "SELECT count(*) > 0 FROM v",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO somebody",
        "somebody",
    ),
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.sql[:60])
def test_what_is_found_does_what_is_said(way: Way, superuser: str) -> None:
    with psycopg.connect(superuser, autocommit=True) as conn:
        if "security_invoker" in way.sql and conn.info.server_version < 150000:
            pytest.skip("from 15 on")
        with conn.transaction(force_rollback=True):
            conn.execute("CREATE ROLE somebody")
            conn.execute(way.before.encode())
            assert _answer(conn, way) != (True,), "it is so without it"
            conn.execute(way.sql.encode())
            assert _answer(conn, way) == (True,)
    inspection = inspect(Sources((parse(way.sql, file="x.sql"),)))
    assert {item.rule for item in inspection.findings if item.severity is not Severity.INFO} & PRIVILEGES
    assert inspection.classification.risk is Risk.HIGH


def _answer(conn: psycopg.Connection, way: Way) -> object:
    """None when the server refuses."""
    answer = None
    *first, last = way.true.split(";")
    with contextlib.suppress(psycopg.Error), conn.transaction(force_rollback=True):
        for text in ("SET LOCAL ROLE somebody",) * (way.role == "somebody") + tuple(first):
            conn.execute(text.encode())
        answer = conn.execute(last.encode()).fetchone()
    return answer


def test_locks_are_given_back_together_but_not_those_of_another_session(superuser: str) -> None:
    """The engine's migration lock is held by a session of its own: no statement of a file reaches it."""
    with psycopg.connect(superuser, autocommit=True) as holder, psycopg.connect(superuser, autocommit=True) as conn:
        holder.execute("SELECT pg_advisory_lock(42)")
        conn.execute("SELECT pg_advisory_lock(43)")
        conn.execute("SELECT pg_advisory_unlock(42), pg_advisory_unlock_all()")
        row = conn.execute("SELECT array_agg(objid::int) FROM pg_locks WHERE locktype = 'advisory'").fetchone()
    assert row == ([42],)


@pytest.mark.parametrize("granted, found", [("", False), ("GRANT CREATE ON SCHEMA app TO PUBLIC", True)])
def test_the_server_tells_in_which_schemas_others_may_create(
    granted: str, found: bool, make_database: MakeDatabase
) -> None:
    endpoint = make_database(script=f"CREATE SCHEMA app; {granted}")
    sql = "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = app, pg_temp AS 'SELECT 1'"
    assert (_path(sql, endpoint) != []) is found


def _path(sql: str, endpoint: Endpoint) -> list[str]:
    parsed = parse(sql, file="x.sql")
    with connect(endpoint, purpose="observe") as conn:
        facts = collect_facts(conn, (parsed,))
    findings = inspect(Sources((parsed,)), Known(facts=facts)).findings
    return [item.message for item in findings if item.rule == "security-definer-path"]


RUN_BY_OTHERS = """
CREATE TABLE told (body text);
CREATE TABLE t (id int, more int DEFAULT 0);
CREATE FUNCTION next() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION over(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN public.next() + $1; END';
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
"""
OPEN_TEXT = "LANGUAGE plpgsql AS $$ BEGIN EXECUTE (SELECT body FROM told); RETURN {}; END $$"


@pytest.mark.parametrize(
    "there, name, result",
    [
        ("ALTER TABLE t ALTER COLUMN more SET DEFAULT next();", "next()", "int"),
        ("CREATE POLICY p ON t USING (next() = id);", "next()", "int"),
        ("ALTER TABLE t ADD CHECK (next() = id) NOT VALID;", "next()", "int"),
        ("CREATE VIEW v AS SELECT next() AS n;", "next()", "int"),
        ("CREATE RULE r AS ON INSERT TO t DO ALSO SELECT next();", "next()", "int"),
        ("CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION noted();", "noted()", "trigger"),
        ("CREATE INDEX i ON t (over(id));", "next()", "int"),
        ("ALTER TABLE t ALTER COLUMN more SET DEFAULT over(1);", "next()", "int"),
    ],
)
def test_half_known_text_replaces_what_others_run(database: Endpoint, there: str, name: str, result: str) -> None:
    up = f"CREATE OR REPLACE FUNCTION {name} RETURNS {result} {OPEN_TEXT.format('NEW' if result == 'trigger' else 1)};"
    assert "half-known-text" not in told_of(database, RUN_BY_OTHERS, up)
    assert "half-known-text" in told_of(database, there, up)


def told_of(database: Endpoint, script: str, up: str) -> set[str]:
    """Rules that find more than a remark in `up` after `script`."""
    with psycopg.connect(database.conninfo) as conn:
        conn.execute(script.encode())
    parsed = parse(up, file="x.sql")
    with connect(database, purpose="observe") as conn:
        facts = collect_facts(conn, (parsed,))
    found = inspect(Sources((parsed,)), Known(facts=facts)).findings
    return {one.rule for one in found if one.severity is not Severity.INFO}
