"""No way to write it hides what a migration does to rights: values in PL/pgSQL, bodies that run later, statements in
statements, texts that become SQL. And what is none of that is not found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from migrator.analysis.inspection import Inspection, inspect
from migrator.analysis.known import Known, Sources
from migrator.analysis.rules import PRIVILEGES
from migrator.facts.facts import CatalogFacts, FunctionFacts
from migrator.facts.outer import SchemaFacts
from migrator.parsing.statements import parse
from migrator.plan import Risk, Severity

FILES, ROLES, ACTS = "reaches-the-servers-files", "role-powers", "acts-as-another-role"
LIMITS, OTHERS, SERVER = "lifts-the-engines-limits", "ends-or-steers-others", "changes-the-server"
PASSWORD, CATALOG, HALF = "password-in-clear-text", "writes-the-catalog", "half-known-text"
PATH, FAR, CODE, GRANTS = "security-definer-path", "reaches-other-databases", "untrusted-code", "grant-to-public"


def inspected(sql: str, facts: CatalogFacts | None = None) -> Inspection:
    parsed = parse(sql, file="x.sql")
    assert parsed.problems == ()
    return inspect(Sources((parsed,)), Known(facts=facts))


def rights(inspection: Inspection) -> set[str]:
    return {item.rule for item in inspection.findings if item.rule in PRIVILEGES and item.severity is not Severity.INFO}


def definer(path: str) -> str:
    return f"CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = {path} AS 'SELECT 1'"


def function(body: str, result: str = "void") -> str:
    return f"CREATE FUNCTION f() RETURNS {result} LANGUAGE plpgsql AS $$ BEGIN {body} END $$"


def block(body: str, declared: str = "x text;") -> str:
    return f"DO $$ DECLARE {declared} BEGIN {body} END $$"


READS = "pg_read_file('/x')"
VALUES = [
    f"x := {READS};",
    f"x = {READS};",
    f"IF {READS} = '' THEN NULL; END IF;",
    f"IF false THEN NULL; ELSIF {READS} = '' THEN NULL; END IF;",
    f"CASE {READS} WHEN 'a' THEN NULL; END CASE;",
    f"CASE 'a' WHEN {READS} THEN NULL; END CASE;",
    f"WHILE {READS} = '' LOOP NULL; END LOOP;",
    f"LOOP EXIT WHEN {READS} = ''; END LOOP;",
    f"FOR i IN 1..length({READS}) LOOP NULL; END LOOP;",
    f"FOR x IN SELECT {READS} LOOP NULL; END LOOP;",
    f"FOREACH x IN ARRAY string_to_array({READS}, ' ') LOOP NULL; END LOOP;",
    f"RAISE NOTICE '%', {READS};",
    f"RAISE EXCEPTION USING MESSAGE = {READS};",
    f"ASSERT {READS} = '', 'no';",
    f"PERFORM lower({READS});",
    f"EXECUTE 'SELECT 1' USING {READS};",
    f"EXECUTE {READS};",
    f"CALL p({READS});",
    "BEGIN PERFORM 1 / 0; EXCEPTION WHEN others THEN x := pg_read_file('/x'); END;",
    "a[length(pg_read_file('/x'))] := 'a';",
    "a[length(x := 'a')] := pg_read_file('/x');",
]


@pytest.mark.parametrize("body", VALUES)
def test_a_value_of_plpgsql_is_looked_at(body: str) -> None:
    inspection = inspected(block(body, "x text; a text[];"))
    assert FILES in rights(inspection)
    assert inspection.classification.risk is Risk.HIGH


@pytest.mark.parametrize("declared", [f"x text := {READS};", f"c CURSOR FOR SELECT {READS};"])
def test_what_is_declared_is_looked_at(declared: str) -> None:
    assert FILES in rights(inspected(block("NULL;", declared)))


@pytest.mark.parametrize(
    "body, result",
    [
        (f"RETURN {READS};", "text"),
        (f"RETURN QUERY SELECT {READS};", "SETOF text"),
        (f"RETURN NEXT {READS};", "SETOF text"),
    ],
)
def test_what_a_function_returns_is_looked_at(body: str, result: str) -> None:
    assert FILES in rights(inspected(function(body, result)))


@pytest.mark.parametrize(
    "sql, told",
    [
        ("CREATE PUBLICATION p FOR TABLE t", True),
        ("CREATE PUBLICATION p FOR ALL TABLES", True),
        ("CREATE PUBLICATION p FOR TABLES IN SCHEMA public", True),
        ("ALTER PUBLICATION p ADD TABLE t", True),
        ("ALTER PUBLICATION p SET TABLE t", True),
        (block("EXECUTE 'CREATE PUBLICATION p FOR TABLE t';"), True),
        ("CREATE PUBLICATION p", False),
        ("ALTER PUBLICATION p DROP TABLE t", False),
        ("ALTER PUBLICATION p SET (publish = 'insert')", False),
        ("DROP PUBLICATION p", False),
    ],
)
def test_rows_that_leave_by_a_publication(sql: str, told: bool) -> None:
    inspection = inspected(sql)
    assert ("publishes-rows" in rights(inspection)) is told
    assert (inspection.classification.risk is Risk.HIGH) is told


LATER = [
    ("CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN ALTER ROLE a SUPERUSER; END $$", ROLES),
    ("CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT pg_read_file('/x') $$", FILES),
    ("CREATE FUNCTION f() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT pg_read_file('/x'); END", FILES),
    ("CREATE FUNCTION f() RETURNS text LANGUAGE sql RETURN pg_read_file('/x')", FILES),
    ("CREATE PROCEDURE f() LANGUAGE plpgsql AS $$ BEGIN SET LOCAL ROLE a; END $$", ACTS),
    ("CREATE FUNCTION f(a text DEFAULT pg_read_file('/x')) RETURNS text LANGUAGE sql AS 'SELECT a'", FILES),
    ("CREATE FUNCTION f() RETURNS int LANGUAGE sql SET session_authorization = a AS 'SELECT 1'", ACTS),
    ("CREATE FUNCTION f() RETURNS void LANGUAGE 'PLpgSQL' AS $$ BEGIN ALTER ROLE a SUPERUSER; END $$", ROLES),
    ("ALTER FUNCTION f() SET role = a", ACTS),
    ("ALTER ROLE a IN DATABASE b SET role = c", ACTS),
    (function("EXECUTE 'CREATE PROCEDURE g() LANGUAGE plpgsql AS $x$ BEGIN ALTER ROLE a SUPERUSER; END $x$';"), ROLES),
    ("CREATE TRIGGER t AFTER INSERT ON a FOR EACH ROW WHEN (pg_read_file(new.a) = '') EXECUTE FUNCTION f()", FILES),
    ("CREATE VIEW v AS SELECT pg_read_file('/x')", FILES),
    ("ALTER TABLE t ADD a text DEFAULT pg_read_file('/x')", FILES),
    ("CREATE POLICY p ON t USING (a = pg_read_file('/x'))", FILES),
    ("CREATE INDEX ON t (pg_cancel_backend(a))", OTHERS),
    ("CREATE OPERATOR ## (FUNCTION = pg_catalog.lo_export, LEFTARG = oid, RIGHTARG = text)", FILES),
    ("CREATE AGGREGATE a (int) (SFUNC = pg_cancel_backend, STYPE = bool)", OTHERS),
    ("CREATE CAST (text AS bytea) WITH FUNCTION pg_read_binary_file(text)", FILES),
    ("CREATE TRIGGER t AFTER INSERT ON a EXECUTE FUNCTION pg_reload_conf()", OTHERS),
    ("CREATE OPERATOR CLASS c FOR TYPE text USING btree AS FUNCTION 1 pg_read_file(text)", FILES),
    ("GRANT EXECUTE ON FUNCTION pg_read_file(text) TO app", FILES),
]


@pytest.mark.parametrize("sql, rule", LATER)
def test_what_runs_later_is_looked_at(sql: str, rule: str) -> None:
    assert rule in rights(inspected(sql))


INSIDE = [
    ("WITH x AS (UPDATE pg_catalog.pg_proc SET prosecdef = true RETURNING 1) SELECT * FROM x", CATALOG),
    ("CREATE RULE r AS ON INSERT TO t DO ALSO DELETE FROM pg_catalog.pg_proc", CATALOG),
    ("CREATE SCHEMA s CREATE TABLE t (id int) GRANT ALL ON t TO PUBLIC", GRANTS),
    ("EXPLAIN ANALYZE DELETE FROM pg_catalog.pg_proc", CATALOG),
    ("PREPARE p AS DELETE FROM pg_catalog.pg_proc", CATALOG),
    ("COPY (SELECT pg_read_file('/x')) TO '/dev/null'", FILES),
    ("CREATE TABLE t AS SELECT pg_terminate_backend(1)", OTHERS),
    ("DECLARE c CURSOR FOR SELECT pg_terminate_backend(1)", OTHERS),
    ("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC", GRANTS),
    ("DO $$ BEGIN EXECUTE 'DO $x$ BEGIN ALTER ROLE a SUPERUSER; END $x$'; END $$", ROLES),
]


@pytest.mark.parametrize("sql, rule", INSIDE)
def test_statements_inside_of_others_are_looked_at(sql: str, rule: str) -> None:
    assert rule in rights(inspected(sql))


TEXTS = [
    ("SELECT query_to_xml('SELECT pg_terminate_backend(1)', true, true, '')", OTHERS),
    ("SELECT * FROM ts_stat('SELECT pg_read_file(''/x'')::tsvector')", FILES),
    ("SELECT crosstab('SELECT ' || '1, pg_read_file(''/x''), 2')", FILES),
    ("SELECT query_to_xml(format('SELECT pg_read_file(%L)', a), true, true, '') FROM t", FILES),
    (block("x := 'ALTER ROLE a SUPERUSER'; EXECUTE x;"), ROLES),
    (block("SELECT 'ALTER ROLE a SUPERUSER' INTO x; EXECUTE x;"), ROLES),
    (block("EXECUTE format('ALTER ROLE %I SUPERUSER', x);"), ROLES),
    (block("EXECUTE 'ALTER ROLE ' || quote_ident(x) || ' SUPERUSER';"), ROLES),
    (block("EXECUTE 'ALTER ROLE ' || x || ' SUPERUSER';"), ROLES),
    (block("EXECUTE (SELECT 'ALTER ROLE ' || quote_ident(x) || ' SUPERUSER');"), ROLES),
    (block("EXECUTE replace('ALTER ROLE b SUPERUSER', 'b', 'a');"), ROLES),
    (block("EXECUTE concat('ALTER ROLE ', x, ' SUPERUSER');"), ROLES),
    (block("FOR r IN EXECUTE format('SELECT pg_read_file(%L)', x) LOOP NULL; END LOOP;", "x text; r record;"), FILES),
    (block("EXECUTE concat_ws(' ', 'ALTER', 'ROLE', x, 'SUPERUSER');"), ROLES),
    (block("EXECUTE array_to_string(ARRAY['ALTER ROLE', 'a', 'SUPERUSER'], ' ');"), ROLES),
    ("SELECT f(ARRAY['ALTER ROLE a SUPERUSER'])", ROLES),
    ("SELECT f(CASE WHEN true THEN 'ALTER ROLE a SUPERUSER' END)", ROLES),
    ("SELECT f(s) FROM (VALUES ('ALTER ROLE a SUPERUSER')) v(s)", ROLES),
    ("WITH v AS (SELECT 'SELECT pg_read_file(''/x'')' AS s) SELECT query_to_xml(s, true, true, '') FROM v", FILES),
    ("CREATE TRIGGER t AFTER INSERT ON a EXECUTE FUNCTION f('ALTER ROLE a SUPERUSER')", ROLES),
    (block("x := 'ALTER ROLE a'; x := x || ' SUPERUSER'; EXECUTE x;"), HALF),
    (block("x := 'ALTER '; x := x || 'ROLE a SUPERUSER'; EXECUTE x;"), HALF),
    (block("EXECUTE reverse('RESUREPUS a ELOR RETLA');"), HALF),
    (block("EXECUTE convert_from(decode('QUxURVIgUk9MRQ==', 'base64'), 'UTF8');"), HALF),
    (block("EXECUTE 'ALTER ROLE a ' || x;"), HALF),
    (block("EXECUTE format('GRANT %s TO %I', x, x);"), HALF),
    (block("EXECUTE format('GRANT SELECT ON t TO %s', x);"), HALF),
    (block("EXECUTE 'COPY t TO PROGRAM ' || x;"), HALF),
    (block("EXECUTE 'SELECT pg_read_file(' || x || ' AND';"), HALF),
    (block("EXECUTE 'SET ' || x || ' = 1';"), HALF),
    ("CREATE FUNCTION f() RETURNS int LANGUAGE plperl AS $$ spi_exec_query('ALTER ROLE a SUPERUSER'); $$", HALF),
]


@pytest.mark.parametrize("sql, rule", TEXTS)
def test_texts_that_become_sql_are_looked_at(sql: str, rule: str) -> None:
    assert rule in rights(inspected(sql))


SETTINGS = [
    ("SELECT set_config('RO' || 'LE', 'a', false)", ACTS),
    ("SELECT set_config(E'\\x72ole', 'a', false)", ACTS),
    ("SELECT set_config('role'::text, 'a', false)", ACTS),
    ("SELECT pg_catalog.set_config('role', 'a', false)", ACTS),
    ("SELECT set_config(a, '0', false) FROM t", LIMITS),
    ("SELECT set_config(chr(114) || 'ole', 'a', false)", LIMITS),
    ("SELECT set_config('lock_timeout', '0', true)", LIMITS),
    ("SELECT set_config('lock_timeout', a, true) FROM t", LIMITS),
    ("UPDATE pg_settings SET setting = '0' WHERE name = 'lock_timeout'", LIMITS),
    ("RESET lock_timeout", LIMITS),
    ("SET lock_timeout = DEFAULT", LIMITS),
    (block("SET LOCAL lock_timeout = 0;"), LIMITS),
    ("RESET statement_timeout", LIMITS),
    ("RESET ALL", LIMITS),
    ("DISCARD ALL", LIMITS),
    ("SELECT pg_advisory_unlock_all()", LIMITS),
    ("SET event_triggers = off", "sets-what-superusers-may"),
]


@pytest.mark.parametrize("sql, rule", SETTINGS)
def test_a_setting_is_found_however_it_is_changed(sql: str, rule: str) -> None:
    assert rule in rights(inspected(sql))


MORE = [
    ("CREATE ROLE a", SERVER),
    ("DROP ROLE a", SERVER),
    ("ALTER ROLE a RENAME TO b", SERVER),
    ("CREATE ROLE a IN ROLE b", ROLES),
    ("CREATE ROLE a ROLE b", ROLES),
    ("CREATE ROLE a ADMIN b", ROLES),
    ("CREATE ROLE a BYPASSRLS", ROLES),
    ("CREATE USER a REPLICATION", ROLES),
    ("ALTER ROLE a LOGIN", ROLES),
    ("ALTER GROUP a ADD USER b", ROLES),
    ("GRANT pg_read_all_data TO a", ROLES),
    ("ALTER TABLESPACE a OWNER TO b", SERVER),
    ("ALTER SUBSCRIPTION s CONNECTION 'host=x password=y'", PASSWORD),
    ("SELECT dblink_connect('host=x password=y')", PASSWORD),
    ("SELECT dblink_connect('postgresql://a:b@x/d')", PASSWORD),
    ("CREATE SERVER s FOREIGN DATA WRAPPER f OPTIONS (password 'x')", PASSWORD),
    ("CREATE TABLE leak AS SELECT * FROM pg_shadow", "reads-passwords"),
    ("ALTER FUNCTION f() RESET ALL", PATH),
    ("ALTER FUNCTION f() SET search_path = a", PATH),
    ("ALTER FUNCTION f() SECURITY DEFINER SET search_path FROM CURRENT", PATH),
    (definer("''"), PATH),
    (definer("'a, pg_temp'"), PATH),
    (definer('"$user", pg_temp'), PATH),
    ("CREATE FOREIGN TABLE t (a text) SERVER s OPTIONS (program 'id')", FILES),
    ("IMPORT FOREIGN SCHEMA s FROM SERVER x INTO y", FAR),
    ("CREATE EXTENSION oracle_fdw", FAR),
    ("SELECT net.http_post('http://x')", FAR),
    ("SELECT extensions.dblink_exec('x', 'y')", FAR),
    ("CREATE LANGUAGE x HANDLER y", CODE),
    ("CREATE FUNCTION f() RETURNS int LANGUAGE nobodyknows AS ''", CODE),
    ("CREATE EXTENSION hstore_plpython3u", CODE),
    ("COPY pg_catalog.pg_proc FROM '/x'", CATALOG),
    ("ALTER TABLE pg_catalog.pg_class ADD x int", CATALOG),
    ("CREATE FUNCTION pg_catalog.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", CATALOG),
    ("DROP OWNED BY a", "changes-the-owner"),
    ("ALTER SCHEMA s OWNER TO a", "changes-the-owner"),
    ("ALTER TABLE t NO FORCE ROW LEVEL SECURITY", "loosens-row-security"),
    ("CREATE POLICY p ON t FOR INSERT WITH CHECK ('t'::boolean)", "loosens-row-security"),
    ("ALTER VIEW v SET (security_invoker = false)", "loosens-row-security"),
    ("ALTER VIEW v RESET (security_invoker)", "loosens-row-security"),
    ("ALTER FUNCTION f() LEAKPROOF", "loosens-row-security"),
    ("GRANT USAGE ON FOREIGN DATA WRAPPER f TO a", "grants-what-is-the-servers"),
    ("GRANT CREATE ON SCHEMA pg_catalog TO a", "grants-what-is-the-servers"),
]


@pytest.mark.parametrize("sql, rule", MORE)
def test_each_way_to_more_rights_is_found(sql: str, rule: str) -> None:
    assert rule in rights(inspected(sql))


HARMLESS = [
    "GRANT SELECT ON t TO app",
    "REVOKE ALL ON t FROM PUBLIC",
    "REVOKE EXECUTE ON FUNCTION pg_read_file(text) FROM app",
    "ALTER GROUP a DROP USER b",
    "ALTER ROLE a NOSUPERUSER NOLOGIN",
    "CREATE EXTENSION pg_trgm",
    "SELECT set_config('search_path', '', false)",
    "SELECT set_config('app.user', '1', true)",
    "SELECT set_config('app.' || a, '1', true) FROM t",
    "SELECT set_config('lock_timeout', '2s', true)",
    "SELECT audit.dblink('x')",
    "SELECT audit.pg_read_file('x')",
    "SELECT audit.set_config('role', 'x')",
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL lock_timeout = '2s'",
    "SET session_replication_role = origin",
    "ALTER FUNCTION f() RESET work_mem",
    "ALTER FUNCTION f() SET search_path = pg_catalog, pg_temp",
    definer("app, pg_temp"),
    "CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE t OWNER TO app; ALTER TABLE t DISABLE ROW LEVEL SECURITY",
    "CREATE POLICY p ON t USING (a = current_user)",
    "ALTER VIEW v SET (security_invoker = true, security_barrier)",
    "ALTER TABLE t SET (fillfactor = 70)",
    "ALTER FUNCTION f() NOT LEAKPROOF",
    "COMMENT ON TABLE t IS 'SELECT pg_read_file(''/x'')'",
    "INSERT INTO audit (what) VALUES ('ALTER ROLE a SUPERUSER')",
    "INSERT INTO users (role, password) VALUES ('a', 'b')",
    "INSERT INTO help SELECT lower(a), 'ALTER ROLE a SUPERUSER' FROM t",
    "SELECT note('GRANT is a word, and so is ROLE')",
    block("RAISE NOTICE 'ALTER ROLE a SUPERUSER';"),
    block("EXECUTE format('ANALYZE %I', x);"),
    block("EXECUTE format('GRANT SELECT ON %I TO app', x);"),
    block("EXECUTE 'UPDATE ' || x || ' SET role = 1';"),
    block("EXECUTE format('ALTER TABLE %s ADD COLUMN role_id int', x);"),
]


@pytest.mark.parametrize("sql", HARMLESS)
def test_what_is_no_matter_of_rights_is_not_found(sql: str) -> None:
    assert rights(inspected(sql)) == set()


@pytest.mark.parametrize("language, found", [("c", True), ("plpgsql", False)])
def test_the_catalog_tells_an_extensions_function_from_a_users(language: str, found: bool) -> None:
    known = FunctionFacts("v", 1, 1, schema="audit", language=language, position=None)
    facts = CatalogFacts(180000, functions={"dblink": (known,)})
    assert (FAR in rights(inspected("SELECT audit.dblink('x')", facts))) is found


def test_a_body_of_the_catalog_that_is_called_is_looked_at() -> None:
    body = "CREATE OR REPLACE FUNCTION public.f() RETURNS text LANGUAGE sql AS $$ SELECT pg_read_file('/x') $$"
    facts = CatalogFacts(180000, functions={"f": (FunctionFacts("v", 0, 0, "public", language="sql", body=body),)})
    (found,) = [item for item in inspected("SELECT 1;\nSELECT f();", facts).findings if item.rule == FILES]
    assert (found.line, found.statement) == (2, 1)
    assert found.message.endswith(", in the body of public.f()")


def test_each_is_told_once_and_where_it_stands() -> None:
    sql = f"CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $$\nBEGIN\n  RETURN {READS};\nEND $$;\nSELECT f();"
    (found,) = [item for item in inspected(sql).findings if item.rule in PRIVILEGES]
    assert (found.line, found.statement) == (3, 0)
    assert found.message == "calls pg_read_file(), which reaches files of the server, in the body of f()"


def test_assertions_and_rollback_scripts_make_the_risk_high_as_well() -> None:
    done = parse("CREATE TABLE t (id bigint PRIMARY KEY)", file="a.sql")
    bad = parse(f"SELECT {READS} = ''", file="b.sql")
    assert inspect(Sources((done,))).classification.risk is Risk.LOW
    for sources in (Sources((done,), rollback=bad), Sources((done,), assertions=(bad,))):
        inspection = inspect(sources)
        assert inspection.classification.risk is Risk.HIGH
        assert any(READS[:12] in reason for reason in inspection.classification.reasons)


def test_what_is_only_told_makes_no_risk() -> None:
    inspection = inspected("SET LOCAL statement_timeout = 0")
    assert [item.severity for item in inspection.findings if item.rule == LIMITS] == [Severity.INFO]
    assert inspection.classification.risk is Risk.LOW


def test_limits_that_the_engine_sets_again_are_no_risk() -> None:
    sql = "SET lock_timeout = 0; CREATE INDEX CONCURRENTLY i ON t (a); RESET lock_timeout"
    assert rights(inspected(sql)) == set()


@pytest.mark.parametrize("after, risk", [("ALTER TABLE t ADD x int", Risk.HIGH), ("SELECT 1", Risk.LOW)])
def test_no_lock_timeout_is_of_high_risk_where_something_waits_for_a_lock(after: str, risk: Risk) -> None:
    assert inspected(f"SET lock_timeout = 0; {after}").classification.risk is risk


@pytest.mark.parametrize(
    "path, others, found",
    [
        ("public, pg_temp", False, False),
        ("public, pg_temp", True, True),
        ("app, pg_temp", False, False),
        ("app, pg_temp", True, True),
    ],
)
def test_the_catalog_tells_in_which_schemas_others_may_create(path: str, others: bool, found: bool) -> None:
    name = path.partition(",")[0]
    facts = CatalogFacts(180000, schemas={name: SchemaFacts(name, others_create=others)})
    assert (PATH in rights(inspected(definer(path), facts))) is found


OWNED = [
    ("CREATE SCHEMA s; ALTER SCHEMA s OWNER TO a", False),
    ("CREATE TYPE e AS ENUM ('a'); ALTER TYPE e OWNER TO a", False),
    ("CREATE TYPE s.c AS (x int); ALTER TYPE s.c OWNER TO a", False),
    ("CREATE DOMAIN d AS int; ALTER DOMAIN d OWNER TO a", False),
    ("CREATE SEQUENCE q; ALTER SEQUENCE q OWNER TO a", False),
    (f"{function('NULL;')}; ALTER FUNCTION f() OWNER TO a", False),
    (f"{definer('pg_catalog, pg_temp')}; ALTER FUNCTION f() OWNER TO a", True),
    ("CREATE SCHEMA s; ALTER SCHEMA other OWNER TO a", True),
    ("ALTER SCHEMA s OWNER TO a; CREATE SCHEMA s", True),
    ("CREATE SCHEMA IF NOT EXISTS s; ALTER SCHEMA s OWNER TO a", True),
    (f"{function('NULL;')}; ALTER FUNCTION f(int) OWNER TO a", True),
    (f"{function('NULL;').replace('f()', 'f(text)')}; ALTER FUNCTION f(int) OWNER TO a", True),
    (f"{function('NULL;').replace('f()', 'f(int)')}; ALTER FUNCTION f(int[]) OWNER TO a", True),
    (f"{function('NULL;').replace('f()', 'f(int)')}; ALTER FUNCTION public.f(integer) OWNER TO a", False),
    (f"{function('NULL;').replace('CREATE', 'CREATE OR REPLACE')}; ALTER FUNCTION f() OWNER TO a", True),
    (f"{function('NULL;')}; ALTER FUNCTION f() SECURITY DEFINER; ALTER FUNCTION f() OWNER TO a", True),
    (f"{function('NULL;')}; ALTER FUNCTION f() STABLE; ALTER FUNCTION f() OWNER TO a", False),
    ("CREATE TYPE s.e AS ENUM ('a'); ALTER TYPE e OWNER TO a", True),
    ("CREATE TYPE e AS ENUM ('a'); ALTER TYPE public.e OWNER TO a", False),
]


@pytest.mark.parametrize("sql, found", OWNED)
def test_who_gets_what_the_file_makes_takes_it_from_nobody(sql: str, found: bool) -> None:
    assert ("changes-the-owner" in rights(inspected(sql))) is found


THERE = CatalogFacts(
    180000,
    functions={"f": (FunctionFacts("v", 0, 0, "public", language="plpgsql"),)},
    schemas={"s": SchemaFacts("s")},
    complete=True,
)


@pytest.mark.parametrize("facts, found", [(THERE, True), (CatalogFacts(180000, complete=True), False)])
def test_the_catalog_tells_what_the_file_makes(facts: CatalogFacts, found: bool) -> None:
    replaced = f"{function('NULL;').replace('CREATE', 'CREATE OR REPLACE')}; ALTER FUNCTION f() OWNER TO a"
    for sql in (replaced, "CREATE SCHEMA IF NOT EXISTS s; ALTER SCHEMA s OWNER TO a"):
        assert ("changes-the-owner" in rights(inspected(sql, facts))) is found


CONDITIONS = [
    ("1 = 1", True),
    ("'a' = 'a'", True),
    ("1.5 = 1.5", True),
    ("true = true", True),
    ("NULL IS NOT DISTINCT FROM NULL", True),
    ("1 = 1 AND a > 1", False),
    ("1.5 = 2.5", False),
    ("true = false", False),
    ("false = true", False),
    ("NULL = NULL", False),
    ("0 = NULL", False),
    ("0 = ''", False),
    ("1 IS DISTINCT FROM 1", False),
    ("NULLIF(true, true)", False),
]


@pytest.mark.parametrize("condition, found", CONDITIONS)
def test_a_policy_lets_see_every_row_where_its_condition_is_true_of_each(condition: str, found: bool) -> None:
    sql = f"CREATE POLICY p ON t FOR SELECT USING ({condition})"
    assert ("loosens-row-security" in rights(inspected(sql))) is found


def test_a_policy_that_is_made_again_is_judged_by_the_new_one() -> None:
    rule = "loosens-row-security"
    assert rule in rights(inspected("DROP POLICY p ON t"))
    assert rule not in rights(inspected("DROP POLICY p ON t; CREATE POLICY p ON t USING (a = 1)"))
    assert rule in rights(inspected("DROP POLICY p ON t; CREATE POLICY p ON t USING (true)"))
    assert rule in rights(inspected("DROP POLICY p ON t; CREATE POLICY p ON u USING (a = 1)"))


@pytest.mark.parametrize(
    "clause, text, severity",
    [
        ("SECURITY DEFINER SET search_path = pg_catalog, pg_temp", "'SELECT ' || a", Severity.WARNING),
        ("SECURITY DEFINER SET search_path = pg_catalog, pg_temp", "format('SELECT %L, %I', a, a)", None),
        ("", "'SELECT ' || a", Severity.INFO),
        ("", "format('SELECT %L, %I', a, a)", None),
    ],
)
def test_what_fills_a_gap_runs_as_the_owner(clause: str, text: str, severity: Severity | None) -> None:
    """The caller chooses it: nothing of the function needs to be about rights."""
    sql = f"CREATE FUNCTION f(a text) RETURNS void LANGUAGE plpgsql {clause} AS $$ BEGIN EXECUTE {text}; END $$"
    assert next((item.severity for item in inspected(sql).findings if item.rule == HALF), None) is severity


def test_depth_hides_nothing() -> None:
    sql = "ALTER ROLE a SUPERUSER"
    for number in range(30):
        sql = f"DO $t{number}$ BEGIN {sql}; END $t{number}$"
    assert {ROLES, HALF} & rights(inspected(sql))


OPEN_BODY = "LANGUAGE plpgsql AS $$ BEGIN EXECUTE (SELECT body FROM told); RETURN {}; END $$"
TOLD = f"CREATE FUNCTION told() RETURNS integer {OPEN_BODY.format(1)};"
TOLD_TRIGGER = f"CREATE FUNCTION told() RETURNS trigger {OPEN_BODY.format('NEW')};"
BETWEEN = "CREATE FUNCTION over(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 + told()';"


@pytest.mark.parametrize(
    "made",
    [
        f"{TOLD} {BETWEEN} CREATE INDEX i ON t (over(id));",
        f"{TOLD} ALTER TABLE t ADD CHECK (told() = 1) NOT VALID;",
        f"{TOLD} ALTER TABLE t ALTER COLUMN id SET DEFAULT told();",
        f"{TOLD} {BETWEEN} CREATE TABLE u (id int, more int GENERATED ALWAYS AS (over(id)) STORED);",
        f"{TOLD} CREATE DOMAIN d AS int CHECK (told() = VALUE);",
        f"{TOLD} CREATE POLICY p ON t USING (told() = 1);",
        f"{TOLD} CREATE VIEW v AS SELECT told();",
        f"{TOLD} CREATE RULE r AS ON INSERT TO t DO ALSO SELECT told();",
        f"{TOLD} {BETWEEN} CREATE OPERATOR !! (FUNCTION = over, RIGHTARG = int);",
        f"{TOLD_TRIGGER} CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION told();",
        f"{BETWEEN} CREATE INDEX i ON t (over(id)); {TOLD}",
    ],
)
def test_half_known_text_that_runs_for_whoever_comes(made: str) -> None:
    assert HALF in rights(inspected(made))


@pytest.mark.parametrize(
    "made",
    [
        TOLD,
        f"{TOLD} SELECT told();",
        f"{TOLD} CREATE INDEX i ON t (lower(name));",
        f"{TOLD} GRANT EXECUTE ON FUNCTION told() TO app; COMMENT ON FUNCTION told() IS 'x'; DROP FUNCTION told();",
        f"{TOLD} ALTER TABLE t ALTER COLUMN id TYPE bigint USING told();",
    ],
)
def test_half_known_text_that_only_its_caller_runs(made: str) -> None:
    assert HALF not in rights(inspected(made))


def test_half_known_text_of_a_function_that_the_catalog_has() -> None:
    there = FunctionFacts("v", 0, 0, "public", language="plpgsql", body=TOLD.removesuffix(";"))
    facts = CatalogFacts(160000, functions={"told": (there,)})
    assert HALF in rights(inspected("ALTER TABLE t ALTER COLUMN id SET DEFAULT told();", facts))
    assert HALF not in rights(inspected("SELECT told();", facts))
    again = TOLD.replace("CREATE", "CREATE OR REPLACE")
    assert HALF not in rights(inspected(again, facts))
    used = replace(there, used=("a default of t",))
    assert HALF in rights(inspected(again, replace(facts, functions={"told": (used,)})))
    above = replace(used, body=BETWEEN.removesuffix(";"), arguments=("integer",), least=1, most=1)
    assert HALF in rights(inspected(again, replace(facts, functions={"told": (there,), "over": (above,)})))
