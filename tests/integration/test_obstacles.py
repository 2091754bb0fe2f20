"""Databases as they are in real life: what a role that is no superuser cannot snapshot or restore is told, and what an
administrator can prepare is enough.

One server is source and server for copies, of the release that has PostgreSQL's contrib modules here.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from migrator.backups import obstacle_facts, obstacles
from migrator.backups.obstacles import Server as CopiesServer
from migrator.backups.obstacles import Source
from migrator.catalogue.catalogue import load_catalogue
from migrator.cli import main
from migrator.database import schema, session
from migrator.database.schema_diff import diff
from migrator.database.session import Endpoint
from migrator.embedded.download import find_or_download
from migrator.embedded.server import Server
from migrator.embedded.settings import FAST
from migrator.errors import AnalysisRefused, EnvironmentFault, Refused, RestoreNotProven
from migrator.evidence import RestoreEvidence, Verdict
from migrator.run import RunContext
from migrator.stages import analyze, restore_test, snapshot
from migrator.targets.targets import Target
from tests.catalogue_files import write
from tests.factories import make_plan
from tests.integration.conftest import OWNER, PASSWORD, prepare_for_copies

MAJOR = 15
RUN = RunContext(run_id="manual__1", version="001_test", target="test", actor="tests")
Make = Callable[..., Endpoint]


@pytest.fixture(scope="module")
def contrib() -> Iterator[Server]:
    try:
        programs = find_or_download(MAJOR)
    except EnvironmentFault as exc:
        pytest.skip(f"PostgreSQL {MAJOR} cannot be had: {exc}")
    with Server.temporary(programs=programs, settings={**FAST, "max_connections": 100}) as server:
        with psycopg.connect(server.conninfo(), autocommit=True) as conn:
            there = conn.execute("SELECT count(*) FROM pg_available_extensions WHERE name = 'dblink'").fetchone()
            if there == (0,):
                pytest.skip(f"PostgreSQL {programs.version} ({programs.bindir}) has no contrib modules")
        with psycopg.connect(server.conninfo(), autocommit=True) as conn:
            conn.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(OWNER), sql.Literal(PASSWORD))
            )
        yield server


@pytest.fixture(scope="module")
def role_for_copies(contrib: Server) -> Endpoint:
    return prepare_for_copies(contrib)


@pytest.fixture
def copies(contrib: Server, role_for_copies: Endpoint) -> Iterator[Endpoint]:
    yield role_for_copies
    with psycopg.connect(contrib.conninfo(), autocommit=True) as conn:
        rows = conn.execute("SELECT datname FROM pg_database WHERE datname LIKE 'cop%'").fetchall()
        for (name,) in rows:
            conn.execute(sql.SQL("ALTER DATABASE {} IS_TEMPLATE false").format(sql.Identifier(name)))
            conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        for (name,) in conn.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'copy%'").fetchall():
            conn.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.fixture
def make(contrib: Server) -> Iterator[Make]:
    """A source with `options` of CREATE DATABASE, in which a superuser and then the owner run their scripts."""
    name = "shop"

    def made(as_superuser: str = "", as_owner: str = "", options: str = "") -> Endpoint:
        with psycopg.connect(contrib.conninfo(), autocommit=True) as conn:
            conn.execute(f"CREATE DATABASE {name} TEMPLATE template0 OWNER {OWNER} {options}".encode())
            conn.execute(f"REVOKE CONNECT, TEMPORARY ON DATABASE {name} FROM PUBLIC".encode())
        with psycopg.connect(contrib.conninfo(name), autocommit=True) as conn:
            conn.execute(as_superuser.encode())
        login = make_conninfo(host="127.0.0.1", port=contrib.port, dbname=name, user=OWNER, password=PASSWORD)
        endpoint = Endpoint(conninfo=login, name="shop")
        with psycopg.connect(endpoint.conninfo, autocommit=True) as conn:
            conn.execute(as_owner.encode())
        return endpoint

    yield made
    with psycopg.connect(contrib.conninfo(), autocommit=True) as conn:
        conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(
        name="test",
        environment="development",
        connection="source",
        copies_connection="copies",
        storage=str(tmp_path / "snapshots"),
    )


def facts(source: Endpoint, copies: Endpoint) -> tuple[Source, CopiesServer]:
    with session.connect(source, purpose="snapshot") as there, session.connect(copies, purpose="observe") as here:
        return obstacle_facts.source(there), obstacle_facts.server(here)


def restored(source: Endpoint, copies: Endpoint, target: Target) -> RestoreEvidence:
    record = snapshot.run(make_plan(), endpoint=source, target=target, run=RUN)
    return restore_test.run(record, copies=copies, target=target, run=RUN)


def run_script(server: Server, script: str, tmp_path: Path) -> None:
    """As an administrator would."""
    file = tmp_path / "template.sql"
    file.write_text(script)
    command = [str(server.programs.path("psql")), "--no-psqlrc", "--quiet", "-d", server.conninfo(), "-f", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"})
    assert done.returncode == 0, done.stderr


EXTENSIONS = """
CREATE SCHEMA "Ext tools";
CREATE EXTENSION dblink SCHEMA "Ext tools";
CREATE EXTENSION pg_stat_statements;
CREATE EXTENSION postgres_fdw;
CREATE EXTENSION "uuid-ossp";
GRANT EXECUTE ON FUNCTION pg_stat_statements_reset(oid, oid, bigint) TO PUBLIC;
GRANT SELECT ON pg_stat_statements TO PUBLIC;
GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO migrator;
GRANT USAGE, CREATE ON SCHEMA "Ext tools" TO migrator;
GRANT CREATE ON SCHEMA public TO migrator;
"""
USING_THEM = """
CREATE TABLE product (id bigint PRIMARY KEY, tag uuid NOT NULL DEFAULT uuid_generate_v4());
INSERT INTO product SELECT generate_series(1, 10);
CREATE VIEW busy AS SELECT query, calls FROM pg_stat_statements;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', dbname 'elsewhere');
CREATE FOREIGN TABLE other (id bigint) SERVER elsewhere;
CREATE TABLE "Ext tools".own (id bigint);
"""


def test_what_only_a_superuser_can_create_comes_from_a_template(
    contrib: Server, copies: Endpoint, make: Make, target: Target, tmp_path: Path
) -> None:
    source = make(EXTENSIONS, USING_THEM)
    before = facts(source, copies)
    told = obstacles.of_server(*before)
    assert {word for one in told for word in ("dblink", "pg_stat_statements", "postgres_fdw") if word in one.what} == {
        "dblink",
        "pg_stat_statements",
        "postgres_fdw",
    }
    assert len(told) == 3, "uuid-ossp is trusted"
    with pytest.raises(
        Refused, match=r"(?s)only a superuser can create.*migrator check --target NAME --template-script"
    ):
        restored(source, copies, target)

    script = obstacles.script(*before)
    run_script(contrib, script, tmp_path)
    run_script(contrib, script, tmp_path)
    assert obstacles.of_server(*facts(source, copies)) == ()
    evidence = restored(source, copies, target)
    assert evidence.verdict is Verdict.PASSED
    schema = next(check for check in evidence.checks if check.name == "schema")
    assert "made from the template database" in schema.detail


def test_what_a_template_holds_for_others_is_no_difference(
    contrib: Server, copies: Endpoint, make: Make, target: Target, tmp_path: Path
) -> None:
    source = make(EXTENSIONS)
    run_script(contrib, obstacles.script(*facts(source, copies)), tmp_path)
    assert len(facts(source, copies)[1].templates) == 1
    with psycopg.connect(contrib.conninfo("shop"), autocommit=True) as conn:
        conn.execute('DROP EXTENSION dblink, pg_stat_statements, postgres_fdw; DROP SCHEMA "Ext tools" CASCADE')
        conn.execute("CREATE TABLE product (id bigint); ALTER TABLE product OWNER TO migrator")
    assert restored(source, copies, target).verdict is Verdict.PASSED


OWN_EXTENSION = """
CREATE EXTENSION citext;
CREATE TABLE product (id bigint PRIMARY KEY, name citext UNIQUE, CHECK (name <> 'x'));
CREATE VIEW named AS SELECT id, name = 'a' AS other FROM product;
CREATE FUNCTION price(bigint) RETURNS numeric LANGUAGE sql AS 'SELECT -1';
"""


def test_what_was_added_to_an_extension_is_on_no_copy(make: Make, copies: Endpoint, target: Target) -> None:
    source = make("GRANT CREATE ON DATABASE shop TO migrator; GRANT CREATE ON SCHEMA public TO migrator", OWN_EXTENSION)
    with session.connect(source, purpose="observe") as conn:
        plain = schema.read(conn)
    assert "extension_member" not in plain.objects, "its own belong to a superuser"
    assert restored(source, copies, target).verdict is Verdict.PASSED
    with psycopg.connect(source.conninfo, autocommit=True) as admin:
        admin.execute("CREATE VIEW hidden_equals AS SELECT p.id FROM product AS p JOIN product AS q USING (name)")
        with pytest.raises(RestoreNotProven, match=r"schema: view public\.hidden_equals: a dump does not say which"):
            restored(source, copies, target)
        admin.execute("DROP VIEW hidden_equals")
    with psycopg.connect(source.conninfo, autocommit=True) as admin, session.connect(source, purpose="observe") as conn:
        for kind, what, definition in (
            ("FUNCTION", "price(bigint)", "CREATE OR REPLACE FUNCTION"),
            ("OPERATOR", "public.=(text, text)", ""),
            ("TABLE", "hidden", "(id integer default 3)"),
            ("VIEW", "seen", "SELECT 1 AS x;"),
        ):
            if kind != "FUNCTION":
                like = {
                    "OPERATOR": "(PROCEDURE = texteq, LEFTARG = text, RIGHTARG = text)",
                    "TABLE": "(id int DEFAULT 3)",
                    "VIEW": "AS SELECT 1 AS x",
                }
                admin.execute(f"CREATE {kind} {what.partition('(')[0]} {like[kind]}".encode())
            before = schema.read(conn)
            admin.execute(f"ALTER EXTENSION citext ADD {kind} {what}".encode())
            found = [change for change in diff(before, schema.read(conn)).changes if change.sign == "+"]
            assert [change.kind for change in found] == ["extension_member"], found
            assert found[0].part_of == "extension citext"
            assert definition in str(found[0].after)
        for sql in (
            "ALTER TABLE hidden ALTER id SET DEFAULT 4",
            "CREATE RULE r AS ON INSERT TO hidden DO INSTEAD NOTHING",
        ):
            before = schema.read(conn)
            admin.execute(sql.encode())
            assert diff(before, schema.read(conn)).lines(), sql
    with pytest.raises(RestoreNotProven, match=r"ALTER EXTENSION citext DROP function public\.price\(bigint\)"):
        restored(source, copies, target)
    with psycopg.connect(source.conninfo, autocommit=True) as conn:
        for sql in ("FUNCTION price(bigint)", "OPERATOR public.=(text, text)", "TABLE hidden", "VIEW seen"):
            conn.execute(f"ALTER EXTENSION citext DROP {sql}".encode())
    assert restored(source, copies, target).verdict is Verdict.PASSED


def test_an_extension_of_somebody_who_was_a_superuser_is_on_the_copy(
    make: Make, copies: Endpoint, target: Target
) -> None:
    """Its own members belong to other roles on the copy, and are the same."""
    source = make(
        "CREATE ROLE boss SUPERUSER; SET ROLE boss; CREATE EXTENSION citext; RESET ROLE; ALTER ROLE boss NOSUPERUSER"
    )
    with session.connect(source, purpose="observe") as conn:
        assert "function public.citext_eq(public.citext,public.citext) of citext" in schema.read(conn).names(
            "extension_member"
        )
    assert restored(source, copies, target).verdict is Verdict.PASSED


def test_a_template_with_another_version_is_told(
    contrib: Server, copies: Endpoint, make: Make, target: Target, tmp_path: Path
) -> None:
    """A version that nobody has updated since the last upgrade of the server is made as it is, from the template."""
    source = make("CREATE EXTENSION pg_stat_statements VERSION '1.8'; CREATE EXTENSION hstore VERSION '1.7'")
    before = facts(source, copies)
    assert "1.8" in str(obstacles.of_server(*before)[0])
    assert len(obstacles.of_server(*before)) == 2, "hstore is trusted, but a restore makes its newest version"
    run_script(contrib, obstacles.script(*before), tmp_path)
    assert restored(source, copies, target).verdict is Verdict.PASSED
    with psycopg.connect(contrib.conninfo("shop"), autocommit=True) as conn:
        conn.execute("ALTER EXTENSION pg_stat_statements UPDATE TO '1.9'")
    with pytest.raises(Refused, match=r'1\.9 in schema "public", the template database "copies_utf8_.*1\.8'):
        restored(source, copies, target)


def test_what_the_role_may_not_read_is_told_before_anything_is_dumped(
    make: Make, copies: Endpoint, target: Target, contrib: Server
) -> None:
    source = make(
        "CREATE SCHEMA hidden; CREATE TABLE hidden.secret (id bigint GENERATED ALWAYS AS IDENTITY);"
        "CREATE TABLE theirs (id bigint); ALTER TABLE theirs ENABLE ROW LEVEL SECURITY;"
        "GRANT SELECT ON theirs TO migrator; GRANT CREATE ON SCHEMA public TO migrator;"
        "SELECT lo_from_bytea(4711, 'x'); CREATE TABLE \"a.b\" (id bigint)",
        "CREATE TABLE tenant (id bigint); ALTER TABLE tenant ENABLE ROW LEVEL SECURITY;"
        "ALTER TABLE tenant FORCE ROW LEVEL SECURITY; CREATE POLICY own ON tenant USING (id = 1)",
    )
    with pytest.raises(Refused) as caught:
        snapshot.run(make_plan(), endpoint=source, target=target, run=RUN)
    text = str(caught.value)
    for part in (
        "tables hidden.secret",
        "sequence hidden.secret_id_seq",
        'GRANT USAGE ON SCHEMA hidden, public TO "migrator"; GRANT SELECT ON TABLE hidden.secret, public."a.b" TO',
        "table public.tenant has FORCE ROW LEVEL SECURITY",
        "table public.theirs has policies",
        'ALTER ROLE "migrator" BYPASSRLS',
        '1 large object of "postgres", such as 4711',
    ):
        assert part in text
    way_out = (
        "GRANT USAGE ON SCHEMA hidden TO migrator; GRANT SELECT ON ALL TABLES IN SCHEMA hidden TO migrator;"
        "GRANT SELECT ON ALL SEQUENCES IN SCHEMA hidden TO migrator; ALTER ROLE migrator BYPASSRLS;"
        'GRANT SELECT ON LARGE OBJECT 4711 TO migrator; GRANT SELECT ON "a.b" TO migrator'
    )
    with psycopg.connect(contrib.conninfo("shop"), autocommit=True) as conn:
        conn.execute(way_out)
    try:
        with pytest.raises(Refused, match=r'holds for table public.tenant.*ALTER ROLE "restorer" BYPASSRLS'):
            restored(source, copies, target)
        with psycopg.connect(contrib.conninfo(), autocommit=True) as conn:
            conn.execute("ALTER ROLE restorer BYPASSRLS")
        assert restored(source, copies, target).verdict is Verdict.PASSED
    finally:
        with psycopg.connect(contrib.conninfo("shop"), autocommit=True) as conn:
            conn.execute("ALTER ROLE migrator NOBYPASSRLS; ALTER ROLE restorer NOBYPASSRLS")


def test_analyze_tells_it_first(make: Make, copies: Endpoint, target: Target, tmp_path: Path) -> None:
    source = make(
        "CREATE EXTENSION dblink; GRANT CREATE ON SCHEMA public TO migrator",
        "CREATE TABLE tenant (id bigint); ALTER TABLE tenant ENABLE ROW LEVEL SECURITY;"
        "ALTER TABLE tenant FORCE ROW LEVEL SECURITY",
    )
    catalogue = load_catalogue(write(tmp_path, {"001_test": "CREATE TABLE later (id bigint PRIMARY KEY);\n"}))
    with pytest.raises(AnalysisRefused, match=r"no-snapshot: table public\.tenant .*BYPASSRLS"):
        analyze.run_analyze(
            catalogue.require("001_test"),
            target=target,
            catalogue=catalogue,
            endpoint=source,
            ledger=None,
            run=RUN,
        )
    found = obstacles.findings(*obstacle_facts.look(source, copies))
    assert [one.rule for one in found] == ["no-snapshot", "no-restore", "no-restore"]
    nowhere = Endpoint(conninfo="host=127.0.0.1 port=1", name="copies")
    assert [one.rule for one in obstacles.findings(*obstacle_facts.look(source, nowhere))] == ["no-snapshot"]


@pytest.mark.thorough
def test_settings_change_neither_dump_nor_proof(make: Make, copies: Endpoint, target: Target, contrib: Server) -> None:
    """Names in quotation marks would be a difference between the servers; a worker that is idle would be ended."""
    source = make(
        "GRANT CREATE ON SCHEMA public TO migrator; ALTER DATABASE shop SET quote_all_identifiers = on",
        "CREATE TABLE tenant (id bigint PRIMARY KEY, name text DEFAULT lower('X'), CHECK (length(name) < 9));"
        "CREATE VIEW v AS SELECT id FROM tenant; CREATE INDEX ON tenant (lower(name)); CREATE INDEX ON tenant (name);"
        "INSERT INTO tenant SELECT generate_series(1, 400000); CREATE TABLE small (id bigint);"
        "INSERT INTO small SELECT generate_series(1, 9); CREATE INDEX ON small (id)",
    )
    with psycopg.connect(contrib.conninfo(), autocommit=True) as conn:
        conn.execute("ALTER SYSTEM SET idle_session_timeout = 100")
        conn.execute("SELECT pg_reload_conf()")
    time.sleep(0.2)
    with psycopg.connect(contrib.conninfo("shop"), autocommit=True) as conn:
        assert conn.execute("SHOW idle_session_timeout").fetchone() == ("100ms",)
    try:
        assert restored(source, copies, target).verdict is Verdict.PASSED
    finally:
        with psycopg.connect(contrib.conninfo(), autocommit=True) as conn:
            conn.execute("ALTER SYSTEM RESET idle_session_timeout")
            conn.execute("SELECT pg_reload_conf()")


TARGETS = """
targets:
  shop:
    environment: development
    connection: shop
    copies_connection: copies
    storage: {storage}
