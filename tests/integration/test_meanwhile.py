"""What others change while a step is executed: which changes are seen, and in which moments."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from migrator.database import queries, session
from migrator.database.session import Endpoint
from migrator.embedded.server import Server
from migrator.errors import DriftDetected, MigratorError, NeedsHuman, TransientError
from migrator.ledger.rows import MigrationStatus
from migrator.steps.meanwhile import Meanwhile
from migrator.steps.piecewise import Keeper
from migrator.steps.session_state import SessionState
from migrator.steps.undo_decision import Action
from tests.factories import plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, query, roll_back, row_of
from tests.integration.test_between_steps import Prepared, rehearsed, step, wait_for_lock

pytestmark = pytest.mark.usefixtures("queues_at_once")

RUNS_NOTHING = """
pg_authid: its columns by their content in pg_roles, because nobody else may read it
pg_user_mapping: by its content in pg_user_mappings, because nobody else may read it
pg_depend pg_shdepend: what belongs to what, written by every other change
pg_description pg_shdescription pg_seclabel pg_shseclabel: words
pg_init_privs: what extensions have given, which is in each object's own rights as well
pg_largeobject pg_largeobject_metadata: rows of data
pg_parameter_acl: which settings a role may change; our sessions have theirs before the gates look
pg_publication pg_publication_rel pg_publication_namespace pg_subscription pg_subscription_rel pg_replication_origin:
    what others are sent
pg_statistic pg_statistic_ext_data: how many rows there are, written by every ANALYZE
pg_tablespace: where files lie
"""
"""What a migration's statements do is decided elsewhere, or it is asked about in another way."""


def test_every_catalog_is_asked_about_or_left_out_for_a_reason(each_server: Server) -> None:
    asked = queries.load("migrator.steps", "meanwhile")["written"]
    made = re.findall(r"FROM pg_catalog\.(\w+)", asked[asked.index("made AS") : asked.index("found AS")])
    left_out = re.findall(r"\bpg_\w+(?=[^:]*:)", RUNS_NOTHING)
    with psycopg.connect(each_server.conninfo()) as conn:
        rows = conn.execute(
            "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'pg_catalog'::regnamespace"
        ).fetchall()
    assert {name for (name,) in rows} - set(made) - set(left_out) == set()
    assert set(made) & set(left_out) == set()


