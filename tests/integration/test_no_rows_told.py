"""No row of a database reaches what people are told: a canary value is planted in rows and driven into every kind of
error, and nothing that goes out has it. The withheld file has it each time, so each case did drive it."""

from __future__ import annotations

import io
import json
import logging
import pickle
import re
import shutil
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_migrator.operators.verify import PgMigrationVerifyOperator
from migrator import cli, documents
from migrator.backups import programs
from migrator.database import session
from migrator.database.schema import Schema
from migrator.database.session import Endpoint
from migrator.database.told import message_words, names_known, tell
from migrator.database.vocabulary import vocabulary
from migrator.database.withheld import Keeper, LocalFile, kept_by
from migrator.embedded.server import Server
from migrator.errors import DryRunFailed, LockNotAvailable, MigratorError, ProgramFailed, StatementFailed
from migrator.evidence import Verdict
from migrator.gates.assertions import assertion
from migrator.history import legacy
from tests.evidence import read_schema
from tests.factories import plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.copies import make_copy, rehearse
from tests.integration.stages import apply_all, outcome_of, query, roll_back, row_of, verify_it

CANARY = "canary-4711@example.org"
"""No migration below has it in its text: those have only the statements that find it."""

ROWS = f"""
CREATE TABLE users (id int PRIMARY KEY, email text UNIQUE CHECK (length(email) < 100), age numeric(4, 1));
CREATE TABLE orders (id int PRIMARY KEY, email text);
CREATE TABLE deferred (email text REFERENCES users (email) DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE lone (email text CONSTRAINT lone_key PRIMARY KEY, CONSTRAINT lone_excl EXCLUDE USING btree (email WITH =));
CREATE TABLE parts (email text) PARTITION BY LIST (email);
CREATE TABLE strict (email text NOT NULL, other int NOT NULL);
CREATE TYPE mood AS ENUM ('good');
CREATE DOMAIN short AS text CHECK (length(value) < 5);
CREATE VIEW young AS SELECT * FROM users WHERE age < 20 WITH CHECK OPTION;
INSERT INTO users VALUES (1, '{CANARY}', 1);
INSERT INTO lone VALUES ('{CANARY}');
INSERT INTO orders VALUES (1, '{CANARY}'), (2, '{CANARY}');
CREATE FUNCTION shout(x text) RETURNS int LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'not %', x; END$$;
CREATE FUNCTION forge(x text, state text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', x USING
        ERRCODE = state, DETAIL = x, HINT = x, TABLE = x, SCHEMA = x, COLUMN = x, CONSTRAINT = x, DATATYPE = x;
END$$;
CREATE FUNCTION whisper(x text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE 'saw %', x;
    RAISE WARNING USING MESSAGE = x, ERRCODE = '42P07';
    RETURN 1;
END$$;
CREATE FUNCTION dynamic(x text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN EXECUTE format('SELECT * FROM %I', x); RETURN 1; END$$;
CREATE FUNCTION outermost(x text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE y int; BEGIN y := dynamic(x); RETURN y; END$$;
CREATE FUNCTION complain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'late: %', NEW.email; END$$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON strict DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION complain();
"""

