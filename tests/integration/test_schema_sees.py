"""Nothing that changes what a database does is the same schema, on any major, and a dump restores the same schema."""

from __future__ import annotations

import re
import subprocess

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from migrator.backups.proof import comparable
from migrator.database import queries, schema
from migrator.database.schema import Schema
from migrator.database.schema_diff import diff
from migrator.database.session import Endpoint
from migrator.embedded.server import Server
from tests.integration.conftest import MakeDatabase

RARE = """
CREATE FUNCTION one() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION two() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2';
CREATE FUNCTION add(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';
CREATE FUNCTION plus(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';
CREATE FUNCTION minus(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 - $2';
CREATE FUNCTION done(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE item (id int PRIMARY KEY, body text, n int REFERENCES item);
CREATE VIEW shown AS SELECT * FROM item;
CREATE MATERIALIZED VIEW kept AS SELECT * FROM item;
CREATE INDEX item_sum ON item ((id + n));
CREATE TABLE parted (id int PRIMARY KEY, n int) PARTITION BY LIST (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_2 (id int PRIMARY KEY, n int);
ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES IN (2);
CREATE INDEX parted_n ON parted (n);
CREATE TRIGGER touched BEFORE UPDATE ON parted FOR EACH ROW EXECUTE FUNCTION touch();
CREATE CONSTRAINT TRIGGER checked AFTER INSERT ON parted FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE parted ADD CONSTRAINT of_item FOREIGN KEY (n) REFERENCES item;
CREATE TABLE deep (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE deep_1 PARTITION OF deep FOR VALUES FROM (1) TO (9) PARTITION BY RANGE (id);
CREATE TABLE deep_1_1 PARTITION OF deep_1 FOR VALUES FROM (1) TO (5);
CREATE TABLE deep_1_2 PARTITION OF deep_1 FOR VALUES FROM (5) TO (9);
CREATE TABLE part (id int, whole int CONSTRAINT of_deep REFERENCES deep);
ALTER TABLE parted_2 DISABLE TRIGGER checked;
CREATE TABLE base (id int, CHECK (id > 0));
CREATE TABLE child () INHERITS (base);
CREATE AGGREGATE total (int) (
    sfunc = add, stype = int, initcond = '0', msfunc = add, minvfunc = minus, mstype = int, minitcond = '0'
);
CREATE DOMAIN small AS int DEFAULT one();
CREATE TYPE span AS RANGE (subtype = int);
CREATE TEXT SEARCH CONFIGURATION words (COPY = simple);
CREATE TEXT SEARCH DICTIONARY stems (TEMPLATE = simple, accept = true);
CREATE OPERATOR === (PROCEDURE = int4eq, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR FAMILY ints USING btree;
CREATE OPERATOR CLASS int_ops_of_ours FOR TYPE int USING btree FAMILY ints AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(int, int);
CREATE CONVERSION into_latin FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1;
CREATE FOREIGN DATA WRAPPER wrapper OPTIONS (debug 'true');
CREATE EXTENSION IF NOT EXISTS plpgsql;
"""
ANEW = "ALTER TABLE child NO INHERIT base; ALTER TABLE child INHERIT base"
"""What the parent gave, the child keeps when the parent's goes."""