THERE = """
CREATE TYPE state AS ENUM ('active', 'cancelled');
CREATE TYPE pair AS (a int, b int);
CREATE SEQUENCE ids;
CREATE COLLATION ours (provider = libc, locale = 'C');
CREATE TEXT SEARCH CONFIGURATION words (COPY = pg_catalog.english);
CREATE TEXT SEARCH DICTIONARY stems (TEMPLATE = pg_catalog.simple);
CREATE FOREIGN DATA WRAPPER wrapper;
CREATE SERVER far FOREIGN DATA WRAPPER wrapper OPTIONS (dbname 'here');
CREATE USER MAPPING FOR migrator SERVER far OPTIONS (password 'one');
CREATE FOREIGN TABLE distant (id int) SERVER far OPTIONS (table_name 'here');
CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE total (int) (sfunc = int4pl, stype = int);
CREATE TYPE span AS RANGE (subtype = int);
CREATE TABLE parted (id int) PARTITION BY LIST (id);
CREATE VIEW seen AS SELECT 1 AS a;
ALTER FUNCTION one() OWNER TO migrator;
"""
EXCHANGES = {
    "labels of type public.state": "ALTER TYPE state RENAME VALUE 'active' TO 'x';"
    " ALTER TYPE state RENAME VALUE 'cancelled' TO 'active'; ALTER TYPE state RENAME VALUE 'x' TO 'cancelled'",
    "type public.pair": "ALTER TYPE pair RENAME ATTRIBUTE a TO x; ALTER TYPE pair RENAME ATTRIBUTE b TO a;"
    " ALTER TYPE pair RENAME ATTRIBUTE x TO b",
    "sequence public.ids": "ALTER SEQUENCE ids INCREMENT -1; ALTER SEQUENCE ids INCREMENT 1",
    "collation public.ours": "DROP COLLATION ours; CREATE COLLATION ours (provider = libc, locale = 'C')",
    "mapping of text search configuration public.words": "ALTER TEXT SEARCH CONFIGURATION words ALTER MAPPING FOR"
    " asciiword WITH simple; ALTER TEXT SEARCH CONFIGURATION words ALTER MAPPING FOR asciiword WITH english_stem",
    "text search dictionary public.stems": "ALTER TEXT SEARCH DICTIONARY stems (accept = false)",
    "server far": "ALTER SERVER far OPTIONS (SET dbname 'x'); ALTER SERVER far OPTIONS (SET dbname 'here')",
    "foreign table public.distant": "ALTER FOREIGN TABLE distant OPTIONS (SET table_name 'x')",
    "foreign-data wrapper wrapper": "ALTER FOREIGN DATA WRAPPER wrapper OPTIONS (debug 'true')",
    "user mapping for migrator on server far": "DROP USER MAPPING FOR migrator SERVER far;"
    " CREATE USER MAPPING FOR migrator SERVER far OPTIONS (password 'one')",
    "memberships of role migrator": "GRANT pg_read_all_data TO migrator",
    "role migrator": "ALTER ROLE migrator BYPASSRLS",
    "settings of role migrator": "ALTER ROLE migrator SET work_mem = '5MB'",
    "something in pg_db_role_setting": "DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = 5000',"
    " current_database()); END$$",
    "default privileges": "ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO migrator",
    "database": "DO $$BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO PUBLIC', current_database()); END$$",
    "function public.total": "CREATE OR REPLACE AGGREGATE total (int) (sfunc = int4mul, stype = int)",
    "type public.span": "ALTER TYPE span RENAME TO x; ALTER TYPE x RENAME TO span",
    "columns of table public.parted": "ALTER TABLE parted ADD a int; ALTER TABLE parted ALTER a TYPE bigint",
    "columns of view public.seen": "ALTER VIEW seen RENAME a TO x; ALTER VIEW seen RENAME x TO a",
    "table public.parted_1": "CREATE TABLE parted_1 PARTITION OF parted DEFAULT",
    "language other": "CREATE LANGUAGE other HANDLER plpgsql_call_handler",
    "conversion": "CREATE CONVERSION public.c FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1",
    "transform": "CREATE TRANSFORM FOR int LANGUAGE plpgsql (FROM SQL WITH FUNCTION prsd_lextype(internal))",
    "access method": "CREATE ACCESS METHOD other TYPE INDEX HANDLER bthandler",
    "cast": "CREATE CAST (pair AS text) WITH INOUT",
    "text search parser": "CREATE TEXT SEARCH PARSER p (START = prsd_start, GETTOKEN = prsd_nexttoken,"
    " END = prsd_end, LEXTYPES = prsd_lextype)",
    "text search template": "CREATE TEXT SEARCH TEMPLATE t (LEXIZE = dsimple_lexize)",
    "operator family": "CREATE OPERATOR FAMILY f USING btree",
    "fewer rows in pg_enum": "DROP TYPE state",
    "fewer rows in pg_user_mapping": "DROP USER MAPPING FOR migrator SERVER far",
}
PUT_BACK = "ALTER ROLE migrator NOBYPASSRLS; ALTER ROLE migrator RESET work_mem; REVOKE pg_read_all_data FROM migrator"


@pytest.fixture
def watched(server: Server, make_database: MakeDatabase) -> Iterator[tuple[Endpoint, psycopg.Connection[Any]]]:
    """A database, and a superuser's session with it."""
    database = make_database("watched")
    name = str(conninfo_to_dict(database.conninfo)["dbname"])
    with psycopg.connect(server.conninfo(name), autocommit=True) as conn:
        conn.execute(f"SET search_path = public; {THERE}".encode())
        yield database, conn
        conn.execute(PUT_BACK.encode())


def test_what_somebody_else_changes_is_seen_though_it_is_put_back(
    watched: tuple[Endpoint, psycopg.Connection[Any]],
) -> None:
    database, conn = watched
    unseen = {}
    for told, change in EXCHANGES.items():
        with Meanwhile(database) as meanwhile:
            meanwhile.require_unchanged()
            conn.execute(change.encode())
            try:
                meanwhile.require_unchanged()
                unseen[told] = "nothing"
            except DriftDetected as exc:
                if not any(told in one for one in exc.fields["differences"]):
                    unseen[told] = str(exc.fields["differences"])
    assert unseen == {}