FAILING = {
    "unique": ("INSERT INTO users SELECT 2, email FROM users", "23505", "column email"),
    "primary key": ("INSERT INTO lone SELECT email FROM users", "23505", "lone_key"),
    "unique index": ("CREATE UNIQUE INDEX one ON orders (email)", "23505", "column email"),
    "concurrent index": ("CREATE UNIQUE INDEX CONCURRENTLY one ON orders (email)", "23505", "1 key of (email)"),
    "concurrent index that is built": (
        "CREATE UNIQUE INDEX CONCURRENTLY one ON orders (lower(email))",
        "23505",
        "lower",
    ),
    "not null": ("INSERT INTO strict SELECT email FROM users", "23502", 'column "other" of relation "strict"'),
    "check": ("INSERT INTO users SELECT 2, repeat(email, 9) FROM users", "23514", '"users_email_check"'),
    "new check": ("ALTER TABLE users ADD CONSTRAINT c CHECK (email !~ 'c[a]nary')", "23514", '"c"'),
    "foreign key": (
        "ALTER TABLE orders ADD CONSTRAINT f FOREIGN KEY (email) REFERENCES strict (email)",
        "42830",
        "unique constraint",
    ),
    "foreign key's rows": (
        "DELETE FROM users WHERE id < 0; CREATE TABLE other (email text PRIMARY KEY);"
        " ALTER TABLE orders ADD CONSTRAINT f FOREIGN KEY (email) REFERENCES other",
        "23503",
        "column email",
    ),
    "deferred foreign key": ("INSERT INTO deferred SELECT 'x' || email FROM users", "23503", "deferred until COMMIT"),
    "deferred trigger": ("INSERT INTO strict SELECT email, 1 FROM users", "P0001", "deferred until COMMIT"),
    "exclusion": (
        "ALTER TABLE lone DROP CONSTRAINT lone_key; INSERT INTO lone SELECT email FROM users",
        "23P01",
        "lone_excl",
    ),
    "partition": ("INSERT INTO parts SELECT email FROM users", "23514", 'no partition of relation "parts"'),
    "view": ("INSERT INTO young SELECT 2, 'x' || email, 99 FROM users", "44000", '"young"'),
    "integer": ("SELECT email::int FROM users", "22P02", "invalid input syntax for type integer"),
    "retyped": ("ALTER TABLE orders ALTER email TYPE int USING email::int", "22P02", "type integer"),
    "date": ("SELECT email::date FROM users", "22007", "invalid input syntax for type date"),
    "uuid": ("SELECT email::uuid FROM users", "22P02", "type uuid"),
    "json": ("SELECT ('{\"' || email)::jsonb FROM users", "22P02", "type json"),
    "enum": ("SELECT email::mood FROM users", "22P02", "invalid input value for enum mood"),
    "domain": ("SELECT email::short FROM users", "23514", "short_check"),
    "numeric": (
        "UPDATE users SET age = length(email) * 1000",
        "22003",
        "numeric field overflow; A field with precision 4, scale 1",
    ),
    "range": (
        "SELECT (regexp_replace(email, '[^0-9]', '', 'g') || '99999999999')::int FROM users",
        "22003",
        "a value is out of range for type integer",
    ),
    "array": ("SELECT ('{' || email)::text[] FROM users", "22P02", ""),
    "regular expression": ("SELECT 'x' ~ (email || '(') FROM users", "2201B", "invalid regular expression"),
    "relation": ("SELECT quote_ident(email)::regclass FROM users", "42P01", ""),
    "role": ("SELECT quote_ident(email)::regrole FROM users", "42704", ""),
    "type": ("SELECT quote_ident(email)::regtype FROM users", "42704", ""),
    "setting": ("SELECT current_setting(email) FROM users", "42704", ""),
    "setting's value": ("SELECT set_config('work_mem', email, true) FROM users", "22023", ""),
    "time zone": ("SELECT now() AT TIME ZONE email FROM users", "22023", ""),
    "encoding": ("SELECT convert('x'::bytea, 'UTF8', email) FROM users", "22023", ""),
    "RAISE": ("SELECT shout(email) FROM users", "P0001", "function shout(text) line 1 at RAISE"),
    "RAISE in the file": (
        "DO $$\nBEGIN\n  RAISE EXCEPTION 'found %', (SELECT email FROM users);\nEND$$",
        "P0001",
        "found %, in function inline_code_block line 3 at RAISE",
    ),
    "ASSERT": ("DO $$BEGIN ASSERT false, (SELECT email FROM users); END$$", "P0004", "line 1 at ASSERT"),
    **{
        f"RAISE as {state}": (f"SELECT forge(email, '{state}') FROM users", state, "function forge(text,text) line 3")
        for state in ("23505", "42P01", "55000", "22012", "42501", "57014", "P0002", "01000", "XX000", "99999")
    },
    "EXECUTE": ("SELECT dynamic(email) FROM users", "42P01", "function dynamic(text) line 2 at EXECUTE"),
    "EXECUTE within": (
        "SELECT outermost(email) FROM users",
        "42P01",
        "in function dynamic(text) line 2 at EXECUTE, called in function outermost(text) line 2 at assignment",
    ),
    "EXECUTE in the file": (
        "DO $$BEGIN EXECUTE (SELECT format('ALTER TABLE %I ADD x int', email) FROM users); END$$",
        "42P01",
        "line 1 at EXECUTE",
    ),
    "query_to_xml": ("SELECT query_to_xml(format('TABLE %I', email), true, true, '') FROM users", "42P01", ""),
    "one by one": ("VACUUM users; INSERT INTO users SELECT 2, email FROM users", "23505", "column email"),
}