WRITTEN_BY_THE_SERVER = """
pg_constraint: condeferrable condeferred conenforced confrelid confupdtype confdeltype confmatchtype conperiod confkey
    conpfeqop conppeqop conffeqop confdelsetcols conexclop conbin connamespace
pg_index: indnatts indnkeyatts indisunique indnullsnotdistinct indisprimary indisexclusion indimmediate indkey
    indcollation indclass indoption indexprs indpred
pg_partitioned_table: partstrat partnatts partdefid partattrs partclass partcollation partexprs
pg_proc: prolang procost prorows provariadic prosupport prosecdef proleakproof proisstrict proretset provolatile
    pronargs pronargdefaults prorettype proargtypes proallargtypes proargmodes proargnames proargdefaults protrftypes
    prosrc probin prosqlbody proconfig
pg_rewrite: ev_type is_instead ev_qual ev_action
pg_statistic_ext: stxkeys stxkind stxexprs
pg_trigger: tgtype tgconstrrelid tgconstrindid tgdeferrable tginitdeferred tgnargs tgattr tgargs tgqual tgoldtable
    tgnewtable
pg_aggregate: aggnumdirectargs
pg_amop: amoplefttype amoprighttype amoppurpose amopmethod
pg_collation: collname collnamespace collencoding
pg_conversion: connamespace
pg_language: lanname
pg_opclass: opcmethod opcname opcnamespace
pg_operator: oprname oprnamespace oprkind oprleft oprright
pg_opfamily: opfmethod opfname opfnamespace
pg_transform: trflang
pg_ts_config: cfgname cfgnamespace
pg_ts_dict: dictname dictnamespace
pg_ts_parser: prsname prsnamespace
pg_ts_template: tmplname tmplnamespace
pg_type: typname typelem
"""
"""By pg_get_constraintdef and its like, and in the names of things."""
NO_PART_OF_IT = """
pg_attribute: attlen attndims attbyval attalign atthasdef atthasmissing attmissingval attcacheoff
pg_class: reltype relfilenode relpages reltuples relallvisible relallfrozen relhasindex relisshared relnatts relchecks
    relhasrules relhastriggers relhassubclass relrewrite relfrozenxid relminmxid
pg_collation: collversion
pg_extension: extowner extrelocatable extconfig extcondition
pg_foreign_data_wrapper: fdwacl
pg_index: indcheckxmin indisready indislive
pg_language: lanispl lanacl
pg_type: typisdefined typndims
"""
"""Space, statistics, caches, and rights that the server's superuser gives."""
OTHER_CATALOGS = """
pg_auth_members pg_authid pg_database pg_init_privs pg_largeobject pg_largeobject_metadata pg_parameter_acl
pg_replication_origin pg_shdepend pg_shdescription pg_shseclabel pg_statistic pg_statistic_ext_data pg_subscription
pg_subscription_rel pg_tablespace pg_user_mapping
"""
"""Of the whole server, of data, or with secrets."""


def superuser(server: Server, endpoint: Endpoint) -> psycopg.Connection:
    return psycopg.connect(server.conninfo(str(conninfo_to_dict(endpoint.conninfo)["dbname"])), autocommit=True)


def changed(conn: psycopg.Connection, sql: str) -> tuple[str, ...]:
    before = schema.read(conn)
    conn.execute(sql.encode())
    return diff(before, schema.read(conn)).lines()