def test_what_the_step_commits_itself_is_seen_by_nobody(
    server: Server, watched: tuple[Endpoint, psycopg.Connection[Any]]
) -> None:
    """Each in a transaction and a sub-transaction, as a superuser's migration would do it."""
    database, conn = watched
    own = replace(database, conninfo=conn.info.dsn + f" password={conn.info.password}")
    with Meanwhile(own) as meanwhile, session.connect(own, purpose="apply") as ours:
        for change in EXCHANGES.values():
            ours.execute("BEGIN; SET LOCAL search_path = public; SAVEPOINT s")
            ours.execute(change.encode())
            ours.execute("RELEASE s; SET LOCAL search_path = pg_catalog")
            with meanwhile.committing(ours):
                ours.execute("COMMIT")
        conn.execute("CREATE TEMP TABLE mine (a int DEFAULT 1)")
        meanwhile.require_unchanged()


def test_a_change_in_the_moment_of_a_commit_is_somebody_elses(database: Endpoint) -> None:
    with Meanwhile(database) as meanwhile, psycopg.connect(database.conninfo, autocommit=True) as ours:
        ours.execute("BEGIN; CREATE TABLE public.own (id int DEFAULT 1 PRIMARY KEY)")

        def commit() -> None:
            with meanwhile.committing(ours):
                ours.execute("COMMIT")
                query(database, "CREATE FUNCTION public.by_hand() RETURNS int LANGUAGE sql AS 'SELECT 1'")

        with pytest.raises(NeedsHuman, match=r"changed what COMMIT may run.*function public\.by_hand\(\)"):
            commit()


PRICE = "CREATE OR REPLACE FUNCTION public.price(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN {}; END'"
SCRIPT = f"""
CREATE TABLE orders (id int PRIMARY KEY, total int); INSERT INTO orders VALUES (1, 5); {PRICE.format("$1 * 2")};
"""


