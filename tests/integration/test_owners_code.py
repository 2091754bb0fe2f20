"""What a table's owner can make is not run by reading it: casts, operators, views, policies, domains, functions."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from migrator.analysis.data_checks import Violation, look_for, violations
from migrator.analysis.estimate.ask import look
from migrator.analysis.inspection import inspect
from migrator.analysis.known import Known, Sources
from migrator.analysis.server_check import server_findings, syntax_findings
from migrator.database import fingerprint
from migrator.database.session import Endpoint, connect
from migrator.errors import UsageError
from migrator.evidence import TableFingerprint
from migrator.history import baseline, foreign_ledgers
from migrator.parsing.statements import parse
from migrator.steps import concurrent_index
from migrator.steps.real_state import State
from tests.factories import plan_from_sql
from tests.integration.conftest import MakeDatabase

TRAP = """
CREATE FUNCTION caught(what text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN RAISE EXCEPTION 'caught in %', what; END $$;
"""
ROW_CAST = """
CREATE TABLE t (id int, name text);
INSERT INTO t VALUES (1, 'a');
CREATE FUNCTION always(t) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'the same' $$;
CREATE CAST (t AS text) WITH FUNCTION always(t) AS ASSIGNMENT;
"""
TYPES = (
    TRAP
    + """
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN short AS text;
CREATE FUNCTION of_mood(mood) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT caught('cast') $$;
CREATE FUNCTION of_pair(pair) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT caught('cast') $$;
CREATE FUNCTION as_json(mood) RETURNS json LANGUAGE sql IMMUTABLE AS $$ SELECT caught('json cast')::json $$;
CREATE CAST (mood AS text) WITH FUNCTION of_mood(mood) AS IMPLICIT;
CREATE CAST (pair AS text) WITH FUNCTION of_pair(pair) AS IMPLICIT;
CREATE CAST (mood AS json) WITH FUNCTION as_json(mood);
"""
)


def fingerprints(endpoint: Endpoint, **over: bool) -> dict[str, TableFingerprint]:
    with connect(endpoint, purpose="snapshot") as conn:
        return {one.table: one for one in fingerprint.tables(conn, **over)}


@pytest.mark.parametrize("by_name", [False, True])
def test_a_cast_of_the_row_does_not_choose_the_hash(make_database: MakeDatabase, by_name: bool) -> None:
    """Otherwise any copy were proved to equal the source."""
    one = make_database("one", script=ROW_CAST)
    other = make_database("other", script=ROW_CAST + "UPDATE t SET name = 'stolen';")
    assert fingerprints(one, by_name=by_name)["public.t"] != fingerprints(other, by_name=by_name)["public.t"]


def test_a_column_of_the_alias_hides_no_other(make_database: MakeDatabase) -> None:
    script = "CREATE TABLE t (t int, name text); INSERT INTO t VALUES (1, '{}');"
    one, other = make_database("one", script=script.format("a")), make_database("other", script=script.format("b"))
    assert fingerprints(one) != fingerprints(other)


def test_casts_of_types_are_not_called(make_database: MakeDatabase) -> None:
    script = (
        "CREATE TABLE t (m mood, p pair, ms mood[], s short); INSERT INTO t VALUES ('good', (1, 'x'), '{bad}', 's');"
    )
    found = fingerprints(make_database(script=TYPES + script))
    assert found["public.t"].rows == 1


def test_a_table_that_has_become_a_view_is_not_run(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the moment when it is listed and the one when it is read; as CVE-2024-7348."""
    endpoint = make_database(script=TRAP + "CREATE TABLE t (id int);")
    query = fingerprint._ROWS
    swap = "DROP TABLE t; CREATE VIEW t AS SELECT caught('view') AS id"

    class Swapped:
        def format(self, *parts: object) -> object:
            with psycopg.connect(endpoint.conninfo) as owner:
                owner.execute(swap)
            return psycopg.sql.SQL(query.as_string().replace("only {}", "{}")).format(*parts)

    monkeypatch.setattr(fingerprint, "_ROWS", Swapped())
    with pytest.raises(psycopg.Error, match="non-system view"):
        fingerprints(endpoint)


READ = """
CREATE FUNCTION told(x text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN x; END $$;
CREATE FUNCTION told(x text, y text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN true; END $$;
CREATE FUNCTION told(x int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN true; END $$;
CREATE OPERATOR === (PROCEDURE = told, LEFTARG = text, RIGHTARG = text);
CREATE DOMAIN telling AS int CHECK (told('x') = 'x' AND VALUE IS NOT NULL);
CREATE DOMAIN deeper AS telling;
CREATE TABLE t (id int, name text COLLATE "C", "Odd, one" bytea, at timestamptz, more int[], part pair);
"""
ROWS = r"""
INSERT INTO t SELECT g, repeat(chr(64 + g), g), decode(lpad(g::text, 4, '0'), 'hex'), '2024-01-02 03:04:05+00', 
    ARRAY[g, NULL], row(g::int, 'x"y'::text)::pair FROM generate_series(1, 40) AS g;
INSERT INTO t (id, name)
    VALUES (1, NULL), (2, ''), (3, E'a\\b\tc\nd"e,(f) \r\v\f\b'), (4, 'öäü€'), (NULL, NULL), (5, '\\N');
"""
LOUD = """
CREATE OR REPLACE FUNCTION told(x text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN RAISE EXCEPTION 'caught'; END $$;
CREATE OR REPLACE FUNCTION told(x text, y text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN RAISE EXCEPTION 'caught'; END $$;
"""
WHEN_READ = {
    "expression": "CREATE INDEX ON t ((name || told('x')))",
    "predicate": "CREATE INDEX ON t (id) WHERE told('x') = name",
    "operator": "CREATE INDEX ON t (id) WHERE ('a' === 'b') = (id > 0)",
    "domain": "CREATE INDEX ON t ((id::deeper)) WHERE id > 0",
    "statistics": "CREATE STATISTICS s ON id, (name || told('x')) FROM t",
}
WHEN_WRITTEN = {
    "check": "ALTER TABLE t ADD CHECK (told('x') <> name)",
    "default": "ALTER TABLE t ALTER name SET DEFAULT told('x')",
    "domain's column": "ALTER TABLE t ADD other telling",
    "rule": "CREATE RULE r AS ON INSERT TO t DO ALSO UPDATE t SET name = told('x') WHERE false",
    "child": "CREATE TABLE child () INHERITS (t); CREATE INDEX ON child ((name || told('x')))",
}


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("place", WHEN_READ)
def test_what_the_planner_computes_is_not_called_by_the_hash(
    make_database: MakeDatabase, place: str, by_name: bool
) -> None:
    """And the hash is that of a table without it."""
    script = "CREATE TYPE pair AS (a int, b text);" + READ
    calm = make_database("calm", script=script + ROWS)
    # The index first: of these rows it would be made by calls, too.
    trapped = make_database("trapped", script=f"{script} {WHEN_READ[place]}; {ROWS} {LOUD}")
    with psycopg.connect(trapped.conninfo) as conn, pytest.raises(psycopg.Error, match="caught"):
        conn.execute("SELECT * FROM t")
    assert fingerprints(trapped, by_name=by_name) == fingerprints(calm, by_name=by_name)
    assert fingerprints(calm)["public.t"].rows == 46


def test_the_hash_of_a_check_that_could_leave_the_table_out(make_database: MakeDatabase) -> None:
    script = f"{READ.replace(', part pair', '')} {WHEN_WRITTEN['check']}; {LOUD}"
    endpoint = make_database(script=f"{script} ALTER ROLE CURRENT_USER SET constraint_exclusion = 'on'")
    try:
        assert fingerprints(endpoint)["public.t"].rows == 0
    finally:
        with psycopg.connect(endpoint.conninfo) as conn:
            conn.execute("ALTER ROLE CURRENT_USER RESET constraint_exclusion")


def test_a_table_without_columns_is_copied_too(make_database: MakeDatabase) -> None:
    """And one of generated columns, which COPY leaves out."""
    script = (
        READ.replace(", part pair", "")
        + "CREATE TABLE bare (x text, y text GENERATED ALWAYS AS (x || 'y') STORED);"
        + "CREATE INDEX ON bare (y) WHERE told('x') = 'x'; INSERT INTO bare VALUES ('a'), ('b');"
    )
    one = fingerprints(make_database("one", script=script + LOUD))["public.bare"]
    bare = fingerprints(make_database("b", script="CREATE TABLE bare (x text); INSERT INTO bare VALUES ('a'), ('b');"))
    assert one == bare["public.bare"]
    script += "CREATE STATISTICS s ON (told('x')), (told('y')) FROM bare;"
    script += "ALTER TABLE bare DROP COLUMN y, DROP COLUMN x;"
    empty = fingerprints(make_database("empty", script=script + LOUD))["public.bare"]
    script = "CREATE TABLE bare (); INSERT INTO bare SELECT FROM generate_series(1, 2);"
    plain = fingerprints(make_database("plain", script=script))
    assert empty == plain["public.bare"]


def test_a_policy_does_not_choose_the_rows(database: Endpoint, superuser: str) -> None:
    with psycopg.connect(superuser, autocommit=True) as conn:
        conn.execute(TRAP)
        conn.execute("CREATE TABLE t (id int); ALTER TABLE t ENABLE ROW LEVEL SECURITY")
        conn.execute("CREATE POLICY p ON t USING (caught('policy') IS NULL); GRANT SELECT ON t TO migrator")
    with pytest.raises(psycopg.Error, match="row-level security"):
        fingerprints(database)


HISTORY = "version text, status mood, applied_at timestamptz"


def test_the_runbooks_table_is_read_by_output_functions(make_database: MakeDatabase) -> None:
    script = f"{TYPES} CREATE TABLE schema_migrations ({HISTORY});"
    endpoint = make_database(
        script=script + "INSERT INTO schema_migrations VALUES ('1', 'bad', '2024-01-02 03:04:05.6+00');"
    )
    with connect(endpoint, purpose="baseline") as conn:
        (row,) = baseline.legacy_rows(conn)
    assert row.not_applied_because == "its status is 'bad'"
    assert row.applied_at is not None
    assert row.applied_at.isoformat() == "2024-01-02T03:04:05.600000+00:00"


@pytest.mark.parametrize(
    "script, reason",
    [
        (f"{TRAP} CREATE VIEW schema_migrations AS SELECT caught('view') AS version;", "is no table"),
        (f"{TYPES} CREATE TABLE schema_migrations (version mood);", "is of type public.mood"),
    ],
)
def test_a_history_that_would_run_code_is_refused(make_database: MakeDatabase, script: str, reason: str) -> None:
    with (
        connect(make_database(script=script), purpose="baseline") as conn,
        pytest.raises(UsageError, match=reason),
    ):
        foreign_ledgers.read(conn, foreign_ledgers.find("rails"))


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE t SET name = 'x' WHERE name = caught('where')",
        "INSERT INTO t SELECT id, name FROM v",
        "DELETE FROM t USING v WHERE v.id = t.id",
    ],
)
def test_an_estimate_runs_nothing(make_database: MakeDatabase, sql: str) -> None:
    """The planner computes what is immutable."""
    endpoint = make_database(
        script=f"{TRAP} CREATE TABLE t (id int, name text); CREATE VIEW v AS SELECT id, caught('view') AS name FROM t;"
    )
    assert not [message for message in refused_by_server(endpoint, sql) if "caught" in message]


