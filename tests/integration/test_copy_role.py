"""What the author of a migration can do to the server for restored copies: nothing, and nothing of it unseen."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from migrator.backups import copies as restored
from migrator.backups.copies import trial_name
from migrator.backups.copy_role import CopyRole
from migrator.backups.trial import trial_database
from migrator.database import door, session
from migrator.database.session import Endpoint
from migrator.embedded.server import Server
from migrator.errors import CopySpoiled, EnvironmentFault, MigratorError, Refused
from migrator.evidence import Verdict
from migrator.rehearsal import census
from migrator.stages import dry_run, restore_test, snapshot
from tests.factories import make_plan, plan_from_sql
from tests.integration.conftest import RESTORER, database_on, prepare_for_copies
from tests.integration.copies import COPY, RUN, check_of, copy_of, failed, make_copy, rehearse
from tests.integration.stages import make_target

TRY = trial_name(COPY)


@pytest.fixture
def each_copies(each_server: Server) -> Iterator[Endpoint]:
    """A server for restored copies, of each major."""
    endpoint = prepare_for_copies(each_server)
    with psycopg.connect(each_server.conninfo(), autocommit=True) as admin:
        admin.execute("CREATE ROLE somebody LOGIN PASSWORD 'x'")
        admin.execute("CREATE DATABASE payroll")
        admin.execute("REVOKE ALL ON DATABASE payroll FROM PUBLIC")
        # The tests' own template belongs to another kind of server.
        admin.execute("REVOKE ALL ON DATABASE template_of_tests FROM PUBLIC")
        yield endpoint
        for (name,) in admin.execute(LEFT_DATABASES).fetchall():
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        for (name,) in admin.execute(LEFT_ROLES).fetchall():
            admin.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(name)))


LEFT_DATABASES = "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'"
LEFT_ROLES = "SELECT rolname FROM pg_roles WHERE oid >= 16384 AND rolname <> 'migrator'"
EVERYTHING = """
SELECT 'role', rolname::text, to_jsonb(a)::text FROM pg_authid AS a WHERE rolname <> %(copy)s
UNION ALL SELECT 'member', m.member::text, to_jsonb(m)::text FROM pg_auth_members AS m
UNION ALL SELECT 'database', datname::text, (to_jsonb(d) - '{datfrozenxid,datminmxid}'::text[])::text
    FROM pg_database AS d