def test_a_change_right_after_a_statement_is_committed(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked of the session then takes long enough for whoever looks all the time."""
    sql = "CREATE TABLE more (id int); UPDATE orders SET total = price(total); VACUUM orders;"
    plan = plan_from_sql(sql, "DROP TABLE IF EXISTS more;", transaction=False)
    plan, bundle, database = rehearsed(make_database, plan, SCRIPT)
    seen = Keeper.seen

    def late(self: Keeper, position: int) -> SessionState:
        if query(database, "SELECT to_regclass('public.more')") != [(None,)] and position == 0:
            query(database, PRICE.format("666"))
        return seen(self, position)

    monkeypatch.setattr(Keeper, "seen", late)
    with pytest.raises(DriftDetected, match=r"somebody else has changed .*public\.price"):
        step(plan.steps[0].name, plan, bundle, database)
    assert query(database, "SELECT total FROM public.orders") == [(5,)]


@contextmanager
def stopped_at(database: Endpoint, doing: Future[Any], waits: str) -> Iterator[None]:
    deadline = time.monotonic() + 20
    while query(database, f"SELECT EXISTS ({waits})") == [(False,)]:
        assert time.monotonic() < deadline
        assert not doing.done(), doing.result()
    yield


def indexing(database: Endpoint, phase: str) -> str:
    name = conninfo_to_dict(database.conninfo)["dbname"]
    return f"SELECT FROM pg_stat_progress_create_index WHERE datname = '{name}' AND phase = '{phase}'"


def test_an_index_that_was_built_while_a_function_was_exchanged_is_dropped(make_database: MakeDatabase) -> None:
    """And the function put back, before the build ends: the index would keep its values for ever."""
    sql, back = "CREATE INDEX CONCURRENTLY by_price ON orders (price(total));", "DROP INDEX IF EXISTS by_price;"
    plan = plan_from_sql(sql, back, transaction=False)
    plan, bundle, database = rehearsed(make_database, plan, SCRIPT)
    with (
        psycopg.connect(database.conninfo) as writer,
        psycopg.connect(database.conninfo) as reader,
        ThreadPoolExecutor(1) as pool,
    ):
        writer.execute("LOCK TABLE public.orders IN ROW EXCLUSIVE MODE")
        doing = pool.submit(step, plan.steps[0].name, plan, bundle, database)
        with stopped_at(database, doing, indexing(database, "waiting for writers before build")):
            query(database, PRICE.format("666"))
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT 1")
        writer.rollback()
        with stopped_at(database, doing, indexing(database, "waiting for old snapshots")):
            query(database, PRICE.format("$1 * 2"))
        reader.rollback()
        with pytest.raises(DriftDetected, match=r"public\.price.*by_price.*, which was built meanwhile, is dropped"):
            doing.result()
    assert query(database, "SELECT to_regclass('public.by_price')") == [(None,)]
    step(plan.steps[0].name, plan, bundle, database)
    assert query(database, "SELECT to_regclass('public.by_price') IS NOT NULL") == [(True,)]


AT_COMMIT = """
CREATE TABLE orders (id int PRIMARY KEY, total int);
CREATE TABLE log (t int);
CREATE FUNCTION helper() RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_xact_lock_shared(77); PERFORM public.helper(); RETURN NULL; END $$;
CREATE FUNCTION early() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN SET CONSTRAINTS ALL DEFERRED; INSERT INTO public.log VALUES (1); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER early AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION early();
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON log DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late();
"""


@pytest.mark.parametrize("back", [False, True])
def test_what_commit_itself_runs_was_exchanged(back: bool, make_database: MakeDatabase) -> None:
    plan = plan_from_sql("INSERT INTO orders VALUES (1, 1);", "DELETE FROM log; DELETE FROM orders;")
    plan, bundle, database = rehearsed(make_database, plan, AT_COMMIT)
    helper = "CREATE OR REPLACE FUNCTION public.helper() RETURNS void LANGUAGE plpgsql AS 'BEGIN {} END'"
    with psycopg.connect(database.conninfo) as holder, ThreadPoolExecutor(1) as pool:
        holder.execute("SELECT pg_advisory_xact_lock(77)")
        doing = pool.submit(step, plan.steps[0].name, plan, bundle, database)
        waits = "SELECT FROM pg_locks WHERE NOT granted AND locktype = 'advisory' AND objid = 77"
        with stopped_at(database, doing, waits):
            query(database, helper.format("DELETE FROM public.log;"))
            if back:
                query(database, helper.format(""))
        holder.rollback()
        with pytest.raises(NeedsHuman, match=r"changed what COMMIT may run.*public\.helper"):
            doing.result()


TIDY = "CREATE OR REPLACE FUNCTION public.tidy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {} RETURN NEW; END'"
TIDIED = f"""
CREATE TABLE orders (id int PRIMARY KEY, total int, note text); INSERT INTO orders VALUES (1, 5); {TIDY.format("")};
CREATE TRIGGER tidy BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION tidy();
"""


@pytest.fixture
def backwards(make_database: MakeDatabase) -> Prepared:
    """A migration whose rollback script is not one transaction."""
    plan = plan_from_sql(
        "CREATE INDEX by_total ON orders (total); UPDATE orders SET total = total + 1;",
        "DROP INDEX CONCURRENTLY IF EXISTS by_total; UPDATE orders SET total = total - 1;",
    )
    plan, bundle, database = rehearsed(make_database, plan, TIDIED)
    apply_all(plan, database, bundle)
    return plan, bundle, database


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    "keeps, made",
    [
        ("LOCK TABLE public.orders IN ROW EXCLUSIVE MODE", TIDY.format("NEW.note := 1;")),
        ("CREATE TRIGGER more BEFORE INSERT ON public.orders FOR EACH ROW EXECUTE FUNCTION public.tidy()", "SELECT 1"),
    ],
    ids=["function", "trigger"],
)
def test_a_rollback_statement_by_statement_waits_while_somebody_changes_what_it_runs(
    force: bool, keeps: str, made: str, backwards: Prepared
) -> None:
    """Also one that a person has asked for, who knows what was there before it began."""
    plan, bundle, database = backwards
    with psycopg.connect(database.conninfo) as holder, ThreadPoolExecutor(1) as pool:
        holder.execute(keeps.encode())
        doing = pool.submit(roll_back, plan, database, bundle, force=force)
        dropping = "SELECT FROM pg_stat_activity WHERE query LIKE 'DROP INDEX CONC%' AND wait_event_type = 'Lock'"
        with stopped_at(database, doing, dropping):
            query(database, made)
        holder.commit()
        with pytest.raises(TransientError, match="somebody else has changed what it may run"):
            doing.result()
    assert query(database, "SELECT total FROM public.orders") == [(6,)]


def test_a_rollback_statement_by_statement_finds_its_own_work(backwards: Prepared) -> None:
    plan, bundle, database = backwards
    assert roll_back(plan, database, bundle).action is Action.ROLLED_BACK
    assert query(database, "SELECT total FROM public.orders") == [(5,)]


def test_a_forced_rollback_in_one_transaction_waits_as_well(make_database: MakeDatabase) -> None:
    sql, back = "UPDATE orders SET total = price(total);", "UPDATE orders SET total = price(total) / 4;"
    plan, bundle, database = rehearsed(make_database, plan_from_sql(sql, back), SCRIPT)
    apply_all(plan, database, bundle)
    with psycopg.connect(database.conninfo) as holder, ThreadPoolExecutor(1) as pool:
        holder.execute("LOCK TABLE public.orders IN SHARE MODE")
        doing = pool.submit(roll_back, plan, database, bundle, force=True)
        wait_for_lock(database, doing)
        query(database, PRICE.format("666"))
        query(database, PRICE.format("$1 * 2"))
        holder.rollback()
        with pytest.raises(TransientError, match="somebody else has changed what it may run"):
            doing.result()
    assert query(database, "SELECT total FROM public.orders") == [(10,)]


def test_a_procedure_that_commits_is_looked_at_afterwards(make_database: MakeDatabase) -> None:
    """Though it is the last statement: what it has run until then may be somebody else's."""
    script = f"""{SCRIPT} CREATE PROCEDURE all_of_them() LANGUAGE plpgsql AS $$
        BEGIN UPDATE orders SET total = price(total); COMMIT; PERFORM pg_advisory_xact_lock(78); END $$;"""
    plan = plan_from_sql("CALL all_of_them();", "SELECT 1;", transaction=False)
    plan, bundle, database = rehearsed(make_database, plan, script)
    with psycopg.connect(database.conninfo) as holder, ThreadPoolExecutor(1) as pool:
        holder.execute("SELECT pg_advisory_lock(78)")
        doing = pool.submit(step, plan.steps[0].name, plan, bundle, database)
        with stopped_at(database, doing, "SELECT FROM pg_locks WHERE NOT granted AND objid = 78"):
            query(database, PRICE.format("666"))
        holder.execute("SELECT pg_advisory_unlock(78)")
        with pytest.raises(MigratorError, match=r"(?s)what this step may run was changed.*public\.price"):
            doing.result()


CHANGES_ITSELF = f"""{SCRIPT} CREATE PROCEDURE changes() LANGUAGE plpgsql AS $$ BEGIN
    UPDATE orders SET total = price(total); COMMIT;
    PERFORM pg_advisory_xact_lock(78); COMMIT;
    ALTER TABLE orders DISABLE TRIGGER USER; ALTER TABLE orders ENABLE TRIGGER USER;
    CREATE OR REPLACE FUNCTION public.own() RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE TABLE public.kept (words text);
END $$; CREATE FUNCTION own() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TRIGGER nothing BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();"""


@pytest.mark.parametrize("exchanged", [False, True])
def test_what_a_procedure_has_put_back_itself_is_its_own(exchanged: bool, make_database: MakeDatabase) -> None:
    """The rehearsal has seen it write that, and nothing else."""
    plan = plan_from_sql("CALL changes();", "DROP TABLE kept;", transaction=False)
    plan, bundle, database = rehearsed(make_database, plan, CHANGES_ITSELF)
    with psycopg.connect(database.conninfo) as holder, ThreadPoolExecutor(1) as pool:
        holder.execute("SELECT pg_advisory_lock(78)")
        doing = pool.submit(step, plan.steps[0].name, plan, bundle, database)
        with stopped_at(database, doing, "SELECT 1 FROM pg_locks WHERE NOT granted AND objid = 78"):
            if exchanged:
                query(database, PRICE.format("666"))
                query(database, PRICE.format("$1 * 2"))
        holder.execute("SELECT pg_advisory_unlock(78)")
        if not exchanged:
            doing.result()
            return
        with pytest.raises(NeedsHuman, match=r"may have put it back: function public\.price\(integer\)\. "):
            doing.result()


def test_what_is_found_after_the_commit_of_a_rollback_is_told(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is rolled back, and not half undone."""
    plan, bundle, database = rehearsed(make_database, plan_from_sql("CREATE TABLE a (id int)", "DROP TABLE a"), SCRIPT)
    apply_all(plan, database, bundle)
    real = Meanwhile.committing

    @contextmanager
    def late(self: Meanwhile, conn: Any) -> Iterator[None]:
        with real(self, conn):
            yield
            query(database, PRICE.format("666"))

    monkeypatch.setattr(Meanwhile, "committing", late)
    with pytest.raises(NeedsHuman, match="while this was committed somebody else has changed"):
        roll_back(plan, database, bundle)
    row = row_of(plan, database)
    assert row is not None
    assert row.status is MigrationStatus.ROLLED_BACK