TOLD_IN_FULL = ("numeric", "new check", "foreign key", "domain", "regular expression")
"""What the server says of these names no row."""


def require_no_row_in(text: str) -> None:
    """Nor a part of it. Digests and times have each row of four digits now and then."""
    parts = [part for part in re.findall(r"\w+", CANARY) if part not in ("example", "org")]
    assert [part for part in parts if re.search(rf"(?<![0-9a-f.]){part}(?![0-9a-f])", text)] == []
    assert "example.org" not in text


class Told:
    """Everything that went out while something ran."""

    def __init__(self, kept: Path) -> None:
        self.kept = kept
        self.texts: list[str] = []

    def add(self, *values: object) -> None:
        for value in values:
            self.texts.append(value if isinstance(value, str) else json.dumps(documents.to_dict(value)))

    def add_error(self, error: BaseException) -> None:
        """As a log prints it, as XCom and a subprocess carry it, as a notification quotes it."""
        self.add(str(error), repr(error), "".join(traceback.format_exception(error)))
        self.add(pickle.dumps(error).decode("latin-1"))

    def add_ledger(self, endpoint: Endpoint) -> None:
        tables = query(endpoint, "SELECT tablename FROM pg_tables WHERE schemaname = 'migrator'")
        for (table,) in tables:
            self.add(*(row[0] for row in query(endpoint, f"SELECT t::text FROM migrator.{table} AS t")))

    @property
    def text(self) -> str:
        return "\n".join(self.texts)

    def require_no_row(self, *, kept: bool = True) -> None:
        require_no_row_in(self.text)
        if kept:
            assert "4711" in self.kept.read_text()


@pytest.fixture
def told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Told]:
    """Of all loggers, from DEBUG on."""
    caplog.set_level(logging.DEBUG)
    found = Told(tmp_path / "withheld" / "kept.txt")
    with kept_by(Keeper(lambda: LocalFile(found.kept), logging.getLogger("test").warning)):
        yield found
    logged = "\n".join(logging.Formatter().format(record) for record in caplog.get_records("call"))
    require_no_row_in(logged)
    if found.kept.exists():
        assert f"the server's own words: {found.kept}, readable by its owner alone" in logged


@pytest.mark.parametrize("name", FAILING)
def test_a_failing_statement(name: str, make_database: MakeDatabase, told: Told) -> None:
    sql, state, says = FAILING[name]
    endpoint = make_database("rows", script=ROWS)
    plan = plan_from_sql(sql)
    with pytest.raises(MigratorError) as caught:
        apply_all(plan, endpoint)
    assert caught.value.fields.get("sqlstate") == state
    assert says in str(caught.value)
    told.add_error(caught.value)
    told.add_ledger(endpoint)
    result = outcome_of(plan, endpoint)
    told.add(result.text, result)
    told.require_no_row(kept=name not in TOLD_IN_FULL)


ALONE = {
    name: case
    for name, case in FAILING.items()
    if (";" not in case[0] or "DO $$" in case[0]) and name != "concurrent index"
}
"""Those that fail as they are sent; equal keys are counted before a concurrent index is begun."""


def test_each_major_has_the_same_templates(each_database: MakeDatabase) -> None:
    """Files and functions of the source are what is decided by: they are where they are looked for, on all majors."""
    endpoint = each_database("rows", script=ROWS)
    with psycopg.connect(endpoint.conninfo, autocommit=True) as conn:
        for name, (sql, state, says) in ALONE.items():
            with pytest.raises(psycopg.Error) as caught:
                conn.execute(sql.encode())
            found = tell(caught.value.diag, written=sql)
            require_no_row_in(found.text)
            assert caught.value.sqlstate == state, name
            assert says.replace("deferred until COMMIT", "") in found.text, name
            assert (found.kept is None) == (name in TOLD_IN_FULL), name
            if name == "concurrent index that is built":
                conn.execute("DROP INDEX one")