UNION ALL SELECT 'setting', setrole::text, to_jsonb(s)::text FROM pg_db_role_setting AS s
ORDER BY 1, 2, 3
"""
"""As a superuser sees it, passwords as well."""


def everything(server: Server) -> list[tuple[str, ...]]:
    with psycopg.connect(server.conninfo()) as conn:
        return conn.execute(EVERYTHING, {"copy": COPY}).fetchall()


def in_block(*texts: str) -> str:
    """Where the names are known at run time only."""
    lines = "\n".join(f"EXECUTE format($f${text}$f$, current_database(), current_user);" for text in texts)
    return f"DO $$BEGIN\n{lines}\nEND$$"


REFUSED = {
    "own powers": "ALTER ROLE CURRENT_USER CREATEDB",
    "own end": "ALTER ROLE CURRENT_USER VALID UNTIL 'infinity'",
    "own comment": in_block("COMMENT ON ROLE %2$I IS NULL"),
    "another's password": f"ALTER ROLE {RESTORER} PASSWORD 'known'",
    "another's settings": f"ALTER ROLE {RESTORER} SET work_mem = '1GB'",
    "everybody's settings": "ALTER ROLE ALL SET work_mem = '1GB'",
    "a role": "CREATE ROLE mine LOGIN PASSWORD 'known'",
    "a role less": "DROP ROLE somebody",
    "a member of ours": f"GRANT {RESTORER} TO CURRENT_USER",
    "a member of programs": "GRANT pg_execute_server_program TO CURRENT_USER",
    "as we": f"SET ROLE {RESTORER}",
    "as we from the start": f"SET SESSION AUTHORIZATION {RESTORER}",
    "to us": f"REASSIGN OWNED BY CURRENT_USER TO {RESTORER}",
    "ours": f"DROP OWNED BY {RESTORER}",
    "a database": f'CREATE DATABASE stolen TEMPLATE "{COPY}"',
    "a database of this": f'CREATE DATABASE stolen TEMPLATE "{TRY}"',
    "the copy": f'DROP DATABASE "{COPY}"',
    "another database": "DROP DATABASE payroll",
    "name of the database": f'ALTER DATABASE "{COPY}" RENAME TO stolen',
    "settings of the database": in_block("ALTER DATABASE %1$I SET work_mem = '1GB'"),
    "owner of the database": in_block("ALTER DATABASE %1$I OWNER TO CURRENT_USER"),
    "limit of the database": in_block("ALTER DATABASE %1$I CONNECTION LIMIT 0"),
    "template": in_block("ALTER DATABASE %1$I IS_TEMPLATE true"),
    "closed": f'ALTER DATABASE "{COPY}" ALLOW_CONNECTIONS false',
    "mark": in_block("COMMENT ON DATABASE %1$I IS NULL"),
    "mark of the copy": f'COMMENT ON DATABASE "{COPY}" IS NULL',
    "our sessions": f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{RESTORER}'",
    "our queries": f"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = '{RESTORER}'",
    "files": "SELECT pg_read_file('PG_VERSION')",
    "folders": "SELECT pg_ls_dir('.')",
    "temporary files": "SELECT * FROM pg_ls_tmpdir()",
    "file in": "COPY messages FROM '/etc/passwd'",
    "file out": "COPY messages TO '/tmp/stolen'",
    "program": "COPY messages TO PROGRAM 'cat'",
    "large object in": "SELECT lo_import('/etc/passwd')",
    "large object out": "SELECT lo_export(lo_from_bytea(0, ''), '/tmp/stolen')",
    "server's settings": "ALTER SYSTEM SET work_mem = '1GB'",
    "reload": "SELECT pg_reload_conf()",
    "slot": "SELECT pg_create_physical_replication_slot('mine')",
    "tablespace": "CREATE TABLESPACE mine LOCATION '/tmp'",
    "event trigger": "CREATE EVENT TRIGGER mine ON ddl_command_end EXECUTE FUNCTION version()",
    "subscription": "CREATE SUBSCRIPTION mine CONNECTION 'dbname=postgres' PUBLICATION p WITH (connect = false)",
    "passwords": "SELECT rolpassword FROM pg_authid",
}
ITSELF = {
    "own settings elsewhere": "ALTER ROLE CURRENT_USER IN DATABASE postgres SET work_mem = '1GB'",
    "own password": "ALTER ROLE CURRENT_USER PASSWORD 'known'",
    "own settings": "ALTER ROLE CURRENT_USER SET work_mem = '1GB'",
    "own settings here": in_block("ALTER ROLE CURRENT_USER IN DATABASE %1$I SET work_mem = '1GB'"),
    "a member of itself": in_block("GRANT %2$I TO somebody"),
    "its rights": "DROP OWNED BY CURRENT_USER",
}
"""What PostgreSQL lets a role do to itself; the last but one until 15 only."""
IGNORED = (f'GRANT CONNECT ON DATABASE "{TRY}" TO PUBLIC', f'REVOKE CONNECT ON DATABASE "{COPY}" FROM {RESTORER}')
"""Who has a right on a database but may not give it, gets a warning (restrict_and_check_grant in aclchk.c)."""


def test_the_server_refuses_what_reaches_beyond_the_copy(each_copies: Endpoint, each_server: Server) -> None:
    make_copy(each_copies)
    before = everything(each_server)
    with trial_database(each_copies, copy_of(each_copies)) as trial:
        during = everything(each_server)
        done = [name for name, text in REFUSED.items() if succeeds(trial.texts, text)]
        assert done == []
        assert all(succeeds(trial.texts, text) for text in IGNORED)
        assert everything(each_server) == during
    assert everything(each_server) == before


def succeeds(endpoint: Endpoint, text: str) -> bool:
    with session.connect(endpoint, purpose="apply") as conn:
        try:
            door.send(conn, text)
        except psycopg.Error:
            return False
        return True


@pytest.mark.parametrize("what", ["own password", "a member of itself"])
def test_the_dry_run_fails_and_nothing_stays(each_copies: Endpoint, each_server: Server, what: str) -> None:
    """CREATEROLE means something else from 16 on, and until 15 a role could let others be members of itself."""
    before = everything(each_server)
    copy = make_copy(each_copies)
    text = {**REFUSED, **ITSELF}[what]
    evidence = failed(plan_from_sql(text, "SELECT 1"), each_copies, copy).evidence
    assert Verdict.FAILED in (check_of(evidence, "apply").verdict, check_of(evidence, "server").verdict)
    with pytest.raises(Refused) as caught:  # whatever the first attempt has left
        rehearse(plan_from_sql(text, "SELECT 1"), each_copies, copy)
    assert isinstance(caught.value, CopySpoiled) is (what == "own password")
    with session.connect(each_copies, purpose="drop_copy") as conn:
        assert restored.drop_own(conn, COPY, RUN)
    assert everything(each_server) == before


CHANGES = {
    "own password": "the copy's role has another password",
    "own settings": f"settings role {COPY} is new",
    "own settings elsewhere": f"settings role {COPY} in database postgres is new",
    "own settings here": f"settings role {COPY} in database {TRY} is new",
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_a_role_may_do_to_itself_is_told(copies: Endpoint, what: str) -> None:
    """PostgreSQL lets each role change its own password and settings, so the SQL itself succeeds."""
    copy = make_copy(copies)
    plan = plan_from_sql(ITSELF[what], "SELECT 1")
    error = failed(plan, copies, copy)
    assert CHANGES[what] in check_of(error.evidence, "server").detail
    assert CHANGES[what] in str(error)
    if what == "own password":  # a login may have begun with it
        with pytest.raises(CopySpoiled, match="run again from restore_test"):
            rehearse(plan_from_sql("SELECT 2", "SELECT 1"), copies, copy)
        return
    assert CHANGES[what] in str(failed(plan, copies, copy)), "a second attempt is not blind to it"
    assert rehearse(plan_from_sql("SELECT 2", "SELECT 1"), copies, copy).verdict is Verdict.PASSED, "nobody is shut out"


def test_a_password_of_the_authors_opens_nothing(copies: Endpoint) -> None:
    """He sets it, and tries it for as long as the dry run takes."""
    copy = make_copy(copies)
    known = [make_conninfo(copies.conninfo, user=COPY, password="known", dbname=name) for name in (TRY, COPY)]
    over, refusals, opened = threading.Event(), set[str](), list[str]()

    def knock() -> None:
        while not over.is_set():
            for conninfo in known:
                try:
                    psycopg.connect(conninfo).close()
                    opened.append(conninfo)
                except psycopg.OperationalError as exc:
                    refusals.add(str(exc).rpartition("FATAL:")[2].strip())

    author = threading.Thread(target=knock)
    author.start()
    try:
        text = "ALTER ROLE CURRENT_USER PASSWORD 'known'; SELECT pg_sleep(0.3)"
        failed(plan_from_sql(text, text), copies, copy)
    finally:
        over.set()
        author.join()
    assert opened == []
    assert f'role "{COPY}" is not permitted to log in' in refusals, "the password was right, for a while"


def test_texts_connect_as_a_role_that_has_nothing_else(each_copies: Endpoint) -> None:
    """Not by SET ROLE: RESET ROLE leads nowhere. Assertions and searched rows included."""
    copy = make_copy(each_copies)
    alone = (
        f"SELECT session_user = '{COPY}' AND current_user = session_user"
        " AND NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname <> session_user AND pg_has_role(r.oid, 'MEMBER'))"
        " AND (SELECT array_agg(datname::text) FROM pg_database WHERE has_database_privilege(oid, 'CONNECT') AND"
        f" datallowconn) = '{{{TRY}}}'"
    )
    text = f"RESET ROLE; DO $$BEGIN ASSERT ({alone}); END$$"
    plan = plan_from_sql(text, text, assertions=(alone,))
    assert rehearse(plan, each_copies, copy).verdict is Verdict.PASSED
    rows = plan_from_sql(f"ALTER TABLE messages ADD CHECK (session_user = '{COPY}' AND stars > 0)", "SELECT 1")
    assert "100 rows of messages" in check_of(failed(rows, each_copies, copy).evidence, "data").detail


def test_who_looks_on_cannot_be_ended(copies: Endpoint) -> None:
    """The attempt fails quietly where it is caught: then nothing has happened, and everything is observed."""
    copy = make_copy(copies)
    text = (
        f"DO $$BEGIN PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{RESTORER}';"
        " EXCEPTION WHEN insufficient_privilege THEN NULL; END$$"
    )
    plan = plan_from_sql(f"{text}; CREATE INDEX CONCURRENTLY a ON messages (stars)", "DROP INDEX a")
    evidence = rehearse(plan, copies, copy)
    assert evidence.verdict is Verdict.PASSED
    assert [(lock.relation, lock.mode) for lock in evidence.statements[1].locks] == [
        ("public.messages", "SHARE UPDATE EXCLUSIVE")
    ]


def test_other_runs_come_and_go_meanwhile(copies: Endpoint, copies_server: Server) -> None:
    make_copy(copies)
    with trial_database(copies, copy_of(copies)) as trial, session.connect(copies, purpose="observe") as conn:
        before = census.take(conn, trial.copy.databases)
        other = replace(RUN, run_id="run-2")
        role = CopyRole(restored.new_name(other), copies)
        with session.connect(copies, purpose="restore") as admin:
            made = restored.create(admin, role, run=other)
            with trial_database(copies, made):
                assert census.differences(before, census.take(conn, trial.copy.databases)) == ()
            restored.drop(admin, made)
        assert census.differences(before, census.take(conn, trial.copy.databases)) == ()
        with psycopg.connect(copies_server.conninfo(), autocommit=True) as superuser:
            superuser.execute("CREATE ROLE stranger")
            superuser.execute(f'COMMENT ON DATABASE "{TRY}" IS NULL'.encode())
        found = census.differences(before, census.take(conn, trial.copy.databases))
        assert found == (f"comment database {TRY} is gone", "role stranger is new")


def test_a_role_that_somebody_has_given_more_is_refused(copies: Endpoint, copies_server: Server) -> None:
    copy = make_copy(copies)
    with psycopg.connect(copies_server.conninfo(), autocommit=True) as admin:
        for gift, taken, words in (
            (f"GRANT pg_monitor TO {COPY}", f"REVOKE pg_monitor FROM {COPY}", "is a member of roles"),
            (f"ALTER ROLE {COPY} CREATEDB", f"ALTER ROLE {COPY} NOCREATEDB", "may create databases"),
            (
                f"GRANT CONNECT ON DATABASE postgres TO {COPY}",
                f"REVOKE CONNECT ON DATABASE postgres FROM {COPY}",
                'may connect to "postgres"',
            ),
        ):
            admin.execute(gift.encode())
            with pytest.raises(Refused, match=words):
                rehearse(plan_from_sql("SELECT 1", "SELECT 1"), copies, copy)
            admin.execute(taken.encode())


@pytest.mark.parametrize("given", ["", "set", "inherit", "set, inherit"])
def test_whatever_the_creator_of_a_role_is_given(copies: Endpoint, copies_server: Server, given: str) -> None:
    """createrole_self_grant of PostgreSQL 16: our role gets what it needs, and no more than that, in any case."""
    with psycopg.connect(copies_server.conninfo(), autocommit=True) as admin:
        admin.execute(f"ALTER ROLE {RESTORER} SET createrole_self_grant = '{given}'".encode())
        try:
            copy = make_copy(copies)
            assert rehearse(plan_from_sql("CREATE TABLE a (id int)", "DROP TABLE a"), copies, copy).seconds
            with session.connect(copies, purpose="drop_copy") as conn:
                assert restored.drop_own(conn, COPY, RUN)
        finally:
            admin.execute(f"ALTER ROLE {RESTORER} RESET ALL".encode())


def test_without_createrole_it_is_said(copies: Endpoint, copies_server: Server) -> None:
    with psycopg.connect(copies_server.conninfo(), autocommit=True) as admin:
        admin.execute(f"ALTER ROLE {RESTORER} NOCREATEROLE".encode())
        try:
            with pytest.raises(EnvironmentFault, match="LOGIN, CREATEDB and CREATEROLE"):
                make_copy(copies)
        finally:
            admin.execute(f"ALTER ROLE {RESTORER} CREATEROLE".encode())


def test_no_password_is_written_into_the_servers_log(own_server: Server) -> None:
    copies = prepare_for_copies(own_server)
    with psycopg.connect(own_server.conninfo(), autocommit=True) as admin:
        admin.execute("REVOKE ALL ON DATABASE template_of_tests FROM PUBLIC; ")
        admin.execute("ALTER SYSTEM SET log_statement = 'all'")
        admin.execute("SELECT pg_reload_conf()")
    make_copy(copies)
    text = own_server.log_file.read_text()
    assert "CREATE ROLE" in text
    assert "PASSWORD 'SCRAM-SHA-256$" in text
    assert text.count("PASSWORD '") == text.count("PASSWORD 'SCRAM-SHA-256$")


def test_the_server_itself_gives_no_way_round(each_copies: Endpoint, each_server: Server) -> None:
    """dblink and postgres_fdw are there, and the server trusts whoever comes by its socket."""
    make_copy(each_copies)
    folder = str(conninfo_to_dict(each_server.conninfo(socket=True))["host"])
    with psycopg.connect(each_server.conninfo(COPY), autocommit=True) as admin:
        known = admin.execute("SELECT name FROM pg_available_extensions WHERE name IN ('dblink', 'postgres_fdw')")
        if len(known.fetchall()) < 2:
            pytest.skip("these programs bring no contrib modules")
        try:
            admin.execute("CREATE EXTENSION dblink; CREATE EXTENSION postgres_fdw")
        except psycopg.errors.UndefinedFile as exc:
            pytest.skip(f"these programs bring a module that cannot be loaded: {exc}")
        admin.execute("GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO PUBLIC")
    here = f"host={folder} port={each_server.port}"
    ways = [
        f"SELECT * FROM public.dblink('{here} user={user} dbname={name}{more}', 'SELECT 1') AS t (a int)"
        for user in ("postgres", RESTORER, COPY)
        for name in ("postgres", COPY)
        for more in ("", " password=x")
    ]
    ways += [
        f"SELECT public.dblink_connect_u('host={folder} port={each_server.port} user={RESTORER} dbname=postgres')",
        "CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw"
        f" OPTIONS (host '{folder}', port '{each_server.port}', dbname 'postgres');"
        f" CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (user '{RESTORER}', password_required 'false')",
        "CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw"
        f" OPTIONS (host '{folder}', port '{each_server.port}', dbname 'postgres');"
        f" CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (user '{RESTORER}', password 'x');"
        " CREATE FOREIGN TABLE public.f (a int) SERVER s OPTIONS (schema_name 'pg_catalog', table_name 'pg_class');"
        " SELECT * FROM public.f",
    ]
    trusted = make_conninfo(each_copies.conninfo, host=folder, password="")
    if not can_enter(folder):
        pytest.skip("the socket's folder is closed to us, so nothing is proved")
    psycopg.connect(trusted).close()
    with trial_database(each_copies, copy_of(each_copies)) as trial:
        for way in ways:
            with pytest.raises(psycopg.Error) as caught:
                send_all(trial.texts, way)
            assert caught.value.sqlstate in ("2F003", "28000", "42501", "08001"), str(caught.value)


def send_all(endpoint: Endpoint, texts: str) -> None:
    with session.connect(endpoint, purpose="apply") as conn, conn.transaction():
        for text in texts.split("; "):
            door.send(conn, text)


def can_enter(folder: str) -> bool:
    return os.access(folder, os.X_OK)


def test_createrole_until_15_reaches_further_than_its_roles(each_copies: Endpoint, each_server: Server) -> None:
    """What docs/deployment.md says: there it must be a server of its own. The engine notices, and refuses."""
    make_copy(each_copies)
    with psycopg.connect(each_copies.conninfo, autocommit=True) as conn:
        command = f"GRANT pg_execute_server_program TO {RESTORER}".encode()
        if each_server.programs.major >= 16:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(command)
            return
        conn.execute(command)
        with pytest.raises(Refused, match="files and programs"), trial_database(each_copies, copy_of(each_copies)):
            pass


def test_the_script_for_docker_prepares_a_server(own_server: Server, repository: Path) -> None:
    with psycopg.connect(own_server.conninfo(), autocommit=True) as admin:
        admin.execute("REVOKE ALL ON DATABASE template_of_tests FROM PUBLIC")
    superuser = conninfo_to_dict(own_server.conninfo())
    environment = {
        "PATH": f"{own_server.programs.bindir}:{os.environ['PATH']}",
        "PGHOST": str(superuser["host"]),
        "PGPORT": str(superuser["port"]),
        "PGPASSWORD": str(superuser["password"]),
        "POSTGRES_USER": str(superuser["user"]),
        "ROLE": "wakala_copies",
        "ROLE_PASSWORD": "of its own",
    }
    script = repository / "include" / "config" / "postgres-copies.sh"
    subprocess.run(["sh", str(script)], env=environment, check=True, capture_output=True)
    endpoint = Endpoint(make_conninfo(own_server.conninfo(), user="wakala_copies", password="of its own"))
    copy = make_copy(endpoint)
    plan = plan_from_sql("CREATE TABLE a (id int)", "DROP TABLE a")
    assert rehearse(plan, endpoint, copy).verdict is Verdict.PASSED


def test_what_a_database_is_made_of_comes_back(each_copies: Endpoint, each_server: Server, tmp_path: Path) -> None:
    """Restored as a role that owns nothing but the copy: the proof holds on every major."""
    source = database_on(each_server, "source", script=SOURCE)
    with psycopg.connect(each_server.conninfo("source"), autocommit=True) as admin:
        admin.execute("GRANT SELECT ON owned TO somebody; REVOKE CONNECT, TEMPORARY ON DATABASE source FROM PUBLIC")
        if admin.execute("SELECT FROM pg_available_extensions WHERE name = 'citext'").fetchone() is not None:
            admin.execute("GRANT CREATE ON DATABASE source TO migrator; SET ROLE migrator; CREATE EXTENSION citext")
            admin.execute("ALTER TABLE owned ADD COLUMN mail citext")
    target = make_target(storage=str(tmp_path / "snapshots"))
    bindir = each_server.programs.bindir
    record = snapshot.run(make_plan(), endpoint=source, target=target, run=RUN, programs=bindir)
    evidence = restore_test.run(record, copies=each_copies, target=target, run=RUN, programs=bindir)
    assert evidence.verdict is Verdict.PASSED
    schema_check = next(check for check in evidence.checks if check.name == "schema")
    assert "privileges not restored" not in schema_check.detail
    plan = plan_from_sql("ALTER TABLE owned ADD COLUMN b int", "ALTER TABLE owned DROP COLUMN b")
    dry = dry_run.run(plan, record, evidence, copies=each_copies, run=RUN)
    assert dry.verdict is Verdict.PASSED
    assert [(lock.relation, lock.mode) for lock in dry.statements[0].locks] == [("public.owned", "ACCESS EXCLUSIVE")]
    assert restore_test.drop_copy(evidence, copies=each_copies, run=RUN)


SOURCE = """
CREATE SCHEMA more;
CREATE TYPE more.mood AS ENUM ('good', 'bad');
CREATE DOMAIN more.positive AS int CHECK (VALUE > 0);
CREATE TABLE owned (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mood more.mood, n more.positive);
INSERT INTO owned (mood, n) SELECT 'good', g FROM generate_series(1, 100) AS g;
ALTER TABLE owned ENABLE ROW LEVEL SECURITY;
CREATE POLICY nobody ON owned USING (false);
CREATE FUNCTION more.twice(a int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT a * 2';
CREATE INDEX ON owned (more.twice(n));
CREATE MATERIALIZED VIEW more.counted AS SELECT count(*) FROM owned;
CREATE FUNCTION more.noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER noted BEFORE UPDATE ON owned FOR EACH ROW EXECUTE FUNCTION more.noted();
ALTER DEFAULT PRIVILEGES IN SCHEMA more GRANT SELECT ON TABLES TO PUBLIC;
CREATE PUBLICATION changes FOR TABLE owned;
SELECT lo_from_bytea(0, 'content');
COMMENT ON SCHEMA public IS 'ours';
"""


CAUGHT = f"""CREATE FUNCTION f(x text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF current_user = '{RESTORER}' OR session_user = '{RESTORER}' THEN
        PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'attacked%';
    END IF;
    RETURN x;
END $$;
{{}};
UPDATE messages SET stars = stars + 1;
"""
PLACES = {
    "index": "CREATE INDEX spy ON messages ((body || f('x')))",
    "statistics": "CREATE STATISTICS spy ON id, (body || f('x')) FROM messages",
    "check": "ALTER TABLE messages ADD CHECK (f('x') <> body)",
    "another order of columns": "CREATE INDEX spy ON messages ((body || f('x')));"
    " ALTER TABLE messages DROP COLUMN tenant_id",
    "view": "ALTER TABLE messages RENAME TO rows; CREATE VIEW messages AS"
    " SELECT id, tenant_id, body || f('') AS body, stars FROM rows",
    "cast": "CREATE FUNCTION g(messages) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT f('') $$;"
    " CREATE CAST (messages AS text) WITH FUNCTION g(messages) AS IMPLICIT",
}


@pytest.mark.parametrize("place", PLACES)
def test_who_looks_on_runs_nothing_of_the_texts(copies: Endpoint, place: str) -> None:
    """Who may create roles and databases there would end the session of somebody else."""
    copy = make_copy(copies)
    undo = "UPDATE messages SET stars = stars - 1"
    if "DROP COLUMN" in PLACES[place]:
        undo += "; ALTER TABLE messages ADD COLUMN tenant_id bigint"
    with psycopg.connect(copies.conninfo, application_name="attacked", autocommit=True) as other:
        with suppress(MigratorError):
            rehearse(plan_from_sql(CAUGHT.format(PLACES[place]), undo), copies, copy)
        other.execute("SELECT 1")


def test_a_database_is_dropped_with_a_session_in_it_that_only_a_superuser_may_end(
    copies: Endpoint, copies_server: Server
) -> None:
    """As a worker of autovacuum is. FORCE is refused for it."""
    with psycopg.connect(copies.conninfo, autocommit=True) as conn:
        conn.execute("CREATE DATABASE visited")
        visitor = psycopg.connect(copies_server.conninfo("visited"))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("DROP DATABASE visited WITH (FORCE)")
        leaving = threading.Timer(1.0, visitor.close)
        leaving.start()
        restored.drop_database(conn, "visited")
        leaving.join()
        assert conn.execute("SELECT FROM pg_database WHERE datname = 'visited'").fetchone() is None
