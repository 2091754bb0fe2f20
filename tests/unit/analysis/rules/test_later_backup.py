"""What a function finds through the search_path of whoever calls it, told from the files alone."""

from __future__ import annotations

import pytest

from migrator.analysis.inspection import inspect
from migrator.analysis.known import Known, Sources
from migrator.analysis.walk.pending import Before, Earlier
from migrator.facts.facts import CatalogFacts, ConstraintFacts, DomainFacts, FunctionFacts, OperatorFacts
from migrator.parsing.statements import parse
from migrator.plan import Finding, Severity

WARNING, INFO = Severity.WARNING, Severity.INFO
INDEX = "CREATE INDEX ON t (f(b))"


def findings(sql: str, known: Known | None = None) -> list[Finding]:
    parsed = parse(sql, file="x.sql")
    assert parsed.problems == ()
    found = inspect(Sources((parsed,)), known or Known()).findings
    return [one for one in found if one.rule == "breaks-later-backups"]


def function(body: str, options: str = "LANGUAGE plpgsql", name: str = "f") -> str:
    return f"CREATE OR REPLACE FUNCTION {name}(t text) RETURNS text IMMUTABLE {options} AS $$ {body} $$; "


SHORT = function("BEGIN RETURN left(t, 3); END", name="short")
LOOSE = SHORT + function("BEGIN RETURN short(t); END")
BODIES = [
    ("BEGIN RETURN short(t); END", "short()"),
    ("BEGIN t := short(t); RETURN t; END", "short()"),
    ("BEGIN IF short(t) = '' THEN RETURN ''; END IF; RETURN t; END", "short()"),
    ("BEGIN EXECUTE 'SELECT b FROM words' INTO t; RETURN t; END", "the table words"),
    ("BEGIN RETURN (SELECT max(b) FROM words AS w WHERE w.b = t); END", "the table words"),
    ("BEGIN PERFORM FROM public.words FOR UPDATE; RETURN (SELECT b FROM letters); END", "the table letters"),
    ("BEGIN RETURN (SELECT max(b) FROM words AS words WHERE words.b = t); END", "the table words"),
    ("WITH words AS (SELECT * FROM words) SELECT b FROM words", "the table words"),
    ("BEGIN RETURN t::feeling::text; END", "the type feeling"),
    ("BEGIN RETURN t::post_code; END", "the type post_code"),
    ("BEGIN RETURN to_tsvector('words', t)::text; END", "the text search configuration words"),
    ("BEGIN RETURN ts_headline('words'::regconfig, t, ''); END", "the text search configuration words"),
    ("BEGIN RETURN lower(t @>> 'a'); END", "the operator @>>"),
    ("BEGIN RETURN above(t); END", "above(), short() in public.above()"),
    ("BEGIN RETURN public.above(t); END", "short() in public.above()"),
    ("BEGIN RETURN public.bound(t); END", "short() in public.above() in public.bound()"),
]
MADE = f"""
CREATE TYPE feeling AS ENUM ('glad'); CREATE DOMAIN post_code AS text; {SHORT}
{function("SELECT short(t)", "", "above")}
CREATE FUNCTION bound(t text) RETURNS text IMMUTABLE RETURN above(t);
"""


@pytest.mark.parametrize("body, names", BODIES)
def test_what_a_body_finds(body: str, names: str) -> None:
    options = "LANGUAGE plpgsql" if "BEGIN" in body else "LANGUAGE sql"
    (found,) = findings(f"{MADE} {function(body, options)} {INDEX}")
    assert (found.severity, f", which finds {names} through search_path" in found.message) == (WARNING, True)