@pytest.mark.parametrize(
    "sql, line",
    [
        ("ALTER VIEW shown ALTER n SET DEFAULT one()", "+ column public.shown.n: integer default public.one()"),
        ("ALTER MATERIALIZED VIEW kept ALTER body SET STORAGE EXTERNAL", "+ column public.kept.body:"),
        ("ALTER MATERIALIZED VIEW kept ALTER n SET STATISTICS 7", "+ column public.kept.n:"),
        ("ALTER MATERIALIZED VIEW kept SET (toast.autovacuum_enabled = off)", "~ materialized view public.kept:"),
        ("ALTER INDEX item_sum ALTER 1 SET STATISTICS 7", "~ index public.item_sum:"),
        ("ALTER TABLE parted_1 DISABLE TRIGGER touched", "+ trigger public.parted_1.touched:"),
        ("ALTER TABLE parted_1 ENABLE ALWAYS TRIGGER checked", "+ trigger public.parted_1.checked:"),
        ("ALTER TABLE parted_2 ENABLE TRIGGER checked", "- trigger public.parted_2.checked:"),
        ("ALTER TABLE parted_1 DISABLE TRIGGER ALL", "~ constraint public.parted_1.of_item:"),
        ("ALTER TABLE deep_1_2 DISABLE TRIGGER ALL", "~ constraint public.part.of_deep:"),
        ("ALTER TABLE item DISABLE TRIGGER ALL", "~ constraint public.item.item_n_fkey:"),
        (ANEW, "~ column public.child.id:"),
        (ANEW, "~ constraint public.child.base_id_check:"),
        ("CREATE OR REPLACE AGGREGATE total (int) (sfunc = add, stype = int, initcond = '0', msfunc = plus,"
         " minvfunc = minus, mstype = int, minitcond = '0')", "~ aggregate public.total(integer):"),
        ("CREATE OR REPLACE AGGREGATE total (int) (sfunc = add, stype = int, initcond = '0', msfunc = add,"
         " minvfunc = minus, mstype = int, minitcond = '1')", "~ aggregate public.total(integer):"),
        ("CREATE OR REPLACE AGGREGATE total (int) (sfunc = add, stype = int, initcond = '0', msfunc = add,"
         " minvfunc = minus, mstype = int, minitcond = '0', mfinalfunc = done)", "~ aggregate public.total(integer):"),
        ("ALTER FUNCTION one() RENAME TO old; ALTER FUNCTION two() RENAME TO one", "~ type public.small:"),
        ("ALTER TEXT SEARCH CONFIGURATION words DROP MAPPING FOR int", "~ text search configuration public.words:"),
        ("ALTER TEXT SEARCH DICTIONARY stems (accept = false)", "~ text search dictionary public.stems:"),
        ("DROP TEXT SEARCH DICTIONARY stems; CREATE TEXT SEARCH DICTIONARY stems (TEMPLATE = thesaurus,"
         " dictfile = 'thesaurus_sample', dictionary = english_stem)", "~ text search dictionary public.stems:"),
        ("ALTER OPERATOR === (int, int) SET (RESTRICT = eqsel)", "~ operator public.===(integer,integer):"),
        ("ALTER OPERATOR FAMILY ints USING btree ADD FUNCTION 2 (int, int) btint4sortsupport(internal)",
         "~ operator family public.ints USING btree:"),
        ("DROP CONVERSION into_latin; CREATE DEFAULT CONVERSION into_latin FOR 'UTF8' TO 'LATIN1' FROM"
         " utf8_to_iso8859_1", "~ conversion public.into_latin:"),
        ("ALTER FOREIGN DATA WRAPPER wrapper OPTIONS (SET debug 'false')", "~ foreign data wrapper wrapper:"),
        ("CREATE ACCESS METHOD other TYPE INDEX HANDLER bthandler", "+ access method other: i bthandler"),
        ("CREATE TEXT SEARCH TEMPLATE other (LEXIZE = dsimple_lexize)", "+ text search template public.other:"),
        ("CREATE TEXT SEARCH PARSER other (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES ="
         " prsd_lextype)", "+ text search parser public.other:"),
        ("DROP TYPE span; CREATE TYPE span AS RANGE (subtype = int, subtype_opclass = int_ops_of_ours)",
         "~ type public.span:"),
        ("ALTER FUNCTION one() DEPENDS ON EXTENSION plpgsql",
         "+ depends on extension function public.one() plpgsql"),
        ("ALTER INDEX item_sum DEPENDS ON EXTENSION plpgsql",
         "+ depends on extension index public.item_sum plpgsql"),
        ("ALTER TRIGGER touched ON parted DEPENDS ON EXTENSION plpgsql",
         "+ depends on extension trigger touched on public.parted plpgsql"),
        ("ALTER MATERIALIZED VIEW kept DEPENDS ON EXTENSION plpgsql",
         "+ depends on extension materialized view public.kept plpgsql"),
        ("CREATE STATISTICS st ON id, n FROM item; ALTER STATISTICS st OWNER TO pg_monitor",
         "+ owner statistics public.st: pg_monitor"),
        ("ALTER OPERATOR === (int, int) OWNER TO pg_monitor", "~ owner operator public.===(integer,integer):"),
        ("ALTER OPERATOR FAMILY ints USING btree OWNER TO pg_monitor", "~ owner operator_family public.ints"),
        ("ALTER OPERATOR CLASS int_ops_of_ours USING btree OWNER TO pg_monitor", "~ owner operator_class public."),
        ("ALTER TEXT SEARCH CONFIGURATION words OWNER TO pg_monitor",
         "~ owner text_search_configuration public.words:"),
        ("ALTER TEXT SEARCH DICTIONARY stems OWNER TO pg_monitor", "~ owner text_search_dictionary public.stems:"),
        ("ALTER CONVERSION into_latin OWNER TO pg_monitor", "~ owner conversion public.into_latin:"),
        ("CREATE COLLATION ours (locale = 'C'); ALTER COLLATION ours OWNER TO pg_monitor",
         "+ owner collation public.ours: pg_monitor"),
        ("CREATE PUBLICATION pub FOR TABLE item", "+ owner publication pub:"),
    ],
)  # fmt: skip
def test_what_changes_behaviour_shows(each_server: Server, each_database: MakeDatabase, sql: str, line: str) -> None:
    with superuser(each_server, each_database()) as conn:
        conn.execute(RARE.encode())
        lines = changed(conn, sql)
    assert any(one.startswith(line) for one in lines), lines


def columns(text: str) -> dict[str, set[str]]:
    return {
        one.split(":")[0]: set(one.split(":")[1].split()) for one in re.sub(r"\n +", " ", text).strip().splitlines()
    }