WITHOUT_ROWS = {
    "SELECT * FROM absent": 'relation "absent" does not exist',
    "SELECT absent FROM users": 'column "absent" does not exist',
    "SELECT absent(1)": "function absent(integer) does not exist; ",
    "ALTER TABLE absent ADD x int": 'relation "absent" does not exist',
    "DROP TABLE absent": 'table "absent" does not exist',
    "DROP FUNCTION absent(int)": "function absent(integer) does not exist",
    "DROP SCHEMA absent": 'schema "absent" does not exist',
    "GRANT SELECT ON users TO absent": 'role "absent" does not exist',
    "CREATE TABLE users (x int)": 'relation "users" already exists',
    "CREATE TABLE x (y absent)": 'type "absent" does not exist',
    "ALTER TABLE users DROP CONSTRAINT absent": 'constraint "absent" of relation "users" does not exist',
    "DROP TABLE users": "cannot drop table users because other objects depend on it; ",
    "SELEC 1": 'syntax error at or near "SELEC"',
    "SET absent = 1": 'unrecognized configuration parameter "absent"',
    "TRUNCATE pg_catalog.pg_class": "permission denied: ",
    "SET ROLE absent": 'role "absent" does not exist',
    "CREATE DATABASE mine": "permission denied to create database",
    "DO $$BEGIN EXECUTE 'CREATE TABLE ' || 'use' || 'rs (x int)'; END$$": 'relation "users" already exists, in',
    "SELECT 1 / 0": "division by zero",
    "LOCK TABLE users IN ACCESS SHARE MODE": "LOCK TABLE can only be used in transaction blocks",
    "SET statement_timeout = 1; SELECT pg_sleep(1)": "canceling statement due to statement timeout",
    "SELECT (SELECT id FROM orders)": "more than one row returned by a subquery used as an expression",
}


def test_what_names_only_objects_is_told_as_the_server_says_it(each_database: MakeDatabase) -> None:
    endpoint = each_database("names", script=ROWS)
    with psycopg.connect(endpoint.conninfo, autocommit=True) as conn:
        for sql, says in WITHOUT_ROWS.items():
            with pytest.raises(psycopg.Error) as caught:
                conn.execute(sql.encode())
            conn.execute("RESET statement_timeout")
            found, message = tell(caught.value.diag, written=sql), caught.value.diag.message_primary or ""
            assert found.text.startswith(says), sql
            assert found.text.startswith(message), sql
            with names_known(vocabulary(plan_from_sql(sql), Schema({"text": {"script": ROWS}})).knows):
                assert tell(caught.value.diag, written=sql) == found, (
                    "its words are the server's, its names are written"
                )


def words_of_messages(program: Path) -> set[str]:
    """Of the texts in a program that look like a sentence, as message_words.txt was made from those of 14 to 18."""
    texts = (found.decode() for found in re.findall(rb"[\x20-\x7e\n\t]{6,}", program.read_bytes()))
    sentences = (text for text in texts if " " in text and not re.search(r"[{};=]{2,}|::|\(\)", text))
    return {word.lower() for text in sentences for word in re.findall(r"(?<![%\w\\])[A-Za-z][a-z]+(?!\w)", text)}


def test_the_words_of_the_servers_messages_are_known(each_server: Server) -> None:
    """A few more or less are in each build."""
    found = words_of_messages(each_server.programs.path("postgres"))
    assert len(found) > 3000
    assert len(found - message_words()) < len(found) / 100


PLAIN = {
    "SELECT 'a'::{0} + 1": "operator does not exist: … + integer",
    "SELECT {0}('x'::text)": "invalid input value for enum …",
    "SELECT {0}(1, 2)": "function …, integer) does not exist",
    "SELECT t.{0} FROM users AS t": "column … does not exist",
    "SELECT 'a'::{0}::int": "cannot cast type … to integer",
    "SELECT 'b'::{0}": "",
    "ALTER TYPE {0} ADD VALUE 'a'": "",
    "DROP TYPE {0}": "cannot drop type … because other objects depend on it",
    "ALTER TABLE lone_{0} ADD a int, ADD a int": "",
    "SELECT nextval('{0}')": "",
    "DROP VIEW lone_{0}": '"…" is not a view',
}


def test_plain_names_that_nobody_has_written_are_not_told(make_database: MakeDatabase) -> None:
    """What the server quotes or not: a row's content may be a word like any other."""
    name = "xqzzy"
    script = f"{ROWS} CREATE TYPE {name} AS ENUM ('a'); CREATE TABLE lone_{name} (x {name});"
    endpoint = make_database("plain", script=script)
    known = vocabulary(plan_from_sql("SELECT 1"), Schema({"text": {"script": ROWS}})).knows
    with psycopg.connect(endpoint.conninfo, autocommit=True) as conn, names_known(known):
        for sql, says in PLAIN.items():
            with pytest.raises(psycopg.Error) as caught:
                conn.execute(sql.format(name).encode())
            found = tell(caught.value.diag, written="")
            assert name not in found.text, sql
            assert says in found.text, sql
            assert found.kept is not None