@pytest.mark.parametrize("sql", ["INSERT INTO t (id) VALUES (1)", "UPDATE t SET id = 2 WHERE id = 1", "DELETE FROM t"])
@pytest.mark.parametrize("place", [*WHEN_READ, *WHEN_WRITTEN])
def test_an_estimate_runs_nothing_of_the_table(database: Endpoint, superuser: str, place: str, sql: str) -> None:
    """What another role has made for its table."""
    made = (WHEN_READ | WHEN_WRITTEN)[place]
    with psycopg.connect(superuser, autocommit=True) as conn:
        conn.execute("CREATE ROLE other_of_tests; GRANT CREATE, USAGE ON SCHEMA public TO other_of_tests")
        try:
            conn.execute(f"SET ROLE other_of_tests; {READ.replace(', part pair', '')} {made}; {LOUD}".encode())
            conn.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO migrator")
            assert not [message for message in refused_by_server(database, sql) if "caught" in message]
        finally:
            conn.execute("RESET ROLE; DROP OWNED BY other_of_tests CASCADE; DROP ROLE other_of_tests")


def refused_by_server(endpoint: Endpoint, sql: str) -> list[str]:
    """The planner's failure is no failure of the estimate, so the server is asked what it had to say."""
    raised: list[str] = []
    with connect(endpoint, purpose="observe") as conn:
        execute = conn.execute

        def spying(*args: object, **more: object) -> object:
            try:
                return execute(*args, **more)  # type: ignore[arg-type]
            except psycopg.Error as exc:
                raised.append(str(exc))
                raise

        conn.execute = spying  # type: ignore[method-assign, assignment]
        look(conn, [parse(sql, file="f.sql")], role=None)
    return raised