@pytest.mark.parametrize(
    "made",
    [
        function("BEGIN RETURN lower(t) || current_setting('a.b'); END"),
        function("BEGIN RETURN public.short(t); END"),
        function("BEGIN RETURN (SELECT relname FROM pg_class LIMIT 1); END"),
        function("WITH words AS (SELECT t AS b) SELECT b FROM words", "LANGUAGE sql"),
        function("SELECT w.b FROM public.words AS w FOR UPDATE OF w", "LANGUAGE sql"),
        function("SELECT to_tsvector('english', t)::text || to_tsvector('public.words', t)", "LANGUAGE sql"),
        function("SELECT short(t)", "LANGUAGE sql SET search_path = public"),
        function("SELECT short(t)", "LANGUAGE sql SET SEARCH_PATH FROM CURRENT"),
        function("SELECT short(t)", "LANGUAGE sql") + "ALTER FUNCTION f SET search_path = public;",
        function("return short(t)", "LANGUAGE plpython3u"),
        "CREATE FUNCTION f(t text) RETURNS text IMMUTABLE RETURN short(t); ",
        "CREATE FUNCTION f(text) RETURNS text IMMUTABLE LANGUAGE c AS 'lib', 'f'; ",
        function("BEGIN RETURN f(t); END", name="public.f").replace("RETURN f", "RETURN public.f"),
    ],
)
def test_what_finds_nothing(made: str) -> None:
    assert findings(f"{SHORT} {made} {INDEX}") == []


@pytest.mark.parametrize(
    "body, doubt",
    [
        ("BEGIN EXECUTE format('SELECT b FROM %I', t) INTO t; RETURN t; END", "a text that it puts together"),
        ("BEGIN RETURN from_elsewhere(t); END", "from_elsewhere() is not known without a connection"),
    ],
)
def test_what_may_find_something_is_no_warning(body: str, doubt: str) -> None:
    (found,) = findings(function(body) + INDEX)
    assert (found.severity, doubt in found.message) == (INFO, True)


@pytest.mark.parametrize(
    "sql, severity",
    [
        (INDEX, WARNING),
        ("CREATE INDEX ON t (b) WHERE f(b) <> ''", WARNING),
        ("CREATE TABLE t (b text CHECK (f(b) <> ''))", WARNING),
        ("CREATE TABLE t (b text, c text GENERATED ALWAYS AS (f(b)) STORED)", WARNING),
        ("CREATE TABLE t (b text, EXCLUDE (b WITH =) WHERE (f(b) <> ''))", WARNING),
        ("CREATE TABLE t (b text) PARTITION BY LIST (f(b))", WARNING),
        ("ALTER TABLE t ADD COLUMN c text GENERATED ALWAYS AS (f(b)) STORED", WARNING),
        ("ALTER TABLE t ALTER c SET EXPRESSION AS (f(b))", WARNING),
        ("ALTER TABLE t ADD CHECK (f(b) <> '')", WARNING),
        ("ALTER TABLE t ADD CHECK (f(b) <> '') NOT VALID", INFO),
        ("CREATE DOMAIN d AS text CHECK (f(VALUE) <> '')", WARNING),
        ("ALTER DOMAIN d ADD CHECK (f(VALUE) <> '')", WARNING),
        ("ALTER DOMAIN d ADD CHECK (f(VALUE) <> '') NOT VALID", INFO),
        ("CREATE MATERIALIZED VIEW v AS SELECT f(b) FROM t", WARNING),
        ("CREATE MATERIALIZED VIEW v AS SELECT f(b) FROM t WITH NO DATA", WARNING),
        ("ALTER TABLE t ADD CHECK (f(b) <> '') NOT VALID, ADD c text CHECK (f(c) <> '')", WARNING),
        ("DO $$ BEGIN CREATE INDEX ON t (f(b)); END $$", WARNING),
        ("CREATE SCHEMA s CREATE TABLE t (b text CHECK (public.f(b) <> ''))", WARNING),
        ("CREATE VIEW v AS SELECT f(b) FROM t", None),
        ("CREATE TABLE u AS SELECT f(b) FROM t", None),
        ("CREATE TABLE t (b text DEFAULT f('x'))", None),
        ("CREATE TABLE t (b text, c text GENERATED ALWAYS AS (f(b)) VIRTUAL)", None),
        ("CREATE TABLE t (b text CHECK (f(b) <> '') NOT ENFORCED)", None),
        ("ALTER TABLE t ADD CHECK (f(b) <> '') NOT ENFORCED", None),
        ("CREATE TEMPORARY TABLE t (b text CHECK (f(b) <> ''))", None),
        ("CREATE TEMPORARY TABLE t (b text); CREATE INDEX ON t (f(b))", None),
        ("CREATE STATISTICS s ON f(b), b FROM t", None),
        ("ALTER TABLE t ALTER b SET DEFAULT f('x')", None),
    ],
)
def test_what_a_restore_computes_anew(sql: str, severity: Severity | None) -> None:
    assert [one.severity for one in findings(LOOSE + sql)] == ([severity] if severity else [])