def test_the_columns_of_a_constraint_are_told(make_database: MakeDatabase) -> None:
    """The server names them for a key; for a CHECK the catalog does."""
    script = ROWS + 'ALTER TABLE users ADD CONSTRAINT c CHECK (age < id * 50 AND "age" > 0) NOT VALID'
    for sql, columns in {
        "UPDATE users SET age = 99": "age, id",
        "INSERT INTO users SELECT 2, email FROM users": "email",
        "INSERT INTO strict SELECT email FROM users": "other",
        "ALTER TABLE users ADD CONSTRAINT d CHECK (id > 9)": None,  # gone with the transaction that has made it
    }.items():
        with pytest.raises(StatementFailed) as caught:
            apply_all(plan_from_sql(sql), make_database("rows", script=script))
        assert caught.value.fields["columns"] == columns, sql
        assert columns is None or columns in str(caught.value)


def test_a_statement_that_succeeds_and_talks(make_database: MakeDatabase, told: Told) -> None:
    endpoint = make_database("rows", script=ROWS)
    plan = plan_from_sql("SELECT whisper(email) FROM users", assertions=("SELECT whisper(email) = 2 FROM users",))
    results = apply_all(plan, endpoint)
    assert [notice.severity for notice in results[0].statements[0].notices] == ["NOTICE", "WARNING"]
    told.add(*map(documents.to_dict, results), *results[0].warnings)
    with pytest.raises(MigratorError) as caught:
        verify_it(plan, endpoint)
    told.add_error(caught.value)
    told.add_ledger(endpoint)
    told.require_no_row()


@pytest.mark.parametrize(
    "query",
    ["SELECT shout(email) IS NULL FROM users", "SELECT email FROM users", "SELECT email::int = 1 FROM users"],
)
def test_an_assertion(query: str, make_database: MakeDatabase, told: Told) -> None:
    endpoint = make_database("rows", script=ROWS)
    plan = plan_from_sql("CREATE TABLE x (id int)", "DROP TABLE x", assertions=(query,))
    apply_all(plan, endpoint)
    with pytest.raises(MigratorError) as caught:
        verify_it(plan, endpoint)
    told.add_error(caught.value)
    report = roll_back(plan, endpoint)
    told.add(report)
    told.add_ledger(endpoint)
    told.require_no_row(kept="::" in query or "shout" in query)


WORD = "xqzzy"
ADDRESSES = {
    f"SELECT (pg_get_object_address('{kind}', {names}, {arguments})).objid > 0 FROM words"
    for kind, names, arguments in (
        ("policy", "ARRAY['words', w]", "'{}'"),
        ("table constraint", "ARRAY['words', w]", "'{}'"),
        ("trigger", "ARRAY['words', w]", "'{}'"),
        ("rule", "ARRAY['words', w]", "'{}'"),
        ("operator", "ARRAY[w]", "'{int,int}'"),
        ("operator class", "ARRAY['btree', w]", "'{}'"),
        ("operator family", "ARRAY['btree', w]", "'{}'"),
        ("function", "ARRAY[w]", "'{}'"),
        ("event trigger", "ARRAY[w]", "'{}'"),
        ("publication", "ARRAY[w]", "'{}'"),
        ("type", "ARRAY[w]", "'{}'"),
        ("table", "ARRAY[w]", "'{}'"),
    )
}