def checked(endpoint: Endpoint, sql: str) -> tuple[Violation, ...]:
    with connect(endpoint, purpose="observe") as conn:
        return look_for(conn, parse(sql, file="f.sql").statements)


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE t ADD CHECK (caught(name) IS NULL)",
        "ALTER TABLE t ALTER name TYPE int USING caught(name)::int",
        "CREATE UNIQUE INDEX ON t (caught(name))",
        "ALTER TABLE t VALIDATE CONSTRAINT later",
    ],
)
def test_a_check_of_data_calls_no_function_of_others(make_database: MakeDatabase, sql: str) -> None:
    endpoint = make_database(
        script=f"{TRAP} CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'a');"
        "ALTER TABLE t ADD CONSTRAINT later CHECK (caught(name) IS NULL) NOT VALID;"
    )
    (found,) = checked(endpoint, sql)
    assert found.rows is None
    assert "function public.caught is not one of PostgreSQL's own" in found.reason


def test_a_check_of_data_calls_no_function_that_looks_like_a_column(make_database: MakeDatabase) -> None:
    """t.caught is caught(t), if t has no such column."""
    endpoint = make_database(
        script="CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1);"
        "CREATE FUNCTION caught(t) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE 'caught'; END $$;"
    )
    for sql in ("t.caught > 0", "(t).caught > 0"):
        (found,) = checked(endpoint, f"ALTER TABLE t ADD CHECK ({sql})")
        assert "function public.caught is not one of PostgreSQL's own" in found.reason