def test_every_column_of_the_catalogs_is_read_or_left_out_knowingly(each_server: Server) -> None:
    written, left = columns(WRITTEN_BY_THE_SERVER), columns(NO_PART_OF_IT)
    read = set(re.findall(r"\w+", " ".join(queries.load("migrator.database", "schema").values())))
    with psycopg.connect(each_server.conninfo()) as conn:
        rows = conn.execute(
            "SELECT c.relname::text, a.attname::text FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid"
            " WHERE c.relkind = 'r' AND c.relnamespace = 'pg_catalog'::regnamespace AND a.attnum > 0"
        ).fetchall()
    unread = {
        f"{table}.{column}"
        for table, column in rows
        if table not in OTHER_CATALOGS and column not in read | written.get(table, set()) | left.get(table, set())
    }
    assert unread == set()


def test_labels_are_told(each_server: Server, each_database: MakeDatabase) -> None:
    with superuser(each_server, each_database()) as conn:
        conn.execute("CREATE TABLE item (id int); SET allow_system_table_mods = on")
        label = "INSERT INTO pg_seclabel SELECT 'item'::regclass, 'pg_class'::regclass, 1, 'anon', 'MASKED'"
        assert changed(conn, label) == ("+ security label table column public.item.id for anon: MASKED",)


def restored(server: Server, endpoint: Endpoint, copy: Endpoint) -> tuple[Schema, Schema]:
    """What a superuser's dump makes of it, as the proof compares both."""
    source, there = (server.conninfo(str(conninfo_to_dict(one.conninfo)["dbname"])) for one in (endpoint, copy))
    tools = server.programs.bindir
    dump = subprocess.run([tools / "pg_dump", "--no-owner", source], check=True, capture_output=True)
    subprocess.run(
        [tools / "psql", "--quiet", "--no-psqlrc", "-v", "ON_ERROR_STOP=1", there],
        input=dump.stdout, check=True, capture_output=True,
    )  # fmt: skip
    with psycopg.connect(source) as first, psycopg.connect(there) as second:
        return comparable(schema.read(first), schema.read(second), grants=True)


def test_a_dump_gives_it_all_back(each_server: Server, each_database: MakeDatabase) -> None:
    endpoint, copy = each_database(), each_database()
    with superuser(each_server, endpoint) as conn:
        conn.execute(RARE.encode())
        conn.execute(ANEW)
        conn.execute(
            "ALTER VIEW shown ALTER n SET DEFAULT one();"
            "ALTER MATERIALIZED VIEW kept ALTER body SET STORAGE EXTERNAL, ALTER n SET STATISTICS 7;"
            "ALTER INDEX item_sum ALTER 1 SET STATISTICS 7;"
            "ALTER TABLE parted_1 DISABLE TRIGGER touched, DISABLE TRIGGER checked;"
            "ALTER FUNCTION one() DEPENDS ON EXTENSION plpgsql; ALTER INDEX item_sum DEPENDS ON EXTENSION plpgsql;"
            "ALTER TRIGGER touched ON parted DEPENDS ON EXTENSION plpgsql"
        )
    here, there = restored(each_server, endpoint, copy)
    assert diff(here, there).lines() == ()


OPERATORS = """
CREATE SCHEMA ops;
CREATE FUNCTION ops.same(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR ops.= (PROCEDURE = ops.same, LEFTARG = int, RIGHTARG = int);
CREATE FUNCTION ops.twice(bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE public.item (id int, n int, m int DEFAULT 1, CHECK (ops.twice(n) > 1));
CREATE TABLE public.other (id int, z int);
CREATE INDEX item_twice ON public.item (ops.twice(n));
SET search_path = {};
"""
WITH_TEXT = {
    "view public.v": "CREATE VIEW public.v AS SELECT id, n IS DISTINCT FROM m AS x FROM public.item",
    "view public.w": "CREATE VIEW public.w AS SELECT id, CASE n WHEN m THEN 1 END AS x FROM public.item",
    "view public.j": "CREATE VIEW public.j AS SELECT id FROM public.item JOIN public.other USING (id)",
    "view public.r": "CREATE VIEW public.r AS SELECT 1 AS x FROM public.item WHERE (id, n) IS DISTINCT FROM (3, 3)",
    "materialized_view public.m": "CREATE MATERIALIZED VIEW public.m AS SELECT NULLIF(n, m) AS x FROM public.item",
    "constraint public.item.k": "ALTER TABLE public.item ADD CONSTRAINT k CHECK (n IS DISTINCT FROM m)",
    "trigger public.item.t": "CREATE TRIGGER t BEFORE UPDATE ON public.item FOR EACH ROW"
    " WHEN (OLD.n IS DISTINCT FROM NEW.n) EXECUTE FUNCTION public.touch()",
    "policy public.item.p": "CREATE POLICY p ON public.item USING (n IS DISTINCT FROM m)",
    "rule public.other.r": "CREATE RULE r AS ON UPDATE TO public.other WHERE OLD.z IS DISTINCT FROM NEW.z DO NOTHING",
    "column public.item.d": "ALTER TABLE public.item ADD d int DEFAULT NULLIF(1, 2)",
    "column public.item.g":
        "ALTER TABLE public.item ADD g boolean GENERATED ALWAYS AS (n IS DISTINCT FROM m) STORED",
    "index public.i": "CREATE INDEX i ON public.item (id) WHERE n IS DISTINCT FROM m",
    "index public.e": "CREATE INDEX e ON public.item ((NULLIF(n, m)))",
    "statistics public.s": "CREATE STATISTICS public.s ON (NULLIF(n, m)), id FROM public.item",
    "function public.f(a integer)":
        "CREATE FUNCTION public.f(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT NULLIF(a, 1); END",
    "function public.d(a integer)":
        "CREATE FUNCTION public.d(a int DEFAULT NULLIF(1, 2)) RETURNS int LANGUAGE sql AS 'SELECT a'",
    "type public.limited": "CREATE DOMAIN public.limited AS int CHECK (VALUE IS DISTINCT FROM 3)",
    "type public.filled": "CREATE DOMAIN public.filled AS int DEFAULT NULLIF(1, 2)",
    "table public.parted":
        "CREATE TABLE public.parted (a int, b int) PARTITION BY RANGE ((NULLIF(a, b)))",
}  # fmt: skip