def test_an_address_that_is_looked_up(each_database: MakeDatabase) -> None:
    """A row's text as the name of something that is not there: by an assertion with and without a schema, by a
    rollback, and where no names are known at all."""
    endpoint = each_database("address", script=f"CREATE TABLE words AS SELECT '{WORD}'::text AS w;")
    plan = plan_from_sql("CREATE TABLE x (id int)", "DROP TABLE x", assertions=tuple(sorted(ADDRESSES)))
    with session.connect(endpoint, purpose="verify") as conn:
        for schema in (None, read_schema(endpoint)):
            for asked in plan.assertions:
                check = assertion(conn, 1, asked, plan, schema)
                assert check.verdict is Verdict.FAILED
                assert WORD not in check.detail
    for asked in plan.assertions:
        with psycopg.connect(endpoint.conninfo) as conn, pytest.raises(psycopg.Error) as raw:
            conn.execute(asked.encode())
        assert WORD in str(raw.value)
        assert WORD not in tell(raw.value.diag, written=asked).text
    undone = plan_from_sql(
        "CREATE TABLE y (id int)", "DO $$ BEGIN EXECUTE (SELECT format('DROP TABLE %I', w) FROM words); END $$"
    )
    apply_all(undone, endpoint)
    with pytest.raises(MigratorError) as caught:
        roll_back(undone, endpoint)
    assert WORD not in str(caught.value)


def test_a_failing_rollback(make_database: MakeDatabase, told: Told) -> None:
    endpoint = make_database("rows", script=ROWS)
    plan = plan_from_sql("CREATE TABLE x (id int)", "SELECT shout(email) FROM users", assertions=("SELECT false",))
    apply_all(plan, endpoint)
    with pytest.raises(MigratorError):
        verify_it(plan, endpoint)
    with pytest.raises(MigratorError) as caught:
        roll_back(plan, endpoint)
    told.add_error(caught.value)
    told.add_ledger(endpoint)
    told.add(outcome_of(plan, endpoint).text, str(row_of(plan, endpoint)))
    told.require_no_row()


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE orders ADD CONSTRAINT u UNIQUE (email)",
        "ALTER TABLE orders ALTER email TYPE int USING email::int",
        "SELECT whisper(email) FROM users; SELECT shout(email) FROM users",
    ],
)
def test_a_dry_run(sql: str, copies: Endpoint, told: Told) -> None:
    fails_on_the_copy(sql, copies, told)


def fails_on_the_copy(sql: str, copies: Endpoint, told: Told) -> None:
    """And neither the error nor the evidence tells a row."""
    copy = make_copy(copies, ROWS.replace("text UNIQUE CHECK (length(email) < 100)", "text UNIQUE"))
    with pytest.raises(DryRunFailed) as caught:
        rehearse(plan_from_sql(sql, "SELECT 1"), copies, copy)
    told.add_error(caught.value)
    told.add(caught.value.fields["evidence"])
    told.require_no_row()


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE %1$I (); CREATE TABLE %1$I ()",
        "ALTER TABLE users ADD COLUMN %1$I text NOT NULL DEFAULT NULL; INSERT INTO users (%1$I) VALUES (NULL)",
        "ALTER TABLE users ADD CONSTRAINT %1$I CHECK (false) NOT VALID; INSERT INTO users (id) VALUES (9)",
        "CREATE SCHEMA %1$I; CREATE TABLE %1$I.t (id int UNIQUE); INSERT INTO %1$I.t VALUES (1), (1)",
        "CREATE FUNCTION %1$I() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1 / 0; END'; SELECT %1$I()",
        "CREATE TABLE %1$I (); CREATE TABLE IF NOT EXISTS %1$I (); SELECT 1 / 0",
        "CREATE TABLE %1$I (); REVOKE ALL ON %1$I FROM CURRENT_USER; SELECT FROM %1$I",
        "CREATE TABLE %1$I (a int); CREATE VIEW v AS SELECT a FROM %1$I; DROP TABLE %1$I",
        "CREATE TABLE %1$I (a int); CREATE VIEW v AS SELECT a FROM %1$I; ALTER TABLE %1$I ALTER a TYPE bigint",
        "CREATE DOMAIN %1$I AS int; CREATE TABLE t (a %1$I); DROP DOMAIN %1$I",
        "CREATE SCHEMA %1$I; CREATE TABLE %1$I.t (); DROP SCHEMA %1$I",
        "CREATE SEQUENCE %1$I MAXVALUE 1; SELECT nextval(quote_ident(%1$L)), nextval(quote_ident(%1$L))",
        "CREATE TYPE %1$I AS ENUM (''a''); SELECT ''b''::%1$I",
        "CREATE TYPE t AS ENUM (%1$L); ALTER TYPE t ADD VALUE %1$L",
        "CREATE TABLE %1$I (a int PRIMARY KEY); INSERT INTO %1$I VALUES (1), (1)",
        "CREATE TABLE %1$I (a int) PARTITION BY RANGE (a); INSERT INTO %1$I VALUES (1)",
        "CREATE FUNCTION %1$I(int) RETURNS int LANGUAGE sql AS ''SELECT 1''; SELECT %1$I(''x''::text)",
        "CREATE TABLE t (a int, CONSTRAINT %1$I EXCLUDE USING btree (a WITH =)); INSERT INTO t VALUES (1), (1)",
        "CREATE TRIGGER %1$I BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION nothing()",
        "CREATE TABLE %1$I (LIKE users); ALTER TABLE %1$I INHERIT %1$I",
        "COMMENT ON TABLE users IS %1$L; ALTER TABLE users DROP CONSTRAINT %1$I",
    ],
)
def test_names_made_of_rows(statement: str, copies: Endpoint, told: Told) -> None:
    """A table that is called like a row's content: the server's own sentence about it tells the row."""
    commands = "".join(f" EXECUTE format('{part.replace(chr(39), chr(39) * 2)}', x);" for part in statement.split("; "))
    sql = f"DO $$DECLARE x text; BEGIN SELECT email INTO x FROM users;{commands} END$$"
    fails_on_the_copy(sql, copies, told)