@pytest.mark.parametrize(
    "condition",
    [
        "query_to_xml('SELECT public.caught(''x'')', true, true, '') IS NULL",
        "pg_catalog.query_to_xml('SELECT public.caught(''x'')', true, true, '') IS NULL",
        "table_to_xml('v', true, true, '') IS NULL",
        "schema_to_xml('public', true, true, '') IS NULL",
        "to_json(m) IS NULL",
        "pg_read_file('PG_VERSION') IS NULL",
        "pg_sleep(id) IS NULL",
        "set_config('statement_timeout', '0', true) = current_setting('lock_timeout')",
    ],
)
def test_a_check_of_data_calls_nothing_that_does_something(make_database: MakeDatabase, condition: str) -> None:
    """Of PostgreSQL's own functions some run any text, or take the time limit off."""
    endpoint = make_database(
        script=f"{TYPES} CREATE TABLE t (id int PRIMARY KEY, m mood); INSERT INTO t VALUES (1, 'good');"
        "CREATE VIEW v AS SELECT caught('view');"
    )
    (found,) = checked(endpoint, f"ALTER TABLE t ADD CHECK ({condition})")
    assert found.rows is None
    assert "does more than compute" in found.reason


OWN_PAIR = """
CREATE TYPE two AS (a text);
CREATE FUNCTION as_two(text) RETURNS two LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN ROW(caught('cast')); END $$;
CREATE CAST (text AS two) WITH FUNCTION as_two(text);
CREATE FUNCTION same(two, two) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN caught('op') = ''; END $$;
CREATE OPERATOR = (PROCEDURE = same, LEFTARG = two, RIGHTARG = two);
CREATE OPERATOR >= (PROCEDURE = same, LEFTARG = two, RIGHTARG = two);
CREATE OPERATOR <= (PROCEDURE = same, LEFTARG = two, RIGHTARG = two);
CREATE DOMAIN checked AS text CHECK (caught(VALUE) <> '');
CREATE DOMAIN deeper AS checked;
CREATE FUNCTION alike(varchar, varchar) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ BEGIN RETURN caught('twin') = ''; END $$;
CREATE OPERATOR = (PROCEDURE = alike, LEFTARG = varchar, RIGHTARG = varchar);
CREATE FUNCTION apart(int, int) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN 1; END $$;
CREATE TYPE span AS RANGE (subtype = int4, subtype_diff = apart);
CREATE FUNCTION told(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ BEGIN RETURN caught('field') = ''; END $$;
CREATE TABLE t (id int PRIMARY KEY, name text, m mood, pair two, code varchar, s span);
INSERT INTO t VALUES (1, 'a', 'good', ROW('a'), 'a', '[1,2)');
INSERT INTO t (id, s) SELECT n, span(n, n + 10) FROM generate_series(2, 500) AS n;
ANALYZE t;
CREATE OR REPLACE FUNCTION apart(int, int) RETURNS float8 LANGUAGE plpgsql IMMUTABLE
AS $$ BEGIN RETURN public.caught('range'); END $$;
"""
UNWRITTEN_CALLS = {
    "a cast to a type": "(name::two) IS NOT NULL",
    "a cast of a type": "m::text <> ''",
    "an implicit cast": "length(m) > 0",
    "an operator that is named": "pair OPERATOR(public.=) pair",
    "an operator": "pair = pair",
    "a list": "pair IN (pair)",
    "a distance": "pair IS NOT DISTINCT FROM pair",
    "a range": "pair BETWEEN pair AND pair",
    "a twin of PostgreSQL's own": "code = 'a'",
    "a twin in a list": "code IN ('a')",
    "a field": "(name).told",
    "a choice": "CASE pair WHEN pair THEN true END",
    "a domain": "(name::checked) <> ''",
    "a domain of a domain": "(name::deeper) <> ''",
    "domains in an array": "(ARRAY[name]::deeper[]) IS NOT NULL",
}


