"""What PostgreSQL runs, the analysis never refuses: each file runs on a server, before which the analysis has no error.

The files are of the kinds in which forecasts were wrong about migrations that others really ran.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg
import pytest

from migrator.analysis.inspection import inspect
from migrator.analysis.known import Known, Sources
from migrator.analysis.server_check import NAME_RULE, server_findings, syntax_findings
from migrator.analysis.server_check.parsing import grammar_refuses, parse_on_server
from migrator.database.session import Endpoint, connect
from migrator.embedded.download import find_or_download
from migrator.embedded.server import Server
from migrator.errors import EnvironmentFault
from migrator.facts.query import collect_facts
from migrator.parsing.statements import parse
from migrator.plan import MAY_FAIL, Finding, Severity
from tests.integration.conftest import MakeDatabase, _prepare, database_on

BEFORE = """
CREATE TABLE people (id serial PRIMARY KEY, name text NOT NULL, age int CHECK (age > 0), born text);
CREATE INDEX people_born ON people (born);
CREATE VIEW grown AS SELECT id, name FROM people WHERE age > 17;
CREATE MATERIALIZED VIEW counted AS SELECT age, count(*) AS n FROM people GROUP BY age;
CREATE UNIQUE INDEX counted_age ON counted (age);
CREATE FUNCTION shout(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper($1)';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touched BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION touch();
CREATE POLICY seen ON people USING (true);
CREATE RULE quiet AS ON DELETE TO people DO INSTEAD NOTHING;
CREATE STATISTICS together ON name, age FROM people;
CREATE DOMAIN positive AS int CONSTRAINT above CHECK (VALUE > 0);
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE TYPE pair AS (a int, b int);
CREATE TABLE events (id bigint, at date NOT NULL, note text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE parent (a int);
CREATE TABLE child (b int) INHERITS (parent);
CREATE TABLE orders (id int PRIMARY KEY, person int REFERENCES people, total numeric DEFAULT 0);
"""

RUNS = {
    "drop and create a function": """
        DROP FUNCTION shout(text);
        CREATE FUNCTION shout(text) RETURNS varchar LANGUAGE sql IMMUTABLE AS 'SELECT upper($1)::varchar';
        CREATE INDEX ON people (shout(name));""",
    "drop and create with another result": """
        DROP FUNCTION IF EXISTS shout(text); CREATE OR REPLACE FUNCTION shout(said text) RETURNS int LANGUAGE sql
        AS 'SELECT length($1)'; UPDATE people SET age = shout(name) WHERE false;""",
    "functions of an extension": """
        CREATE EXTENSION IF NOT EXISTS pgcrypto; ALTER TABLE people ADD COLUMN secret bytea;
        UPDATE people SET secret = digest(name, 'sha256');
        ALTER TABLE people ADD key uuid DEFAULT gen_random_uuid();""",
    "types of an extension": """
        CREATE EXTENSION citext; ALTER TABLE people ALTER COLUMN born TYPE citext; UPDATE people SET born = born || 'x'
        WHERE born = 'a'::citext; CREATE TABLE mails (address citext UNIQUE);""",
    "operator classes of an extension": """
        CREATE EXTENSION pg_trgm; CREATE INDEX ON people USING gin (name gin_trgm_ops);
        SELECT similarity(name, 'x') FROM people WHERE name % 'x';""",
    "an extension in a schema of its own": """
        CREATE SCHEMA tools; CREATE EXTENSION hstore SCHEMA tools; ALTER TABLE people ADD tags tools.hstore;
        SET search_path = public, tools; UPDATE people SET tags = hstore('a', name); RESET search_path;""",
    "create table as, then its columns": """
        CREATE TABLE kept AS SELECT id, name, age + 1 AS older FROM people; ALTER TABLE kept ADD PRIMARY KEY (id);
        CREATE INDEX ON kept (older); UPDATE kept SET older = older + 1;
        ALTER TABLE kept ALTER COLUMN older SET NOT NULL;
        ALTER TABLE kept DROP COLUMN name; COMMENT ON COLUMN kept.older IS 'x';""",
    "create table as a star": """
        CREATE TABLE kept AS SELECT * FROM people; ALTER TABLE kept DROP COLUMN born; CREATE INDEX ON kept (name);
        CREATE TABLE both_of AS SELECT p.*, o.total FROM people p JOIN orders o ON o.person = p.id;
        ALTER TABLE both_of RENAME COLUMN total TO sum; UPDATE both_of SET sum = 1, born = NULL;""",
    "select into": """
        SELECT id, name AS called INTO kept FROM people; ALTER TABLE kept ALTER called SET NOT NULL;
        INSERT INTO kept (id, called) VALUES (1, 'x');""",
    "create table as values, with names": """
        CREATE TABLE kept (x, y) AS VALUES (1, 'a'); ALTER TABLE kept ADD UNIQUE (x);
        DELETE FROM kept WHERE y = 'a';""",
    "create table as execute": """
        PREPARE q AS SELECT id AS k FROM people; CREATE TABLE kept AS EXECUTE q; CREATE INDEX ON kept (k);
        DELETE FROM kept WHERE k = 1;""",
    "a rename, then the new name": """
        ALTER TABLE people RENAME TO persons; ALTER TABLE persons RENAME COLUMN born TO birth;
        UPDATE persons SET birth = NULL; CREATE INDEX ON persons (birth); ALTER TABLE persons DROP COLUMN birth;""",
    "two tables change places": """
        CREATE TABLE people_new (LIKE people INCLUDING ALL, extra int); ALTER TABLE people RENAME TO people_old;
        ALTER TABLE people_new RENAME TO people; UPDATE people SET extra = 1; INSERT INTO people (id, name, extra)
        SELECT id, name, 1 FROM people_old; ALTER TABLE people ADD CHECK (extra > 0);""",
    "a renamed schema": """
        CREATE SCHEMA s; CREATE TABLE s.t (a int); ALTER SCHEMA s RENAME TO r; INSERT INTO r.t VALUES (1);
        ALTER TABLE r.t ADD b int; ALTER TABLE r.t SET SCHEMA public; UPDATE t SET b = a;""",
    "sql functions that are inlined": """
        CREATE FUNCTION over(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 17';
        CREATE INDEX ON people (id) WHERE over(age); ALTER TABLE people ADD CHECK (over(age));
        CREATE FUNCTION today() RETURNS date LANGUAGE sql STABLE AS 'SELECT DATE ''2024-01-01''';
        ALTER TABLE people ADD d date DEFAULT today(); CREATE INDEX ON people ((shout(name)));""",
    "an inlined function that is not marked immutable": """
        CREATE FUNCTION doubled(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2'; CREATE INDEX ON people (doubled(age));
        ALTER TABLE people ADD twice int GENERATED ALWAYS AS (doubled(id)) STORED;""",
    "cascade and recreate": """
        DROP VIEW grown CASCADE; ALTER TABLE people ALTER COLUMN name TYPE varchar(90);
        CREATE VIEW grown AS SELECT id, name, age FROM people; GRANT SELECT ON grown TO PUBLIC;""",
    "cascade of a function, and recreate": """
        DROP FUNCTION touch() CASCADE;
        CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';
        CREATE TRIGGER touched BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION touch();""",
    "cascade of a column": """
        ALTER TABLE people DROP COLUMN age CASCADE; ALTER TABLE people ADD COLUMN age bigint;
        CREATE MATERIALIZED VIEW counted AS SELECT age, count(*) AS n FROM people GROUP BY age;
        CREATE UNIQUE INDEX counted_age ON counted (age); CREATE VIEW grown AS SELECT age FROM people;
        REFRESH MATERIALIZED VIEW counted; REFRESH MATERIALIZED VIEW CONCURRENTLY counted;""",
    "cascade of a type": """
        ALTER TABLE people ADD feels mood; DROP TYPE mood CASCADE; CREATE TYPE mood AS ENUM ('new');
        ALTER TABLE people ADD feels mood DEFAULT 'new'; UPDATE people SET feels = 'new';""",
    "cascade of a schema": """
        CREATE SCHEMA s; CREATE TABLE s.t (a int); CREATE VIEW see AS SELECT a FROM s.t; DROP SCHEMA s CASCADE;
        CREATE SCHEMA s; CREATE TABLE s.t (b int); CREATE VIEW see AS SELECT b FROM s.t; SELECT b FROM see;""",
    "cascade of a primary key": """
        ALTER TABLE people DROP CONSTRAINT people_pkey CASCADE; ALTER TABLE people ADD PRIMARY KEY (id);
        ALTER TABLE orders ADD CONSTRAINT orders_person_fkey FOREIGN KEY (person) REFERENCES people;""",
    "like including, then attach": """
        CREATE TABLE events_2 (LIKE events INCLUDING ALL); ALTER TABLE events_2 ADD CHECK (at >= '2025-01-01');
        ALTER TABLE events ATTACH PARTITION events_2 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
        INSERT INTO events VALUES (1, '2025-05-05', 'x'); ALTER TABLE events_2 DROP CONSTRAINT events_2_at_check;""",
    "like including, then other names": """
        CREATE TABLE copied (LIKE people INCLUDING INDEXES INCLUDING CONSTRAINTS INCLUDING DEFAULTS);
        DROP INDEX copied_born_idx; ALTER TABLE copied DROP CONSTRAINT people_age_check;
        ALTER TABLE copied DROP CONSTRAINT copied_pkey; ALTER TABLE copied ADD PRIMARY KEY (id);""",
    "row expansion": """
        CREATE TABLE log (LIKE people); ALTER TABLE log ADD at timestamptz DEFAULT now();
        CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN INSERT INTO log SELECT new.*; RETURN NEW; END';
        CREATE TRIGGER kept AFTER INSERT ON people FOR EACH ROW EXECUTE FUNCTION keep();
        INSERT INTO people (name, age) VALUES ('x', 20); INSERT INTO log SELECT p.* FROM people p;""",
    "row expansion in a rule": """
        CREATE RULE also AS ON INSERT TO orders DO ALSO INSERT INTO orders SELECT new.* WHERE false;
        CREATE RULE few AS ON UPDATE TO orders WHERE new.total < 0 DO INSTEAD NOTHING;
        CREATE TABLE pairs (p pair); INSERT INTO pairs VALUES (ROW (1, 2)); SELECT (p).*, (p).a FROM pairs;""",
    "detach": """
        ALTER TABLE events DETACH PARTITION events_1; ALTER TABLE events_1 DROP CONSTRAINT events_1_pkey;
        ALTER TABLE events_1 ALTER COLUMN at DROP NOT NULL; ALTER TABLE events_1 DROP COLUMN note;
        CREATE TABLE events_new PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');""",
    "inherit": """
        CREATE TABLE other (b int, a int); ALTER TABLE other INHERIT parent; ALTER TABLE parent ADD c int;
        UPDATE other SET c = 1; ALTER TABLE child NO INHERIT parent; ALTER TABLE child DROP COLUMN a;
        ALTER TABLE other NO INHERIT parent; ALTER TABLE other DROP COLUMN a; DROP TABLE parent;""",
    "refresh": """
        REFRESH MATERIALIZED VIEW counted; REFRESH MATERIALIZED VIEW CONCURRENTLY counted;
        CREATE MATERIALIZED VIEW fresh AS SELECT id, name FROM people WITH NO DATA; CREATE UNIQUE INDEX ON fresh (id);
        REFRESH MATERIALIZED VIEW fresh; REFRESH MATERIALIZED VIEW CONCURRENTLY fresh; SELECT id FROM fresh;""",
    "renames of a trigger, a policy, a rule": """
        ALTER TRIGGER touched ON people RENAME TO touching; DROP TRIGGER touching ON people;
        ALTER POLICY seen ON people RENAME TO visible; ALTER POLICY visible ON people USING (age > 0);
        DROP POLICY visible ON people; ALTER RULE quiet ON people RENAME TO silent; DROP RULE silent ON people;""",
    "renames of functions and types": """
        ALTER FUNCTION shout(text) RENAME TO cry; UPDATE people SET name = cry(name); DROP FUNCTION cry(text);
        ALTER TYPE mood RENAME TO temper; CREATE TABLE tempers (t temper DEFAULT 'sad'); ALTER TYPE temper
        RENAME VALUE 'sad' TO 'blue'; INSERT INTO tempers VALUES ('blue'); ALTER TYPE pair RENAME ATTRIBUTE a TO c;
        ALTER TYPE pair ADD ATTRIBUTE d int; SELECT (ROW (1, 2, 3)::pair).c, (ROW (1, 2, 3)::pair).d;""",
    "renames of statistics and of a domain's constraint": """
        ALTER STATISTICS together RENAME TO apart; ALTER STATISTICS apart SET STATISTICS 10; DROP STATISTICS apart;
        ALTER DOMAIN positive RENAME CONSTRAINT above TO over; ALTER DOMAIN positive DROP CONSTRAINT over;
        ALTER DOMAIN positive ADD CONSTRAINT over CHECK (VALUE > 1); ALTER DOMAIN positive RENAME TO plus;
        CREATE TABLE pluses (p plus); INSERT INTO pluses VALUES (2);""",
    "renames of constraints, indexes, sequences": """
        ALTER TABLE people RENAME CONSTRAINT people_age_check TO grown_up; ALTER TABLE people DROP CONSTRAINT grown_up;
        ALTER INDEX people_born RENAME TO people_birth; DROP INDEX people_birth;
        ALTER SEQUENCE people_id_seq RENAME TO numbers; SELECT nextval('numbers'); ALTER TABLE people_pkey RENAME TO pk;
        ALTER TABLE orders DROP CONSTRAINT orders_person_fkey; ALTER TABLE people DROP CONSTRAINT pk;""",
    "renames of views and their columns": """
        ALTER VIEW grown RENAME TO adults; ALTER VIEW adults RENAME COLUMN name TO called; SELECT called FROM adults;
        ALTER MATERIALIZED VIEW counted RENAME TO sums; REFRESH MATERIALIZED VIEW CONCURRENTLY sums;
        ALTER TABLE adults RENAME TO elders; DROP VIEW elders;""",
    "names that the server derives": """
        CREATE TABLE things (id serial, code text UNIQUE, n int CHECK (n > 0), k bigint GENERATED ALWAYS AS IDENTITY,
        person int REFERENCES people, PRIMARY KEY (id), EXCLUDE (code WITH =));
        SELECT nextval('things_id_seq'), setval('things_k_seq', 9); ALTER TABLE things DROP CONSTRAINT things_code_key;
        ALTER TABLE things DROP CONSTRAINT things_n_check; ALTER TABLE things DROP CONSTRAINT things_person_fkey;
        ALTER TABLE things DROP CONSTRAINT things_pkey; ALTER TABLE things DROP CONSTRAINT things_code_excl;
        CREATE INDEX ON things (lower(code), n); DROP INDEX things_lower_n_idx; CREATE INDEX ON things (n);
        CREATE INDEX ON things (n); DROP INDEX things_n_idx1; DROP INDEX things_n_idx;""",
    "names that are cut or numbered": """
        CREATE TABLE the_name_of_this_table_is_longer_than_postgresql_keeps_of_a_name (a serial,
        a_column_with_a_long_name int UNIQUE, CHECK (a > 1), CHECK (a > 2));
        INSERT INTO the_name_of_this_table_is_longer_than_postgresql_keeps_of_a_nam VALUES (3, 3);
        SELECT nextval('the_name_of_this_table_is_longer_than_postgresql_keeps_of_a_seq');
        DROP TABLE the_name_of_this_table_is_longer_than_postgresql_keeps_of_a_nam;
        CREATE TABLE w (a int, CHECK (a > 1), CHECK (a > 2)); ALTER TABLE w DROP CONSTRAINT w_a_check1;
        ALTER TABLE w DROP CONSTRAINT w_a_check;""",
    "row and array types of tables": """
        CREATE TABLE boxes (w int, h int); CREATE FUNCTION area(boxes) RETURNS int LANGUAGE sql AS 'SELECT $1.w * $1.h';
        SELECT b.area, area(b) FROM boxes b; CREATE TABLE shelves (content boxes[], one boxes);
        UPDATE shelves SET content[1].w = 2, one.h = 3; ALTER TABLE boxes RENAME TO crates;
        CREATE FUNCTION many() RETURNS SETOF crates LANGUAGE sql AS 'SELECT * FROM crates'; SELECT w FROM many();""",
    "what a block makes": """
        DO $$ BEGIN EXECUTE 'CREATE TABLE hidden (a int)'; END $$; ALTER TABLE hidden ADD b int;
        UPDATE hidden SET b = a; CREATE INDEX ON hidden (b); DROP TABLE hidden;""",
    "what a function makes": """
        CREATE FUNCTION build(name text) RETURNS void LANGUAGE plpgsql AS
        $$ BEGIN EXECUTE format('CREATE TABLE %I (a int, b int)', name); END $$;
        SELECT build('built'); INSERT INTO built (a) VALUES (1); ALTER TABLE built ADD CHECK (b > 0);""",
    "make it unless it is there": """
        CREATE TABLE IF NOT EXISTS people (id int, other text); ALTER TABLE people ADD COLUMN IF NOT EXISTS name text;
        CREATE INDEX IF NOT EXISTS people_born ON people (id); CREATE SEQUENCE IF NOT EXISTS people_id_seq;
        DROP TABLE IF EXISTS nothing CASCADE; ALTER TABLE IF EXISTS nothing ADD a int; DROP INDEX IF EXISTS nothing_idx;
        DO $$ BEGIN CREATE TYPE mood AS ENUM ('x'); EXCEPTION WHEN duplicate_object THEN NULL; END $$;""",
    "a column that changes its type": """
        UPDATE people SET born = '7'; ALTER TABLE people ALTER COLUMN born TYPE int USING born::int;
        UPDATE people SET born = born + 1, age = born;
        INSERT INTO orders (id, total) SELECT id, born * 2 FROM people;""",
    "more columns than before": """
        ALTER TABLE orders ADD note text; INSERT INTO orders VALUES (1, NULL, 5, 'x');
        CREATE OR REPLACE VIEW grown AS SELECT id, name, age FROM people; SELECT age FROM grown;
        SELECT * FROM (SELECT * FROM orders) o (a, b, c, d);
        (SELECT id, person, total, note FROM orders) UNION SELECT * FROM orders;""",
    "a not null column of an emptied table": """
        INSERT INTO people (name) SELECT 'x' FROM generate_series(1, 3); TRUNCATE people CASCADE;
        ALTER TABLE people ADD must int NOT NULL; ALTER TABLE people ADD UNIQUE (must);""",
    "an operator, a cast, an aggregate": """
        CREATE FUNCTION plus(mood, int) RETURNS mood LANGUAGE sql AS 'SELECT $1';
        CREATE OPERATOR + (LEFTARG = mood, RIGHTARG = int, FUNCTION = plus); SELECT 'sad'::mood + 1;
        CREATE FUNCTION to_int(mood) RETURNS int LANGUAGE sql AS 'SELECT 7'; CREATE CAST (mood AS int)
        WITH FUNCTION to_int(mood); SELECT 'sad'::mood::int; CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int);
        SELECT total(age) FROM people; CREATE COLLATION own FROM "C"; SELECT name COLLATE own FROM people;""",
    "an ambiguous call that a drop resolves": """
        CREATE FUNCTION pick(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE FUNCTION pick(a int) RETURNS int LANGUAGE sql AS 'SELECT 2'; DROP FUNCTION pick(int, int);
        SELECT pick(1);""",
    "a search path of its own": """
        CREATE SCHEMA app; SET search_path = app; CREATE TABLE people (own int); INSERT INTO people (own) VALUES (1);
        CREATE INDEX ON people (own); SET search_path = public; ALTER TABLE people ADD COLUMN own int;""",
    "the owner of all that somebody had": """
        ALTER TABLE people OWNER TO CURRENT_USER; GRANT ALL ON people TO CURRENT_USER; REVOKE ALL ON people FROM PUBLIC;
        SET ROLE NONE; DELETE FROM people WHERE id = 0;""",
    "a temporary table": """
        CREATE TEMP TABLE people (x int); INSERT INTO people (x) VALUES (1); CREATE INDEX ON people (x);
        ALTER TABLE people ADD y int; UPDATE people SET y = x; DROP TABLE people; UPDATE people SET name = 'x';""",
    "defaults, identity and generated columns": """
        ALTER TABLE people ALTER id DROP DEFAULT; DROP SEQUENCE people_id_seq;
        ALTER TABLE people ALTER id ADD GENERATED BY DEFAULT AS IDENTITY; SELECT nextval('people_id_seq');
        ALTER TABLE people ALTER id DROP IDENTITY;
        ALTER TABLE people ADD full_name text GENERATED ALWAYS AS (name) STORED;
        ALTER TABLE people ALTER full_name DROP EXPRESSION; UPDATE people SET full_name = 'x';""",
    "an enum that is replaced": """
        ALTER TABLE people ADD feels mood DEFAULT 'sad'; ALTER TYPE mood RENAME TO mood_old;
        CREATE TYPE mood AS ENUM ('good', 'sad'); ALTER TABLE people ALTER feels DROP DEFAULT;
        ALTER TABLE people ALTER feels TYPE mood USING feels::text::mood;
        ALTER TABLE people ALTER feels SET DEFAULT 'good';
        DROP TYPE mood_old; UPDATE people SET feels = 'good';""",
    "a value that the enum has": """
        ALTER TYPE mood ADD VALUE IF NOT EXISTS 'sad'; ALTER TABLE people ADD feels mood DEFAULT 'sad';
        SELECT 'sad'::mood; UPDATE people SET feels = 'sad';""",
    "a view that is in the way is gone": """
        DROP MATERIALIZED VIEW counted; DROP VIEW grown; ALTER TABLE people ALTER age TYPE bigint;
        ALTER TABLE people DROP COLUMN age; ALTER TABLE people ADD age smallint;
        CREATE VIEW grown AS SELECT id, age FROM people;""",
    "a block that catches what fails": """
        DO $$ BEGIN ALTER TABLE nothing ADD a int; EXCEPTION WHEN OTHERS THEN NULL; END $$;
        DO $$ BEGIN VACUUM people; EXCEPTION WHEN OTHERS THEN NULL; END $$;
        DO $$ BEGIN IF false THEN CREATE DATABASE other; UPDATE nothing SET a = 1; END IF; END $$;""",
}  # fmt: skip
"""By what is special about them. Each runs as it stands, in one transaction."""


FORETOLD_WRONGLY = frozenset(
    [
        "a renamed schema",
        "like including, then other names",
        "detach",
        "inherit",
        "what a function makes",
    ]
)
"""Of these the analysis still warns that they may fail."""


def findings(endpoint: Endpoint, sql: str) -> list[Finding]:
    """The analysis' and, as with `--validate-syntax`, what the target says to each statement."""
    parsed = parse(sql, file="x.sql")
    with connect(endpoint, purpose="validate") as conn:
        done = inspect(Sources((parsed,)), Known(facts=collect_facts(conn, parsed)))
        return [*done.findings, *server_findings(conn, done.scripts)]


@pytest.fixture(scope="module")
def with_contrib() -> Iterator[Server]:
    """The programs of this major come with the extensions of contrib, those of others may not."""
    try:
        programs = find_or_download(17)
    except EnvironmentFault as exc:
        pytest.skip(str(exc))
    with Server.temporary(programs=programs) as started:
        _prepare(started)
        yield started


@pytest.mark.parametrize("what", RUNS)
def test_what_runs_is_not_refused(what: str, make_database: MakeDatabase, request: pytest.FixtureRequest) -> None:
    if "CREATE EXTENSION" in RUNS[what]:
        endpoint = database_on(
            request.getfixturevalue("with_contrib"), f"contrib_{list(RUNS).index(what)}", script=BEFORE
        )
    else:
        endpoint = make_database(what, script=BEFORE)
    found = findings(endpoint, RUNS[what])
    with psycopg.connect(endpoint.conninfo) as conn:
        conn.execute(RUNS[what].encode())
    assert [one for one in found if one.severity is Severity.ERROR] == []
    foretold = [one for one in found if one.rule == MAY_FAIL]
    assert bool(foretold) is (what in FORETOLD_WRONGLY), foretold


def test_a_name_that_nothing_makes_is_an_error(make_database: MakeDatabase) -> None:
    """Parse looks at queries only; the rest of what it cannot find is a warning."""
    endpoint = make_database(script=BEFORE)
    sql = "CREATE TABLE other (b int); UPDATE people SET nix = 1; DELETE FROM nowhere; DROP TABLE gone; SELECT nix(1);"
    told = [(one.statement, one.severity) for one in findings(endpoint, sql) if one.rule == NAME_RULE]
    assert told == [(1, Severity.ERROR), (2, Severity.ERROR), (3, Severity.WARNING), (4, Severity.ERROR)]
    for statement in sql.split(";")[1:5]:
        with psycopg.connect(endpoint.conninfo) as conn, pytest.raises(psycopg.ProgrammingError):
            conn.execute(statement.encode())


def test_a_pending_migration_may_make_the_name(make_database: MakeDatabase) -> None:
    endpoint = make_database(script=BEFORE)
    sql = "UPDATE people SET nix = 1;"
    pending = parse("ALTER TABLE people ADD nix int;", file="earlier.sql")
    with connect(endpoint, purpose="validate") as conn:
        parsed = parse(sql, file="x.sql")
        scripts = inspect(Sources((parsed,)), Known(facts=collect_facts(conn, parsed))).scripts
        assert [one.severity for one in server_findings(conn, scripts)] == [Severity.ERROR]
        assert list(server_findings(conn, scripts, before=(pending,))) == []


def test_only_the_grammar_refuses(make_database: MakeDatabase) -> None:
    """ "INSERT has more expressions than target columns" is 42601 as well, and says nothing about the grammar."""
    endpoint = make_database(script=BEFORE)
    sql = (
        "INSERT INTO public.people VALUES (1, '', 1, '', 1); SELECT 1 UNION SELECT 1, 2;"
        "CREATE TABLE x AS SELECT 1 EXCEPT (SELECT 1, 2);"
    )
    with connect(endpoint, purpose="validate") as conn:
        assert list(syntax_findings(conn, [parse(sql, file="x.sql")])) == []
        refusals = [parse_on_server(conn, one) for one in sql.split(";")[:3]]
        assert [one.sqlstate if one else "" for one in refusals] == ["42601"] * 3
        assert grammar_refuses(conn, "SELECT 1 FROM FROM x -- why")
        assert not grammar_refuses(conn, "SELECT 1; -- a comment at its end")


IN_A_SCHEMA = (
    "CREATE FUNCTION apart.f(a text) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE PROCEDURE apart.p() LANGUAGE sql AS 'SELECT 1'",
    "CREATE AGGREGATE apart.a(int) (SFUNC = int4pl, STYPE = int)",
    "CREATE OPERATOR apart.=~= (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)",
    "CREATE TYPE apart.pair AS (a int)",
    "CREATE TYPE apart.mood AS ENUM ('glad')",
    "CREATE TYPE apart.span AS RANGE (SUBTYPE = int)",
    "CREATE DOMAIN apart.positive AS int CHECK (VALUE > 0)",
    "CREATE COLLATION apart.c (LOCALE = 'C')",
    "CREATE TEXT SEARCH CONFIGURATION apart.words (COPY = pg_catalog.simple)",
    "CREATE TEXT SEARCH DICTIONARY apart.plain (TEMPLATE = pg_catalog.simple)",
    "CREATE TABLE apart.t (a int)",
    "CREATE TABLE apart.t AS SELECT 1 AS a",
    "SELECT 1 AS a INTO apart.t",
    "CREATE SEQUENCE apart.s",
    "CREATE VIEW apart.v AS SELECT 1",
    "CREATE MATERIALIZED VIEW apart.m AS SELECT 1",
    "CREATE STATISTICS apart.s ON name, age FROM people",
    "CREATE CONVERSION apart.c FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8",
    "ALTER TABLE parent SET SCHEMA apart",
    "ALTER FUNCTION shout(text) SET SCHEMA apart",
    "ALTER TYPE mood SET SCHEMA apart",
)


def test_a_schema_that_is_named_nowhere_else_is_known(make_database: MakeDatabase) -> None:
    """The first function of a schema: its facts were asked for what other statements name only."""
    endpoint = make_database(script=f"{BEFORE} CREATE SCHEMA apart;")
    for sql in IN_A_SCHEMA:
        assert [one.message for one in findings(endpoint, sql) if one.rule == MAY_FAIL] == [], sql
        with psycopg.connect(endpoint.conninfo) as conn:
            conn.execute(sql.encode())
            conn.rollback()
        if re.search("FUNCTION apart|PROCEDURE|ENUM|RANGE|DOMAIN", sql):
            told = [one.message for one in findings(endpoint, sql.replace("apart", "nowhere")) if one.rule == MAY_FAIL]
            assert told == ['may fail with 3F000: schema "nowhere" does not exist'], sql