def test_the_traces_of_a_dry_run(copies: Endpoint, told: Told) -> None:
    copy = make_copy(copies, ROWS)
    evidence = rehearse(plan_from_sql("SELECT whisper(email) FROM users", "SELECT 1"), copies, copy)
    assert len(evidence.statements[0].notices) == 2
    told.add(evidence)
    told.require_no_row()


def test_whoever_is_in_the_way(make_database: MakeDatabase, told: Told) -> None:
    """Other people's statements hold rows."""
    endpoint = make_database("rows", script=ROWS)
    with psycopg.connect(endpoint.conninfo) as other:
        other.execute(f"UPDATE users SET age = 2 WHERE email = '{CANARY}'".encode())
        plan = plan_from_sql("ALTER TABLE users ADD x int", lock_timeout_ms=300)
        with pytest.raises(LockNotAvailable) as caught:
            apply_all(plan, endpoint, deadline_seconds=1)
    assert "pid " in str(caught.value)
    told.add_error(caught.value)
    told.add_ledger(endpoint)
    told.require_no_row(kept=False)


def test_a_damaged_dump(server: Server, make_database: MakeDatabase, tmp_path: Path, told: Told) -> None:
    endpoint, empty = make_database("rows", script=ROWS), make_database("empty")
    tools = programs.client_programs(server.programs.major)
    with programs.connection_by_service(endpoint) as (conninfo, env):
        programs.run(tools, "pg_dump", "-Fd", "-Z0", f"--file={tmp_path / 'd'}", f"--dbname={conninfo}", env=env)
    for data in (tmp_path / "d").glob("*.dat"):
        data.write_bytes(data.read_bytes().replace(b"1\tcanary", b"canary-4711@example.org\tcanary"))
    with programs.connection_by_service(empty) as (conninfo, env), pytest.raises(ProgramFailed) as caught:
        programs.run(tools, "pg_restore", "-e", "--no-owner", f"--dbname={conninfo}", str(tmp_path / "d"), env=env)
    assert re.search(r'COPY failed for table "(users|orders)"', str(caught.value))
    told.add_error(caught.value)
    told.require_no_row()


def test_a_ledger_that_somebody_kept_by_hand(told: Told) -> None:
    rows = [{"version": "001_x", "status": "failed", "error_message": f"Key (email)=({CANARY}) already exists."}]
    (row,) = legacy.read(rows)
    told.add(row)
    assert row.not_applied_because == "its status is 'failed'"
    told.require_no_row()