@pytest.mark.parametrize("condition", UNWRITTEN_CALLS.values(), ids=UNWRITTEN_CALLS)
def test_a_check_of_data_makes_no_call_that_nobody_has_written(make_database: MakeDatabase, condition: str) -> None:
    endpoint = make_database(script=TYPES + OWN_PAIR)
    with psycopg.connect(endpoint.conninfo) as conn, pytest.raises(psycopg.Error, match="caught"):
        conn.execute(f"SELECT FROM t WHERE {condition}".encode())
    (found,) = checked(endpoint, f"ALTER TABLE t ADD CHECK ({condition})")
    assert found.rows is None
    assert "is not one of PostgreSQL's own" in found.reason


CONSTANT_CALLS = {
    "a cast": "('z'::text::two) IS NOT NULL",
    "an operator": "ROW('z')::two OPERATOR(public.=) ROW('q')::two",
    "a twin of PostgreSQL's own": "'a'::varchar = 'b'::varchar",
    "a range": "s && '[5,7)'",
    "a field": "('x'::text).told",
    "a view of a view": "id IN (SELECT id FROM above)",
}


@pytest.mark.parametrize("condition", CONSTANT_CALLS.values(), ids=CONSTANT_CALLS)
def test_an_estimate_makes_no_call_that_nobody_has_written(make_database: MakeDatabase, condition: str) -> None:
    views = (
        "CREATE VIEW below AS SELECT id, caught('view') AS name FROM t;"
        "CREATE VIEW above AS SELECT id FROM below WHERE name = 'a';"
    )
    endpoint = make_database(script=TYPES + OWN_PAIR + views)
    with psycopg.connect(endpoint.conninfo) as conn, pytest.raises(psycopg.Error, match="caught"):
        conn.execute(f"EXPLAIN UPDATE t SET id = 2 WHERE {condition}".encode())
    said = refused_by_server(endpoint, f"UPDATE t SET id = 2 WHERE {condition}")
    assert not [message for message in said if "caught" in message]