def test_a_constraint_is_told_again_when_it_is_validated() -> None:
    sql = "ALTER TABLE t ADD CONSTRAINT c CHECK (f(b) <> '') NOT VALID; ALTER TABLE t VALIDATE CONSTRAINT c"
    assert [one.severity for one in findings(LOOSE + sql)] == [INFO, WARNING]


USED = f"{SHORT} {function('SELECT short(t)', 'LANGUAGE sql SET search_path = public')} {{}};"


@pytest.mark.parametrize(
    "use, users",
    [
        ("CREATE TABLE t (b text CHECK (f(b) <> ''))", "the CHECK of b in line 1"),
        (
            "CREATE TABLE t (b text, CHECK (public.f(b) <> '')); CREATE INDEX ON t (f(b))",
            "the CHECK in line 1, the index",
        ),
        ("CREATE TABLE t (b text CHECK (f(b, 1) <> ''))", None),
        ("ALTER TABLE t ADD CHECK (f(b) <> '') NOT VALID", None),
        ("CREATE VIEW v AS SELECT f(b) FROM t", None),
    ],
)
def test_what_the_same_file_has_made_with_it(use: str, users: str | None) -> None:
    for change in ("ALTER FUNCTION f RESET search_path", function("SELECT short(t)", "LANGUAGE sql")):
        found = findings(USED.format(use) + change)
        assert [f"and is called by {users}" in one.message for one in found] == ([True] if users else [])


def test_the_alternative_gives_each_function_its_path_first() -> None:
    (found,) = findings(f"{LOOSE} {INDEX}")
    assert found.alternative_sql == (
        "ALTER FUNCTION public.f(text) SET search_path TO public, pg_temp;\nCREATE INDEX ON t USING btree (f(b));"
    )
    concurrently = findings(f"{LOOSE} CREATE INDEX CONCURRENTLY ON t (f(b), public.above(b))".replace("above", "f"))
    assert [str(one.alternative_sql).count("in a migration after that one") for one in concurrently] == [1]
    (found,) = findings(
        f"CREATE SCHEMA a; CREATE SCHEMA b; SET search_path = a, b; {LOOSE} CREATE TABLE b.words (b text);"
        f"{function('BEGIN RETURN (SELECT short(b) FROM words); END')} {INDEX}"
    )
    assert "ALTER FUNCTION a.f(text) SET search_path TO b, a, pg_temp;" in str(found.alternative_sql)


@pytest.mark.parametrize(
    "before, found",
    [
        ("", True),
        ("ALTER FUNCTION f(text) SET search_path = public, pg_temp;", False),
        ("ALTER FUNCTION f(int) SET search_path = public, pg_temp;", True),
        ("ALTER FUNCTION f SET search_path = public; ALTER FUNCTION f RESET search_path;", True),
        ("ALTER FUNCTION f SET search_path = public; ALTER FUNCTION f SET search_path TO DEFAULT;", True),
        ("ALTER FUNCTION f SET search_path = public; ALTER FUNCTION f SET work_mem = '1MB' RESET ALL;", True),
        ("ALTER FUNCTION f SET search_path = public; ALTER FUNCTION f COST 5;", False),
        (f"ALTER FUNCTION f SET search_path = public; {function('SELECT short(t)', 'LANGUAGE sql')}", True),
        (function("SELECT short(t)", "LANGUAGE sql SET search_path TO DEFAULT"), True),
    ],
)
def test_the_path_is_the_last_one_that_it_got(before: str, found: bool) -> None:
    assert bool(findings(f"{LOOSE} {before} {INDEX}")) is found