@contextmanager
def migration(tmp_path: Path, sql: str) -> Iterator[Path]:
    folder = tmp_path / "migrations" / "2025" / "001_rows"
    folder.mkdir(parents=True)
    (folder / "migration-metadata.yaml").write_text(
        "version: 001_rows\ndescription: a test\nauthor: author@example.com\nrisk_level: high\n"
        "estimated_duration: 1 minute\nrequires_downtime: true\nrollback_available: true\n"
    )
    (folder / "001_rows.sql").write_text(sql)
    (folder / "001_rows_rollback.sql").write_text("SELECT 1;\n")
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("format", ["text", "json", "sarif", "github", "gitlab"])
def test_the_command_line_looks_for_rows(
    format: str, make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = make_database(
        "rows",
        script=ROWS + f"ALTER TABLE orders DROP CONSTRAINT orders_pkey; UPDATE orders SET email = '{CANARY}';"
        "ALTER TABLE orders ALTER id TYPE text; ALTER TABLE orders ADD PRIMARY KEY (id, email)",
    )
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with migration(
        tmp_path, "SET lock_timeout = '1s';\nALTER TABLE orders ADD CONSTRAINT u UNIQUE (email);\n"
    ) as folder:
        arguments = ["analyze", str(folder / "001_rows.sql"), "--dsn", endpoint.conninfo, "--check-data"]
        done = subprocess.run(
            [sys.executable, "-m", "migrator", *arguments, "--format", format],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert "2 rows of orders" in done.stdout
    require_no_row_in(done.stdout + done.stderr)
    (kept,) = (tmp_path / "home" / ".local" / "state" / "migrator" / "withheld").iterdir()
    assert f"the server's own words: {kept}, readable by its owner alone" in done.stderr
    assert CANARY in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600


def test_the_command_line_and_an_error_that_nobody_has_translated(
    make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, kept = make_database("rows", script=ROWS), tmp_path / "kept.txt"

    def fail(args: object, out: object) -> int:
        with psycopg.connect(endpoint.conninfo) as conn:
            conn.execute("SELECT email::int FROM users")
        return 0

    monkeypatch.setattr("migrator.cli.status.run", fail)
    output = io.StringIO()
    with redirect_stdout(output), redirect_stderr(output):
        assert cli.main(["status", "--withheld", str(kept)]) != 0
    assert "invalid input syntax for type integer (SQLSTATE 22P02" in output.getvalue()
    require_no_row_in(output.getvalue())
    assert CANARY in kept.read_text()


def test_migrator_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The value is put together on the server, so that no file has it."""
    made = "'can' || 'ary-' || 4000 + 711 || '@example' || '.org'"
    with migration(tmp_path, f"CREATE TABLE t AS SELECT {made} AS e;\nALTER TABLE t ALTER e TYPE int USING e::int;\n"):
        done = subprocess.run(
            [sys.executable, "-m", "migrator", "test", "001_rows", "--withheld", str(tmp_path / "kept.txt")],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert "001_rows.sql:2" in done.stdout + done.stderr
    require_no_row_in(done.stdout + done.stderr)
    assert CANARY in (tmp_path / "kept.txt").read_text()


TARGETS = """
targets:
  development: {environment: development, connection: one, copies_connection: two}
"""


@pytest.mark.parametrize("sql", ["SELECT email::int FROM users", "SELECT shout(email) FROM users"])
def test_a_task(
    sql: str,
    make_database: MakeDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Also an error that no stage has translated: neither the log, nor XCom, nor what a callback gets has the row."""
    (tmp_path / "a b%20#c").mkdir()
    (tmp_path / "targets.yaml").write_text(TARGETS)
    monkeypatch.setenv("MIGRATOR_HOME", str(tmp_path / "a b%20#c"))
    monkeypatch.setenv("MIGRATOR_TARGETS", str(tmp_path / "targets.yaml"))
    endpoint, pushed = make_database("rows", script=ROWS), []
    task = PgMigrationVerifyOperator(task_id="verify", version="001_test", target="development")
    instance = SimpleNamespace(try_number=1, xcom_push=lambda **value: pushed.append(str(value)))
    context = {"dag_run": SimpleNamespace(run_id="manual__1"), "ti": instance}
    with (
        psycopg.connect(endpoint.conninfo) as conn,
        pytest.raises(AirflowFailException) as caught,
        task.running(context),
    ):
        conn.execute(sql.encode())
    task.log.exception("as a worker does", exc_info=caught.value)
    log = "".join(capfd.readouterr())
    require_no_row_in("".join(traceback.format_exception(caught.value)) + str(pushed) + log)
    assert "as a worker does" in log
    assert len(pushed) == 1
    assert "withheld/verify.txt" in pushed[0]
    (kept,) = tmp_path.rglob("withheld/verify.txt")
    assert kept.parent.parent.name == "manual__1"
    assert "a b%20#c" in str(kept)
    assert (kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert f"the server's own words: {kept}, readable by its owner alone" in log
    assert CANARY in kept.read_text()