@pytest.mark.parametrize("place", WHEN_READ)
def test_a_check_of_data_plans_nothing_of_the_table(database: Endpoint, superuser: str, place: str) -> None:
    with psycopg.connect(superuser, autocommit=True) as conn:
        conn.execute("CREATE ROLE reader_of_tests; GRANT CREATE, USAGE ON SCHEMA public TO reader_of_tests")
        try:
            conn.execute(
                f"SET ROLE reader_of_tests; {READ.replace(', part pair', '')} {WHEN_READ[place]}; {LOUD}".encode()
            )
            conn.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO migrator")
            for sql in ("ALTER TABLE t ALTER name SET NOT NULL", "ALTER TABLE t ADD CHECK (id > 0)"):
                (found,) = checked(database, sql)
                assert "to plan it would run functions of the table's owner" in found.reason
        finally:
            conn.execute("RESET ROLE; DROP OWNED BY reader_of_tests CASCADE; DROP ROLE reader_of_tests")


def test_a_check_of_data_ends_no_session(database: Endpoint, make_database: MakeDatabase) -> None:
    endpoint = make_database(script="CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1);")
    with psycopg.connect(database.conninfo, autocommit=True) as application:
        pid = application.info.backend_pid
        (found,) = checked(endpoint, f"ALTER TABLE t ADD CHECK (NOT pg_terminate_backend({pid} * id))")
        assert "function pg_catalog.pg_terminate_backend does more than compute" in found.reason
        application.execute("SELECT 1")


def test_a_check_of_data_that_only_computes_is_run(make_database: MakeDatabase) -> None:
    endpoint = make_database(script="CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1);")
    (found,) = checked(endpoint, "ALTER TABLE t ADD CHECK (length(lower(t.id::text)) > 1 AND random() < 2)")
    assert found.rows == 1


OPERATORS = """
CREATE FUNCTION trapped({type}, {type}) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$ SELECT caught('operator') IS NULL $$;
CREATE OPERATOR = (PROCEDURE = trapped, LEFTARG = {type}, RIGHTARG = {type});
CREATE OPERATOR <> (PROCEDURE = trapped, LEFTARG = {type}, RIGHTARG = {type});
CREATE OPERATOR >= (PROCEDURE = trapped, LEFTARG = {type}, RIGHTARG = {type});
CREATE OPERATOR < (PROCEDURE = trapped, LEFTARG = {type}, RIGHTARG = {type});
"""


KINDS = {
    "citext": "CREATE EXTENSION citext SCHEMA public",
    "ltree": "CREATE EXTENSION ltree SCHEMA public",
    "short": "CREATE DOMAIN short AS text",
    "own": """
    CREATE TYPE own;
    CREATE FUNCTION own_in(cstring) RETURNS own LANGUAGE internal IMMUTABLE STRICT AS 'textin';
    CREATE FUNCTION own_out(own) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
    CREATE TYPE own (INPUT = own_in, OUTPUT = own_out, LIKE = text, COLLATABLE = true);
    CREATE FUNCTION own_lt(own, own) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT AS 'text_lt';
    CREATE FUNCTION own_le(own, own) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT AS 'text_le';
    CREATE FUNCTION own_eq(own, own) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT AS 'texteq';
    CREATE FUNCTION own_ge(own, own) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT AS 'text_ge';
    CREATE FUNCTION own_gt(own, own) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT AS 'text_gt';
    CREATE FUNCTION own_cmp(own, own) RETURNS integer LANGUAGE internal IMMUTABLE STRICT AS 'bttextcmp';
    CREATE OPERATOR < (PROCEDURE = own_lt, LEFTARG = own, RIGHTARG = own);
    CREATE OPERATOR <= (PROCEDURE = own_le, LEFTARG = own, RIGHTARG = own);
    CREATE OPERATOR = (PROCEDURE = own_eq, LEFTARG = own, RIGHTARG = own);
    CREATE OPERATOR >= (PROCEDURE = own_ge, LEFTARG = own, RIGHTARG = own);
    CREATE OPERATOR > (PROCEDURE = own_gt, LEFTARG = own, RIGHTARG = own);
    CREATE OPERATOR CLASS own_ops DEFAULT FOR TYPE own USING btree AS
        OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 own_cmp(own, own);
    """,
}
"""`own` is what an extension's type is, where the server has no contrib."""