def with_operators(server: Server, make: MakeDatabase, path: str, *texts: str) -> Endpoint:
    endpoint = make()
    with superuser(server, endpoint) as conn:
        conn.execute(OPERATORS.format(path).encode())
        for text in texts:
            conn.execute(text.encode())
    return endpoint


def test_the_operator_that_no_text_has_is_told(each_server: Server, each_database: MakeDatabase) -> None:
    both = []
    for path in ("pg_catalog", "ops, pg_catalog"):
        with superuser(each_server, with_operators(each_server, each_database, path, *WITH_TEXT.values())) as conn:
            both.append(schema.read(conn))
    found = diff(*both)
    assert set(found.lines()) == {f"+ used by {name}: operator ops.=(integer,integer)" for name in WITH_TEXT}
    assert {f"{change.sign} {change.kind} {change.name}" for change in found.essential().changes} == {
        f"~ {name}" for name in WITH_TEXT
    }


def test_a_dump_that_loses_the_operator_is_no_copy(each_server: Server, each_database: MakeDatabase) -> None:
    endpoint = with_operators(each_server, each_database, "ops, pg_catalog", WITH_TEXT["view public.v"])
    here, there = restored(each_server, endpoint, each_database())
    assert diff(here, there).lines() == ("- used by view public.v: operator ops.=(integer,integer)",)


def test_functions_of_ones_own_come_back(each_server: Server, each_database: MakeDatabase) -> None:
    endpoint = with_operators(
        each_server, each_database, "pg_catalog",
        "CREATE VIEW public.v AS SELECT ops.twice(n) AS t, n OPERATOR(ops.=) m AS x FROM public.item",
        "CREATE VIEW public.upon AS SELECT * FROM public.v WHERE ops.twice(t) > 1",
        "ALTER VIEW public.v ALTER t SET DEFAULT ops.twice(3)",
        "CREATE TABLE public.parted (a int DEFAULT ops.twice(1), CHECK (ops.twice(a) > 1)) PARTITION BY LIST (a)",
        "CREATE TABLE public.part PARTITION OF public.parted FOR VALUES IN (1)",
        "CREATE INDEX ON public.parted (ops.twice(a))",
        "CREATE FUNCTION public.f(a int) RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT ops.twice(a); END",
        "CREATE DOMAIN public.limited AS int DEFAULT ops.twice(3)::int CHECK (ops.twice(VALUE) > 3)",
        "CREATE TABLE public.ruled (l public.limited, g bigint GENERATED ALWAYS AS (ops.twice(id)) STORED, id int)",
        "CREATE POLICY p ON public.item USING (ops.twice(n) > 1)",
        "CREATE STATISTICS public.s ON (ops.twice(n)), id FROM public.item",
    )  # fmt: skip
    here, there = restored(each_server, endpoint, each_database())
    assert diff(here, there).lines() == ()
    assert here.objects["used_by"]["column public.ruled.g"] == "function ops.twice(bigint)"
    assert here.part_of["used_by column public.ruled.g"] == "table public.ruled"