@pytest.mark.parametrize("after, found", [("", True), ("ALTER FUNCTION f SET search_path = public;", False)])
def test_functions_of_migrations_that_come_first(after: str, found: bool) -> None:
    earlier = Earlier("001", "2025/001", (parse(LOOSE + after, file="earlier.sql"),))
    assert bool(findings(INDEX, Known(before=Before((earlier,))))) is found


def test_what_may_mean_the_servers_or_another_function_is_no_warning() -> None:
    loose, fine = "CREATE FUNCTION f(text) RETURNS text AS $$ SELECT g($1) $$", "CREATE FUNCTION f(int) RETURNS text"
    both = (made(loose, "text"), made(f"{fine} AS $$ SELECT '' $$", "integer"))
    lower = (made(loose.replace("f(", "lower("), "text"), FunctionFacts("i", 1, 1, arguments=("text",)))
    age = (made(loose.replace("f(", "age("), "text"), FunctionFacts("i", 1, 1, arguments=("timestamp",)))
    known = {"f": both, "lower": lower, "age": age, "g": (made(fine, "text"),)}
    facts = CatalogFacts(180000, functions=known, complete=True)
    (found,) = findings(INDEX, Known(facts=facts))
    assert (found.severity, "there are several functions of that name" in found.message) == (INFO, True)
    assert findings("CREATE INDEX ON t (lower(b))", Known(facts=facts)) == []
    (found,) = findings("CREATE INDEX ON t (age(b))", Known(facts=facts))
    assert (found.severity, "pg_catalog has a function of that name" in found.message) == (INFO, True)
    within = function("SELECT age(t)", "LANGUAGE sql", "h")
    (found,) = findings(f"{within} CREATE INDEX ON t (h(b))", Known(facts=facts))
    assert (found.severity, "age() may be public.age()" in found.message) == (INFO, True)
    assert findings("CREATE INDEX ON t (public.age(b))", Known(facts=facts))[0].severity is WARNING


OPERATORS = {
    "->": (OperatorFacts("ext", ("ext", "fetchval"), ("ext.hstore", "text")),),
    "#": (OperatorFacts("ext", ("ext", "idx"), ("integer[]", "integer")),),
    "@": (OperatorFacts("ext", ("ext", "odd"), ("ext.hstore",)),),
}


@pytest.mark.parametrize(
    "argument, body, doubt",
    [
        ("ext.hstore", "SELECT $1 -> 'a'", "->"),
        ("jsonb", "SELECT $1 -> 'a'", None),
        ("text", "SELECT $1::ext.hstore -> 'a'", "->"),
        ("ext.hstore", "SELECT $1 OPERATOR(ext.->) 'a'", None),
        ("integer[]", "SELECT ($1 # 1)::text", "#"),
        ("integer", "SELECT ($1 # 1)::text", None),
        ("ext.hstore", "SELECT 1 @ 2", None),
        ("jsonb", "SELECT doc -> $1 FROM ext.tab", "->"),
    ],
)
def test_operators_of_extensions_with_names_of_the_servers(argument: str, body: str, doubt: str | None) -> None:
    loose = made(f"CREATE FUNCTION f({argument}) RETURNS text AS $$ {body} $$", argument)
    facts = CatalogFacts(180000, functions={"f": (loose,)}, operators=OPERATORS, complete=True)
    found = [one for one in findings(INDEX, Known(facts=facts)) if one.severity is INFO]
    assert [f"the operator {doubt} may be that of ext" in one.message for one in found] == ([True] if doubt else [])


def test_the_column_of_alter_column_type_is_named() -> None:
    checked = ConstraintFacts("c", "c", True, "CHECK (f(VALUE) <> '')")
    facts = CatalogFacts(180000, domains={"d": DomainFacts(True, constraints=(checked,))})
    (found,) = findings(LOOSE + "ALTER TABLE t ALTER COLUMN b TYPE d", Known(facts=facts))
    assert found.message.startswith("the domain d of b calls public.f()")


def made(body: str, argument: str) -> FunctionFacts:
    return FunctionFacts("i", 1, 1, schema="public", arguments=(argument,), language="sql", body=body)