@pytest.mark.parametrize("type_of_key", KINDS)
def test_keys_of_other_types_compare_as_their_index_does(database: Endpoint, superuser: str, type_of_key: str) -> None:
    """Operators of a domain over it would fit better than those of the key."""
    with psycopg.connect(superuser, autocommit=True) as conn:
        try:
            conn.execute(KINDS[type_of_key].encode())
        except psycopg.errors.FeatureNotSupported as exc:
            pytest.skip(str(exc))
        conn.execute(TRAP)
        conn.execute(f"CREATE DOMAIN narrow AS {type_of_key}")
        conn.execute(OPERATORS.format(type="narrow"))
        conn.execute("CREATE TABLE keys (key narrow PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, key narrow)")
        conn.execute("CREATE TABLE parts (key narrow) PARTITION BY RANGE (key)")
        conn.execute("INSERT INTO keys VALUES ('a'), ('b')")
        conn.execute("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, NULL)")
        conn.execute("CREATE TABLE part AS SELECT key FROM t WHERE key IS NOT NULL")
        conn.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO migrator")
    (found,) = violations(checked(database, "ALTER TABLE t ADD FOREIGN KEY (key) REFERENCES keys (key)"))
    assert found.samples == ("id=3",)
    (found,) = violations(checked(database, "ALTER TABLE parts ATTACH PARTITION part FOR VALUES FROM ('a') TO ('c')"))
    assert found.rows == 1
    assert violations(checked(database, "ALTER TABLE t ADD UNIQUE (key)")) == ()


def test_a_path_with_a_trap_is_the_migrations_own(make_database: MakeDatabase) -> None:
    """What the file itself names is looked up as it will be when it runs."""
    endpoint = make_database(
        script=f"{TRAP} CREATE SCHEMA app; CREATE TABLE app.t (id int); INSERT INTO app.t VALUES (1);"
    )
    (found,) = violations(checked(replace(endpoint, search_path="app"), "ALTER TABLE t ADD COLUMN n int NOT NULL"))
    assert (found.rows, found.table) == (1, '"t"')


@pytest.mark.parametrize("purpose", ["observe", "validate", "verify", "lock", "cancel", "snapshot", "baseline"])
def test_a_session_that_reads_cannot_write(database: Endpoint, purpose: str) -> None:
    with connect(database, purpose=purpose) as conn:
        assert conn.execute("SHOW search_path").fetchone() == ("pg_catalog, pg_temp",)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            conn.execute("CREATE TABLE public.t (id int)")


def test_an_operator_that_is_not_postgresqls_own_is_not_called(make_database: MakeDatabase) -> None:
    script = f"{TRAP} CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'a');"
    script += OPERATORS.format(type="text").partition("CREATE OPERATOR")[0]
    script += "CREATE OPERATOR === (PROCEDURE = trapped, LEFTARG = text, RIGHTARG = text);"
    endpoint = make_database(script=script)
    (found,) = checked(endpoint, "ALTER TABLE t ADD CHECK (name === 'x')")
    assert found.reason.startswith("operator public.===(text,text) is not one of PostgreSQL's own")
    said = refused_by_server(endpoint, "UPDATE t SET id = 2 WHERE 'a'::text === 'b'")
    assert not [message for message in said if "caught" in message]