"""


def test_check_tells_it_and_prints_the_script(
    contrib: Server, make: Make, copies: Endpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make("CREATE EXTENSION dblink")
    root = write(tmp_path / "migrations", {"001_test": "CREATE TABLE later (id bigint PRIMARY KEY);\n"})
    targets, connections = tmp_path / "targets.yaml", tmp_path / "connections.yaml"
    targets.write_text(TARGETS.format(storage=tmp_path))
    connections.write_text(json.dumps({"shop": source.conninfo, "copies": copies.conninfo}))
    arguments = ["check", "--migrations", str(root), "--target", "shop", "--targets", str(targets)]
    arguments += ["--connections", str(connections)]
    assert main(arguments) == 1
    told = capsys.readouterr().out
    assert 'target shop: error: no-restore: the target has the extension "dblink" 1.2' in told
    assert "--template-script" in told
    assert main([*arguments, "--template-script"]) == 0
    run_script(contrib, capsys.readouterr().out, tmp_path)
    assert main(arguments) == 0
    assert main(["check", "--migrations", str(root), "--template-script"]) == 2
    assert main([*arguments[:-2], "--dsn", source.conninfo, "--template-script"]) == 2
    assert "--copies DSN" in capsys.readouterr().err
    assert main([*arguments[:-2], "--dsn", source.conninfo, "--copies", copies.conninfo, "--template-script"]) == 0


ICU = "LOCALE_PROVIDER icu ICU_LOCALE 'de-AT' LC_COLLATE 'C' LC_CTYPE 'C'"


def test_a_copy_has_the_provider_and_the_locale(
    contrib: Server, make: Make, copies: Endpoint, target: Target, tmp_path: Path
) -> None:
    if not facts_of_server(copies).icu:
        pytest.skip(f"PostgreSQL {contrib.programs.version} ({contrib.programs.bindir}) was built without ICU")
    source = make(
        "CREATE EXTENSION dblink; GRANT CREATE ON SCHEMA public TO migrator",
        "CREATE TABLE word (w text PRIMARY KEY); INSERT INTO word VALUES ('a'), ('B'), ('ä'), ('z')",
        ICU,
    )
    run_script(contrib, obstacles.script(*facts(source, copies)), tmp_path)
    copy = restored(source, copies, target).copy_database
    with psycopg.connect(copies.with_database(copy).conninfo) as conn:
        assert conn.execute("SELECT string_agg(w, '' ORDER BY w) FROM word").fetchone() == ("aäBz",)
        row = conn.execute(
            "SELECT datlocprovider, daticulocale FROM pg_database WHERE datname = current_database()"
        ).fetchone()
    assert row == (b"i", "de-AT") or row == ("i", "de-AT")
    with psycopg.connect(contrib.conninfo("shop"), autocommit=True) as conn:
        conn.execute("DROP EXTENSION dblink")
        conn.execute("ALTER DATABASE copies_utf8_icu_de_at IS_TEMPLATE false")
    assert restored(source, copies, target).verdict is Verdict.PASSED, "from template0"


def facts_of_server(copies: Endpoint) -> CopiesServer:
    with session.connect(copies, purpose="observe") as conn:
        return obstacle_facts.server(conn)


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_bytes_that_are_not_utf8_are_dumped_as_they_lie(
    make: Make, copies: Endpoint, target: Target, encoding: str
) -> None:
    source = make(
        "GRANT CREATE ON SCHEMA public TO migrator",
        "CREATE TABLE word (id bigint PRIMARY KEY, w text);"
        "INSERT INTO word SELECT g, convert_from('\\xe4'::bytea, current_setting('server_encoding')) || g"
        " FROM generate_series(1, 9) AS g",
        f"ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'",
    )
    copy = restored(source, copies, target).copy_database
    with psycopg.connect(copies.with_database(copy).conninfo, client_encoding="utf8") as conn:
        row = conn.execute(
            "SELECT encode(convert_to(w, current_setting('server_encoding')), 'hex') FROM word"
        ).fetchone()
    assert row == ("e431",)
