"""The rule `breaks-later-backups` fires where pg_dump and pg_restore lose something, and nowhere else."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from migrator.analysis.inspection import inspect
from migrator.analysis.known import Known, Sources
from migrator.analysis.rules.servers_names import CONFIGURATIONS, OPERATORS
from migrator.database.session import Endpoint, connect
from migrator.embedded.server import Server
from migrator.facts.facts import CatalogFacts
from migrator.facts.query import collect_facts
from migrator.parsing.statements import ParsedFile, parse
from migrator.plan import Finding, Severity
from tests.integration.conftest import MakeDatabase

BASE = """
CREATE SCHEMA apart;
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE TYPE declared_alone AS ENUM ('glad');
CREATE TABLE rows_declared (a int);
CREATE TABLE rows_cast (a int);
CREATE TABLE point (a int);
CREATE TABLE a_first (word text PRIMARY KEY);
INSERT INTO a_first VALUES ('glad');
CREATE FUNCTION short(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN left(t, 3); END $$;
CREATE FUNCTION shorter(t text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT short(t)';
CREATE FUNCTION apart.deeper(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE
AS $$ BEGIN IF t IS NOT NULL THEN RETURN public.shorter(t); END IF; RETURN ''; END $$;
CREATE FUNCTION pathed(t text) RETURNS text LANGUAGE sql IMMUTABLE
SET search_path = public, pg_temp AS 'SELECT shorter(t)';
CREATE FUNCTION named(t text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT public.short(t)';
CREATE FUNCTION bound(t text) RETURNS text LANGUAGE sql IMMUTABLE RETURN short(t);
CREATE FUNCTION bound_above(t text) RETURNS text LANGUAGE sql IMMUTABLE RETURN shorter(t);
CREATE FUNCTION known(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ BEGIN RETURN EXISTS (SELECT FROM a_first WHERE word = t); END $$;
CREATE FUNCTION is_mood(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ BEGIN RETURN t::mood IS NOT NULL; END $$;
CREATE FUNCTION in_list(t text) RETURNS boolean LANGUAGE sql IMMUTABLE
AS $$ WITH a_first (word) AS (VALUES ('glad'), ('sad')) SELECT EXISTS (SELECT FROM a_first WHERE word = lower(t)) $$;
CREATE FUNCTION alike(a text, b text) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN lower(a) = lower(b);
CREATE OPERATOR === (FUNCTION = alike, LEFTARG = text, RIGHTARG = text);
CREATE FUNCTION is_glad(t text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT t === 'Glad' $$;
CREATE TEXT SEARCH CONFIGURATION words (COPY = simple);
CREATE FUNCTION in_words(t text) RETURNS tsvector LANGUAGE sql IMMUTABLE AS $$ SELECT to_tsvector('words', t) $$;
CREATE FUNCTION in_english(t text) RETURNS tsvector LANGUAGE sql IMMUTABLE
AS $$ SELECT to_tsvector('english', t) $$;
CREATE FUNCTION is_relation(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ BEGIN RETURN NOT EXISTS (SELECT FROM pg_class AS c WHERE c.relname = t AND c.relkind = 'r'::"char"); END $$;
CREATE FUNCTION later(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN short(t); END $$;
CREATE DOMAIN brief AS text CHECK (shorter(VALUE) <> '');
CREATE DOMAIN briefer AS brief;
CREATE DOMAIN briefs AS brief[];
CREATE TYPE with_brief AS (a int, b briefs);
CREATE DOMAIN over_pair AS with_brief;
CREATE TYPE between_briefs AS RANGE (subtype = brief, subtype_opclass = text_ops);
CREATE FUNCTION by_row(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ DECLARE line text; found_one a_first%ROWTYPE; BEGIN RETURN t IS NOT NULL; END $$;
CREATE FUNCTION by_column(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ DECLARE one a_first.word%TYPE := t; BEGIN RETURN one IS NOT NULL; END $$;
CREATE FUNCTION by_type(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ DECLARE one CONSTANT mood := 'glad'; BEGIN RETURN t IS NOT NULL; END $$;
CREATE FUNCTION by_list(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ DECLARE many mood[]; BEGIN RETURN t IS NOT NULL; END $$;
CREATE FUNCTION by_table(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ DECLARE line a_first; BEGIN RETURN t IS NOT NULL; END $$;
CREATE FUNCTION by_qualified(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ DECLARE a public.mood; b public.a_first.word%TYPE; c t%TYPE; d ALIAS FOR $1; e pg_class%ROWTYPE; f timestamp(3);
BEGIN DECLARE g varchar(10) NOT NULL DEFAULT 'x'; BEGIN RETURN t IS NOT NULL; END; END $$;
CREATE FUNCTION by_oid(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ BEGIN RETURN 'a_first'::regclass IS NOT NULL; END $$;
CREATE FUNCTION by_own_oid(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ BEGIN RETURN 'public.a_first'::regclass IS NOT NULL AND 'pg_class'::regclass IS NOT NULL; END $$;
CREATE FUNCTION by_alias(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ BEGIN RETURN EXISTS (SELECT FROM a_first AS a_first WHERE a_first.word = t); END $$;
CREATE FUNCTION by_with(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ BEGIN RETURN EXISTS (WITH a_first AS (SELECT * FROM a_first) SELECT FROM a_first WHERE word = t); END $$;
CREATE FUNCTION by_unseen_type(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ DECLARE r declared_alone; BEGIN RETURN r IS NULL; END $$;
CREATE FUNCTION by_unseen_table(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ DECLARE r rows_declared; BEGIN RETURN r IS NULL; END $$;
CREATE FUNCTION by_row_type(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ BEGIN RETURN (NULL::rows_cast) IS NULL; END $$;
CREATE FUNCTION by_servers_type(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ DECLARE p point; BEGIN RETURN (NULL::point) IS NULL AND NULL::pg_class IS NULL; END $$;
CREATE FUNCTION unlike(a text, b text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ BEGIN RETURN short(a) <> b; END $$;
CREATE OPERATOR !== (FUNCTION = unlike, LEFTARG = text, RIGHTARG = text);
CREATE FUNCTION emptied(a text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ BEGIN RETURN short(a) <> ''; END $$;
CREATE OPERATOR !!! (FUNCTION = emptied, RIGHTARG = text);
CREATE FUNCTION by_inner_operator(a text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ BEGIN RETURN a OPERATOR(public.!==) 'x'; END $$;
CREATE TABLE index_field (b text, c int);
CREATE FUNCTION field(r index_field) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ BEGIN RETURN short('x') <> ''; END $$;
CREATE FUNCTION c(r index_field) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ BEGIN RETURN short('x') <> ''; END $$;
CREATE TABLE check_column (LIKE index_field);
CREATE SEQUENCE numbers;
CREATE FUNCTION by_sequence(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ BEGIN RETURN nextval('numbers') > 0; END $$;
CREATE FUNCTION by_bare_operator(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ BEGIN RETURN t === 'Glad'; END $$;
CREATE FUNCTION by_set_sequence(t text) RETURNS boolean LANGUAGE sql IMMUTABLE
AS $$ SELECT setval('"numbers"', 5) > 0 $$;
CREATE COLLATION own_order FROM "C";
CREATE FUNCTION by_collation(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ BEGIN RETURN t < 'z' COLLATE own_order; END $$;
CREATE FUNCTION by_own_names(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ BEGIN RETURN nextval('public.numbers') > 0 AND t < 'z' COLLATE "C" AND t < 'z' COLLATE public.own_order; END $$;
CREATE VIEW plain_view AS SELECT word, shorter(word) AS s FROM a_first;
CREATE VIEW above_view AS SELECT * FROM plain_view;
CREATE VIEW fine_view AS SELECT word, pathed(word) AS s FROM a_first;
CREATE FUNCTION any_glad(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS $$ BEGIN RETURN t === ANY (ARRAY['glad', 'sad']); END $$;
"""


@dataclass(frozen=True)
class Case:
    """`{t}` is the case's own table, or view. A column `b` is filled after the statement."""

    sql: str
    breaks: bool
    since: int = 14


TABLE = "CREATE TABLE {t} (b text"
INDEX = f"{TABLE}); CREATE INDEX ON {{t}} "
LOOSE = ("by_row", "by_column", "by_type", "by_list", "by_table", "by_oid", "any_glad", "by_alias", "by_with")
LOOSE += ("by_unseen_type", "by_unseen_table", "by_row_type", "by_inner_operator")
LOOSE += ("by_sequence", "by_collation", "by_set_sequence", "by_bare_operator")
CASES = {
    "index_loose": Case(f"{INDEX} (apart.deeper(b))", True),
    "index_bound_above": Case(f"{INDEX} (bound_above(b))", True),
    "index_where": Case(f"{INDEX} (b) WHERE is_glad(b)", True),
    "index_pathed": Case(f"{INDEX} (pathed(b)) WHERE in_list(b)", False),
    "index_named": Case(f"{INDEX} (named(b), bound(b))", False),
    "check_table": Case(f"{TABLE} CHECK (known(b)))", True),
    "check_type": Case(f"{TABLE}, CHECK (is_mood(b)))", True),
    "check_added": Case(f"{TABLE}); ALTER TABLE {{t}} ADD CONSTRAINT c CHECK (shorter(b) <> '')", True),
    "check_waits": Case(f"{TABLE}); ALTER TABLE {{t}} ADD CONSTRAINT c CHECK (shorter(b) <> '') NOT VALID", False),
    "check_not_enforced": Case(f"{TABLE} CHECK (shorter(b) <> '') NOT ENFORCED)", False, since=18),
    "check_validated": Case(
        f"{TABLE}); ALTER TABLE {{t}} ADD CONSTRAINT c CHECK (shorter(b) <> '') NOT VALID;"
        "ALTER TABLE {t} VALIDATE CONSTRAINT c",
        True,
    ),
    "check_inlined": Case(f"{TABLE} CHECK (in_list(b)))", False),
    "check_catalog": Case(f"{TABLE} CHECK (is_relation(b)))", False),
    "exclusion": Case(f"{TABLE}, EXCLUDE USING btree (shorter(b) WITH =))", True),
    "generated_loose": Case(f"{TABLE}, g tsvector GENERATED ALWAYS AS (in_words(b)) STORED)", True),
    "generated_english": Case(f"{TABLE}, g tsvector GENERATED ALWAYS AS (in_english(b)) STORED)", False),
    "generated_mended": Case(
        f"ALTER FUNCTION later(text) SET search_path = public;{TABLE}, g text GENERATED ALWAYS AS (later(b)) STORED)",
        False,
    ),
    "domain_old": Case("CREATE TABLE {t} (b brief)", True),
    "domain_new": Case("CREATE DOMAIN {t}_d AS text CHECK (known(VALUE)); CREATE TABLE {t} (b {t}_d)", True),
    "domain_added": Case(
        "CREATE DOMAIN {t}_d AS text; ALTER DOMAIN {t}_d ADD CHECK (shorter(VALUE) <> ''); CREATE TABLE {t} (b {t}_d)",
        True,
    ),
    "domain_waits": Case(
        "CREATE DOMAIN {t}_d AS text; ALTER DOMAIN {t}_d ADD CHECK (shorter(VALUE) <> '') NOT VALID;"
        "CREATE TABLE {t} (b {t}_d)",
        False,
    ),
    "domain_over": Case("CREATE TABLE {t} (b briefer)", True),
    "domain_array": Case("CREATE TABLE {t} (a int, d brief[] DEFAULT '{{glad}}', b text)", True),
    "domain_attribute": Case("CREATE TABLE {t} (d over_pair DEFAULT '(1,{{glad}})', b text)", True),
    "domain_bound": Case("CREATE TABLE {t} (d between_briefs DEFAULT '[a,b)', b text)", True),
    "domain_inside_new": Case(
        "CREATE TYPE {t}_c AS (a brief); CREATE DOMAIN {t}_d AS {t}_c; CREATE TABLE {t} (d {t}_d[] DEFAULT"
        """ '{{"(glad)"}}', b text)""",
        True,
    ),
    "domain_altered": Case(f"{TABLE}); ALTER TABLE {{t}} ALTER COLUMN b TYPE briefer", True),
    "added_with_rows": Case(
        f"{TABLE}); INSERT INTO {{t}} VALUES ('sad'); ALTER TABLE {{t}} ADD COLUMN d brief DEFAULT 'x'", True
    ),
    "partition_key": Case(
        f"{TABLE}) PARTITION BY LIST (shorter(b)); CREATE TABLE {{t}}_1 PARTITION OF {{t}} FOR VALUES IN ('gla')",
        True,
    ),
    "default_only": Case(f"{TABLE}, d text DEFAULT shorter('x'))", False),
    "made_here": Case(
        "CREATE FUNCTION {t}_f(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN short(t); END $$;"
        f"{TABLE} CHECK ({{t}}_f(b) <> ''))",
        True,
    ),
    "made_well": Case(
        "CREATE FUNCTION {t}_f(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path FROM CURRENT"
        f" AS $$ BEGIN RETURN short(t); END $$; {TABLE} CHECK ({{t}}_f(b) <> ''))",
        False,
    ),
    "made_with_default": Case(
        "CREATE FUNCTION {t}_f(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path TO DEFAULT"
        f" AS $$ BEGIN RETURN short(t); END $$; {TABLE} CHECK ({{t}}_f(b) <> ''))",
        True,
    ),
    **{f"check_{name}": Case(f"{TABLE} CHECK ({name}(b)))", True) for name in LOOSE},
    "check_by_qualified": Case(f"{TABLE} CHECK (by_qualified(b)), CHECK (by_own_oid(b)))", False),
    "check_own_names": Case(f"{TABLE} CHECK (by_own_names(b)))", False),
    "check_servers_type": Case(f"{TABLE} CHECK (by_servers_type(b)))", False),
    "check_operator": Case(f"{TABLE} CHECK (b !== 'x'))", True),
    "check_operator_before": Case(f"{TABLE} CHECK (!!! b))", True),
    "check_operator_any": Case(f"{TABLE} CHECK (b OPERATOR(public.!==) ANY (ARRAY['x'])))", True),
    "check_operator_fine": Case(f"{TABLE} CHECK (b === 'glad'))", False),
    "check_operator_new": Case(
        "CREATE FUNCTION {t}_f(a text, b text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE"
        " AS $$ BEGIN RETURN short(a) <> b; END $$;"
        "CREATE OPERATOR <===> (PROCEDURE = {t}_f, LEFTARG = text, RIGHTARG = text);"
        f"{TABLE} CHECK (b <===> 'x'))",
        True,
    ),
    "index_field": Case("CREATE INDEX ON {t} (({t}.field))", True),
    "check_column": Case("ALTER TABLE {t} ADD CHECK ({t}.c > 0)", False),
    "view_field": Case("CREATE MATERIALIZED VIEW {t} AS SELECT (x).field FROM index_field AS x", True),
    "view_above_view": Case("CREATE MATERIALIZED VIEW {t} AS SELECT * FROM above_view", True),
    "view_above_fine": Case("CREATE MATERIALIZED VIEW {t} AS SELECT * FROM fine_view", False),
    "view_above_new": Case(
        "CREATE VIEW {t}_v AS SELECT shorter(word) FROM a_first; CREATE MATERIALIZED VIEW {t} AS SELECT * FROM {t}_v",
        True,
    ),
    "view_pathed": Case("CREATE MATERIALIZED VIEW {t} AS SELECT pathed(word) FROM a_first", False),
    "view_loose": Case("CREATE MATERIALIZED VIEW {t} AS SELECT shorter(word) FROM a_first", True),
}


def test_it_fires_where_a_restore_fails_and_nowhere_else(
    each_server: Server, each_database: MakeDatabase, tmp_path: Path
) -> None:
    major = each_server.programs.major
    cases = {name: case for name, case in CASES.items() if case.since <= major}
    files = {name: parse(case.sql.format(t=name), file=f"{name}.sql") for name, case in cases.items()}
    source = each_database("backed_up", script=BASE)
    facts = facts_of(source, *files.values())
    told = {name for name, file in files.items() if any(is_certain(one) for one in findings(file, facts))}
    with psycopg.connect(source.conninfo, autocommit=True) as conn:
        refused = {name for name, file in files.items() if not runs(conn, file, name)}
    assert bool(refused) is (major >= 17)
    before = contents(source)
    target = each_database("restored")
    restore(each_server, source, target, tmp_path)
    after = contents(target)
    lost = {name for name in cases if any(key.startswith(name) and after.get(key) != before[key] for key in before)}
    assert lost | refused == {name for name, case in cases.items() if case.breaks}
    assert told == lost | refused


def test_a_function_that_is_changed_below_what_calls_it(each_database: MakeDatabase) -> None:
    made = f"""{BASE}
    CREATE TABLE t (b text CHECK (pathed(b) <> ''), g text GENERATED ALWAYS AS (pathed(b)) STORED);
    CREATE INDEX i ON t (pathed(b));
    CREATE TABLE p (b text) PARTITION BY LIST (pathed(b));
    CREATE MATERIALIZED VIEW v AS SELECT pathed(word) FROM a_first;
    ALTER DOMAIN brief ADD CONSTRAINT c CHECK (pathed(VALUE) <> '') NOT VALID;
    CREATE VIEW w AS SELECT pathed(b) FROM t;
    """
    source = each_database("changed", script=made)
    reset = parse("ALTER FUNCTION pathed(text) RESET search_path", file="reset.sql")
    other = parse("ALTER FUNCTION named(text) RESET search_path; ALTER FUNCTION pathed COST 5", file="other.sql")
    body = "CREATE OR REPLACE FUNCTION pathed(t text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT {}(t)'"
    facts = facts_of(source, reset, other, parse(body.format("short"), file="x.sql"))
    (function,) = facts.functions["pathed"]
    assert function.restored == (
        "CHECK t_b_check of public.t",
        "generated column g of public.t",
        "index public.i",
        "materialized view public.v",
        "partition key of public.p",
    )
    assert facts.functions["left"][0].restored == ()
    (told,) = findings(reset, facts)
    assert "is called by CHECK t_b_check of public.t, generated column g of public.t" in told.message
    assert told.alternative_sql == "ALTER FUNCTION pathed(text) SET search_path TO public, pg_temp;"
    (told,) = findings(parse(body.format("short"), file="x.sql"), facts)
    assert "SET search_path TO public, pg_temp" in str(told.alternative_sql)
    assert findings(other, facts) == findings(parse(body.format("public.short"), file="x.sql"), facts) == []
    anew = body.format("short").replace(" AS '", " SET search_path = public AS '")
    again = f"{anew}; ALTER FUNCTION pathed(text) RESET search_path; {anew}; {body.format('short')}"
    assert [one.line for one in findings(parse(again.replace("; ", ";\n"), file="x.sql"), facts)] == [2, 4]


BETWEEN = f"""{BASE}
CREATE FUNCTION inmost(t text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT public.short(t)';
CREATE FUNCTION amid(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE
AS $$ BEGIN RETURN (SELECT public.inmost(t)); END $$;
CREATE FUNCTION outmost(t text) RETURNS text LANGUAGE sql IMMUTABLE RETURN public.amid(t);
CREATE FUNCTION unrelated(t text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT public.short(t)';
CREATE TABLE t (b text CHECK (outmost(b) <> ''), CHECK (unrelated(b) <> ''));
"""


def test_a_function_that_is_changed_behind_an_operator(each_database: MakeDatabase) -> None:
    made = f"{BASE} ALTER FUNCTION unlike SET search_path = public; CREATE TABLE t (b text CHECK (b !== 'x'));"
    reset = parse("ALTER FUNCTION unlike RESET search_path", file="reset.sql")
    facts = facts_of(each_database("behind", script=made), reset)
    assert [one.message.rpartition("called by ")[2][:28] for one in findings(reset, facts)] == [
        "CHECK t_b_check of public.t:"
    ]


def test_a_function_that_is_changed_below_another_one(each_database: MakeDatabase) -> None:
    source = each_database("below", script=BETWEEN)
    body = "CREATE OR REPLACE FUNCTION inmost(t text) RETURNS text LANGUAGE sql IMMUTABLE{} AS 'SELECT short(t)'"
    loose, fine = (parse(body.format(one), file="x.sql") for one in ("", " SET search_path = public"))
    facts = facts_of(source, loose, fine)
    (told,) = findings(loose, facts)
    what = "short() in public.inmost() in public.amid()"
    assert told.message.startswith(f"public.outmost() finds {what} through search_path, and is called by CHECK t_b_")
    assert findings(fine, facts) == []
    reset = parse(f"{body.format(' SET search_path = public')}; ALTER FUNCTION inmost RESET search_path", file="x.sql")
    assert [one.statement for one in findings(reset, facts)] == [1]


def test_the_names_of_the_server_are_known(each_server: Server) -> None:
    with psycopg.connect(each_server.conninfo()) as conn:
        operators = {name for (name,) in conn.execute("SELECT oprname FROM pg_operator")}
        configurations = {name for (name,) in conn.execute("SELECT cfgname FROM pg_ts_config")}
    assert operators <= OPERATORS
    assert configurations <= CONFIGURATIONS


def facts_of(source: Endpoint, *files: ParsedFile) -> CatalogFacts:
    with connect(source, purpose="observe") as conn:
        return collect_facts(conn, files)


def findings(file: ParsedFile, facts: CatalogFacts) -> list[Finding]:
    found = inspect(Sources((file,)), Known(facts=facts)).findings
    return [one for one in found if one.rule == "breaks-later-backups"]


def is_certain(finding: Finding) -> bool:
    return finding.severity is Severity.WARNING


def runs(conn: psycopg.Connection, file: ParsedFile, table: str) -> bool:
    """Applies it and gives its table a row. False: the server refuses it, as 17 does where an index or a materialized
    view would find nothing in a restore."""
    try:
        with conn.transaction():
            for statement in file.statements:
                conn.execute(statement.sql.encode())
            if "MATERIALIZED" not in file.text:
                conn.execute(sql.SQL("INSERT INTO {} (b) VALUES ('glad')").format(sql.Identifier(table)))
    except psycopg.errors.UndefinedFunction:
        return False
    return True


def restore(server: Server, source: Endpoint, target: Endpoint, folder: Path) -> None:
    """A dump of it in another database, with whatever pg_restore can put there."""
    names = [str(conninfo_to_dict(one.conninfo)["dbname"]) for one in (source, target)]
    server.programs.run("pg_dump", "--format=custom", f"--file={folder / 'dump'}", server.conninfo(names[0]))
    command = [server.programs.path("pg_restore"), f"--dbname={server.conninfo(names[1])}", folder / "dump"]
    subprocess.run(command, check=False, capture_output=True, env=server.programs.env)


def contents(source: Endpoint) -> dict[str, int]:
    """Rows of each table and materialized view, and each index, by name."""
    with psycopg.connect(source.conninfo) as conn:
        made = conn.execute(
            "SELECT relname, relkind FROM pg_class WHERE relkind IN ('r', 'p', 'm', 'i') AND oid >= 16384"
            " AND relnamespace = 'public'::regnamespace AND (relkind <> 'm' OR relispopulated)"
        ).fetchall()
        count = sql.SQL("SELECT count(*) FROM {}")
        return {
            name: 1 if kind == "i" else conn.execute(count.format(sql.Identifier(name))).fetchall()[0][0]
            for name, kind in made
        }