LOCKING = """
CREATE FUNCTION caught(what text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN PERFORM pg_advisory_lock(4711); RETURN what; END $$;
"""
INPUTS = """
CREATE DOMAIN loud AS text CHECK (caught(VALUE) <> '');
CREATE TYPE pair_of AS (a loud);
CREATE TYPE span AS RANGE (subtype = loud);
CREATE FUNCTION takes(loud[]) RETURNS boolean LANGUAGE sql RETURN true;
CREATE PROCEDURE does(loud[]) LANGUAGE sql AS 'SELECT 1';
CREATE TABLE t (id int PRIMARY KEY, tags loud[], part pair_of, range_of span);
"""
PARSED = [
    "INSERT INTO t (id, tags) VALUES (1, '{a,b}')",
    "INSERT INTO t (id, part) VALUES (1, '(a)')",
    "INSERT INTO t (id, range_of) VALUES (1, '[a,b)')",
    "UPDATE t SET id = 2 WHERE tags = '{a}'",
    "UPDATE t SET tags[1] = 'a', part.a = 'a' WHERE range_of = E'[a,b)'",
    "SELECT * FROM t WHERE takes($$ {a} $$)",
    "SELECT '{a}'::loud[]",
    "SELECT pair_of '(a)'",
    "WITH x AS (SELECT CAST('[a,b)' AS span)) SELECT FROM x",
    "CREATE TABLE made AS SELECT '{a}'::loud[] AS tags",
    "EXPLAIN SELECT '{a}'::loud[]",
    "DECLARE c CURSOR FOR SELECT '{a}'::loud[]",
    "CALL does('{a}')",
    "ALTER TABLE t ADD COLUMN more loud[] DEFAULT '{a}'",
    "CREATE INDEX ON t (id) WHERE tags = '{a}'",
    "DO $$ DECLARE x loud[] := '{a}'; BEGIN PERFORM takes('{a}'); END $$",
]


@pytest.mark.parametrize("sql", PARSED)
def test_what_the_server_parses_becomes_no_value(make_database: MakeDatabase, sql: str) -> None:
    """The input function of what has a domain inside checks that."""
    endpoint = make_database(script=LOCKING + INPUTS)
    file = parse(sql, file="f.sql")
    scripts = inspect(Sources((file,)), Known()).scripts
    for ask in (
        lambda conn: list(server_findings(conn, scripts)),
        lambda conn: list(syntax_findings(conn, [file])),
        lambda conn: look(conn, [file], role=None),
    ):
        with connect(endpoint, purpose="observe") as conn:
            ask(conn)
            locked = conn.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()
            assert locked == (0,)


def test_a_value_that_is_made_is_noticed(make_database: MakeDatabase) -> None:
    """So the test above can fail."""
    with psycopg.connect(make_database(script=LOCKING + INPUTS).conninfo) as conn:
        conn.execute("PREPARE p AS INSERT INTO t (id, tags) VALUES (1, '{a,b}')")
        locked = conn.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()
        assert locked == (1,)


def test_an_index_without_a_name_is_compared_as_its_tables_owner(
    database: Endpoint, superuser: str, make_database: MakeDatabase
) -> None:
    """Its condition calls what another role has written, whose session could read what that role may not."""
    made = """
    CREATE TABLE t (id int);
    CREATE FUNCTION who(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
    BEGIN
        IF current_user = 'migrator' THEN RAISE WARNING 'caught'; END IF;
        RETURN 0;
    END $$;
    """
    name, plan = "owner_of_index", plan_from_sql("CREATE INDEX CONCURRENTLY ON t (id) WHERE id > who(3);")
    with psycopg.connect(superuser, autocommit=True) as conn:
        conn.execute(f"CREATE ROLE {name}; GRANT CREATE, USAGE ON SCHEMA public TO {name}; GRANT {name} TO migrator")
        try:
            conn.execute(f"SET ROLE {name}; {made}; RESET ROLE".encode())
            told: list[str] = []
            with connect(database, purpose="apply") as asked:
                asked.add_notice_handler(lambda notice: told.append(str(notice.message_primary)))
                statement = plan.steps[0].statements[0]
                assert concurrent_index.look(statement, asked).state is State.REPEAT
                conn.execute("CREATE INDEX ON public.t (id) WHERE id > who(3)")
                assert concurrent_index.look(statement, asked).state is State.DONE
            assert told == []
        finally:
            conn.execute(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")
