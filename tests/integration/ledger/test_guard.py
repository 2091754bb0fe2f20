"""A migration that reaches for its own ledger, in ways that no analysis of its text can see, is stopped before it
commits; and what lies in the ledger's schema is compared with what the engine has made there, not with what it was."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from migrator.database.session import Endpoint
from migrator.errors import LedgerTampered, LockNotAvailable, MigratorError
from migrator.ledger.ledger import Ledger
from migrator.plan import Plan
from tests.factories import plan_from_sql
from tests.integration.ledger.history import history, problems_of
from tests.integration.stages import apply_all, query, roll_back, row_of, verify_it

DOUBLES = """
CREATE FUNCTION public.double() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER double AFTER INSERT ON migrator.schema_migration_reviews FOR EACH ROW EXECUTE FUNCTION public.double()
"""

FORGES = """
DO $do$
DECLARE
    head record;
    body jsonb := '{"plan_digest": "sha256:p", "evidence_digest": "sha256:e", "reviewer": "bob", "decision": "approved",
                    "reviewer_email": "bob@example.com", "reason": "fine", "expires_at": null}';
    moment timestamptz := date_trunc('microseconds', clock_timestamp());
    link text;
BEGIN
    SELECT head_count, head_hash INTO head FROM migrator.ledger_identity;
    link := 'sha256:' || encode(sha256(convert_to('[' || concat_ws(', ', head.head_count + 1,
        to_json(to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')), '"review"', '"002_next"',
        '"r"', '"bob"', to_json(body::text), to_json(head.head_hash)) || ']', 'UTF8')), 'hex');
    INSERT INTO migrator.schema_migration_events
    VALUES (head.head_count + 1, moment, 'review', '002_next', 'r', 'bob', body, head.head_hash, link);
    UPDATE migrator.ledger_identity SET head_count = head_count + 1, head_hash = link;
    INSERT INTO migrator.schema_migration_reviews (version, plan_digest, evidence_digest, reviewer, reviewer_email,
        decision, reason, decided_at, run_id, event_id)
    VALUES ('002_next', 'sha256:p', 'sha256:e', 'bob', 'bob@example.com', 'approved', 'fine', moment, 'r',
        head.head_count + 1);
END $do$
"""

RESUMES = """
DO $do$
DECLARE
    head record;
    body jsonb := '{"reason": "fine"}';
    moment timestamptz := date_trunc('microseconds', clock_timestamp());
    link text;
BEGIN
    SELECT head_count, head_hash INTO head FROM migrator.ledger_identity;
    link := 'sha256:' || encode(sha256(convert_to('[' || concat_ws(', ', head.head_count + 1,
        to_json(to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')), '"resume"', '"001_test"',
        '"r"', '"bob"', to_json(body::text), to_json(head.head_hash)) || ']', 'UTF8')), 'hex');
    INSERT INTO migrator.schema_migration_events
    VALUES (head.head_count + 1, moment, 'resume', '001_test', 'r', 'bob', body, head.head_hash, link);
    UPDATE migrator.ledger_identity SET head_count = head_count + 1, head_hash = link;
END $do$
"""

ATTACKS = {
    "a trigger that doubles approvals": DOUBLES,
    "a forged review with the right hash": FORGES,
    "a forged word of a person with the right hash": RESUMES,
    "a guard taken off and put on again": (
        "ALTER TABLE migrator.schema_migration_events DISABLE TRIGGER append_only;"
        " UPDATE migrator.schema_migration_events SET actor = 'nobody' WHERE id = 1;"
        " ALTER TABLE migrator.schema_migration_events ENABLE ALWAYS TRIGGER append_only"
    ),
    "a guard that fires no more": "ALTER TABLE migrator.schema_migration_events DISABLE TRIGGER USER",
    "a guard that fires for some": "ALTER TABLE migrator.schema_migration_events ENABLE TRIGGER append_only",
    "a guard that says yes": (
        "CREATE OR REPLACE FUNCTION migrator.refuse_change() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN RETURN NULL; END'"
    ),
    "a rule": "CREATE RULE none AS ON DELETE TO migrator.schema_migration_steps DO INSTEAD NOTHING",
    "row security": "ALTER TABLE migrator.schema_migration_reviews ENABLE ROW LEVEL SECURITY",
    "forced row security": (
        "ALTER TABLE migrator.schema_migration_reviews FORCE ROW LEVEL SECURITY;"
        " CREATE POLICY p ON migrator.schema_migration_reviews USING (reviewer <> 'ann')"
    ),
    "a default": "ALTER TABLE migrator.schema_migration_reviews ALTER decision SET DEFAULT 'approved'",
    "a column": "ALTER TABLE migrator.schema_migration_reviews ADD extra text DEFAULT clock_timestamp()::text",
    "a constraint less": "ALTER TABLE migrator.schema_migration_reviews DROP CONSTRAINT"
    " schema_migration_reviews_event_id_key",
    "an index less": "DROP INDEX migrator.schema_migrations_one_running",
    "an index that runs code": "CREATE INDEX spy ON migrator.schema_migration_reviews (lower(reviewer))",
    "statistics that run code": "CREATE STATISTICS migrator.s ON (lower(reviewer)), id"
    " FROM migrator.schema_migration_reviews",
    "a child that adds rows": "CREATE TABLE public.more () INHERITS (migrator.schema_migration_reviews)",
    "an existing child": (
        "CREATE TABLE public.more (LIKE migrator.schema_migration_events INCLUDING ALL);"
        " ALTER TABLE public.more INHERIT migrator.schema_migration_events"
    ),
    "a view to write through": "CREATE VIEW public.v AS SELECT * FROM migrator.schema_migrations",
    "a foreign key onto it": "CREATE TABLE public.mine (id bigint REFERENCES migrator.schema_migration_events)",
    "a standard function over it": (
        "CREATE FUNCTION public.f() RETURNS void LANGUAGE sql BEGIN ATOMIC DELETE FROM migrator.schema_migrations; END"
    ),
    "a table of its own there": "CREATE TABLE migrator.mine (id int)",
    "a type there": "CREATE DOMAIN migrator.d AS int",
    "an operator there": ("CREATE OPERATOR migrator.=== (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int)"),
    "a cast of its rows": (
        "CREATE FUNCTION public.c(migrator.schema_migrations) RETURNS text LANGUAGE sql AS $$SELECT 'x'$$;"
        " CREATE CAST (migrator.schema_migrations AS text) WITH FUNCTION public.c(migrator.schema_migrations)"
    ),
    "a grant": "GRANT UPDATE ON migrator.schema_migrations TO PUBLIC",
    "a grant on a column": "GRANT UPDATE (status) ON migrator.schema_migrations TO PUBLIC",
    "a grant on the schema": "GRANT CREATE ON SCHEMA migrator TO PUBLIC",
    "grants to come": "ALTER DEFAULT PRIVILEGES IN SCHEMA migrator GRANT INSERT ON TABLES TO PUBLIC",
    "a row of the past": "UPDATE migrator.schema_migrations SET checksum = 'sha256:other'",
    "a row that is locked": "SELECT 1 FROM migrator.ledger_identity FOR UPDATE",
    "a table that is locked": "LOCK TABLE migrator.schema_migrations",
    "all rows": "TRUNCATE migrator.schema_migration_steps",
    "another place": "ALTER TABLE migrator.schema_migrations SET SCHEMA public",
    "another name": "ALTER SCHEMA migrator RENAME TO other",
    "none at all": "DROP SCHEMA migrator CASCADE",
    "the identity's sequence": "ALTER TABLE migrator.schema_migration_reviews ALTER id SET INCREMENT BY 5",
    "rows that are not logged": "ALTER TABLE migrator.schema_migration_reviews DROP CONSTRAINT"
    " schema_migration_reviews_event_id_fkey; ALTER TABLE migrator.schema_migration_reviews SET UNLOGGED",
}


def hidden(attack: str, *, first: str = "CREATE TABLE public.wanted (id int);\n") -> Plan:
    """The attack where no reader of the text finds it: its letters are put together when it runs."""
    parts = attack.replace("migrator.", "~.").replace("migrator", "~").replace("ledger_", "`")
    text = f"replace(replace($x${parts}$x$, '~', 'migra' || 'tor'), '`', 'led' || 'ger_')"
    body = f"DO $outer$ BEGIN EXECUTE {text}; END $outer$;"
    return plan_from_sql(first + body, "DROP TABLE public.wanted;", version="002_next")


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_nothing_of_it_commits(database: Endpoint, superuser: str, attack: str) -> None:
    history(database)
    with psycopg.connect(superuser) as conn:
        before = shape_of(conn)
    plan = hidden(attack)
    with pytest.raises(LedgerTampered, match="reached for its own ledger"):
        apply_all(plan, database)
    assert query(database, "SELECT to_regclass('public.wanted')") == [(None,)], "the migration is rolled back whole"
    with psycopg.connect(superuser) as conn:
        assert shape_of(conn) == before
    assert problems_of(database) == ()
    row = row_of(plan, database)
    assert row is not None
    assert row.applied_at is None


@pytest.mark.parametrize("attack", [DOUBLES, FORGES], ids=["trigger", "forged"])
def test_nor_of_a_rollback_script(database: Endpoint, attack: str) -> None:
    history(database)
    forwards = plan_from_sql("CREATE TABLE wanted (id int);", "DROP TABLE wanted;", version="002_next")
    undoes = replace(forwards, rollback_steps=hidden(attack, first="DROP TABLE wanted;\n").steps)
    apply_all(undoes, database)
    with pytest.raises(MigratorError, match="reached for its own ledger"):
        roll_back(undoes, database, force=True)
    assert query(database, "SELECT to_regclass('public.wanted') IS NULL") == [(False,)]
    assert problems_of(database) == ()


def test_a_trigger_that_waits_for_the_commit(database: Endpoint) -> None:
    """A deferred trigger runs at COMMIT, after the ledger was looked at: so it is made to run before."""
    history(database)
    attack = "UPDATE migrator.schema_migrations SET checksum = 'sha256:other'".replace("migrator", "~")
    plan = plan_from_sql(
        f"""CREATE TABLE wanted (id int);
        CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $f$
        BEGIN EXECUTE replace($x${attack}$x$, '~', 'migra' || 'tor'); RETURN NULL; END $f$;
        CREATE CONSTRAINT TRIGGER later AFTER INSERT ON wanted DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION later();
        INSERT INTO wanted VALUES (1);""",
        version="002_next",
    )
    with pytest.raises(LedgerTampered, match="schema_migrations"):
        apply_all(plan, database)
    assert problems_of(database) == ()


def test_a_trigger_that_defers_another_one(database: Endpoint) -> None:
    """What is put off again while it is made to run cannot be seen beforehand; it is seen right after."""
    history(database)
    attack = "UPDATE migrator.schema_migrations SET checksum = 'sha256:other'".replace("migrator", "~")
    plan = plan_from_sql(
        f"""CREATE TABLE wanted (id int);
        CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $f$
        BEGIN
            IF new.id > 0 THEN
                SET CONSTRAINTS ALL DEFERRED; INSERT INTO public.wanted VALUES (0);
            ELSE
                EXECUTE replace($x${attack} WHERE version = '001_test'$x$, '~', 'migra' || 'tor');
            END IF;
            RETURN NULL;
        END $f$;
        CREATE CONSTRAINT TRIGGER later AFTER INSERT ON wanted DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION later();
        INSERT INTO wanted VALUES (1);""",
        version="002_next",
    )
    with pytest.raises(LedgerTampered, match="its COMMIT has written to schema_migrations"):
        apply_all(plan, database)
    row = row_of(plan, database)
    assert row is not None
    assert row.verified_at is None


def test_a_deferred_trigger_finds_its_tables(database: Endpoint) -> None:
    """It runs with the path of the statements, not with the engine's, in which it would find nothing."""
    plan = plan_from_sql(
        """CREATE TABLE wanted (id int); CREATE TABLE notes (id int);
        CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS
        $f$ BEGIN INSERT INTO notes VALUES (new.id); RETURN NULL; END $f$;
        CREATE CONSTRAINT TRIGGER later AFTER INSERT ON wanted DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION later();
        INSERT INTO wanted VALUES (7);"""
    )
    apply_all(plan, database)
    verify_it(plan, database)
    assert query(database, "SELECT id FROM notes") == [(7,)]


def test_a_procedure_that_commits(database: Endpoint) -> None:
    """Nobody writes to the ledger while it runs: it waits, and fails, and nothing more runs."""
    history(database)
    text = "CREATE INDEX spy ON ~.schema_migration_reviews (lower(reviewer))"
    plan = plan_from_sql(
        f"""CREATE PROCEDURE p() LANGUAGE plpgsql AS $p$
        BEGIN EXECUTE replace($x${text}$x$, '~', 'migra' || 'tor'); COMMIT; END $p$;
        CALL p();
        CREATE TABLE after_it (id int);""",
        version="002_next",
        transaction=False,
    )
    with pytest.raises(LockNotAvailable):
        apply_all(plan, database)
    assert query(database, "SELECT to_regclass('public.after_it')") == [(None,)]
    with Ledger(database) as ledger:
        ledger.check()


def test_a_procedure_that_approves_itself(database: Endpoint) -> None:
    history(database)
    forged = FORGES.replace("migrator.", "~.").replace("$do$", "$d$")
    plan = plan_from_sql(
        f"""CREATE PROCEDURE p() LANGUAGE plpgsql AS $p$
        BEGIN EXECUTE replace($x${forged}$x$, '~', 'migra' || 'tor'); COMMIT; END $p$;
        CALL p();""",
        version="002_next",
        transaction=False,
    )
    with pytest.raises(LockNotAvailable):
        apply_all(plan, database)
    assert query(database, "SELECT count(*) FROM migrator.schema_migration_reviews WHERE version = '002_next'") == [
        (0,)
    ]


def test_reading_is_no_harm(database: Endpoint) -> None:
    """For what no analysis sees: a loop over all tables, say. It changes nothing, and it keeps nobody waiting."""
    history(database)
    plan = hidden("SELECT count(*) FROM migrator.schema_migrations")
    apply_all(plan, database)
    verify_it(plan, database)


OF_SUPERUSERS = {
    "another owner": "ALTER TABLE migrator.schema_migrations OWNER TO pg_monitor",
    "all its owner has": "REASSIGN OWNED BY migrator TO pg_monitor",
    "another owner of the function": "ALTER FUNCTION migrator.refuse_change() OWNER TO pg_monitor",
    "another owner of the schema": "ALTER SCHEMA migrator OWNER TO pg_monitor",
    "no foreign keys": "ALTER TABLE migrator.schema_migration_reviews DISABLE TRIGGER ALL",
    "no foreign keys for now": (
        "SET LOCAL session_replication_role = replica; DELETE FROM migrator.schema_migration_steps"
    ),
    "an event trigger": (
        "CREATE FUNCTION public.e() RETURNS event_trigger LANGUAGE plpgsql AS $x$"
        " BEGIN INSERT INTO migrator.schema_migrations SELECT NULL; END $x$;"
        " CREATE EVENT TRIGGER e_of_tests ON ddl_command_end EXECUTE FUNCTION public.e();"
        " DROP EVENT TRIGGER e_of_tests; CREATE EVENT TRIGGER e_of_tests ON sql_drop EXECUTE FUNCTION public.e()"
    ),
}


@pytest.mark.parametrize("attack", OF_SUPERUSERS.values(), ids=OF_SUPERUSERS)
def test_nor_where_the_engine_is_a_superuser(database: Endpoint, superuser: str, attack: str) -> None:
    """Its ledger is not better guarded by its rights than by what is looked at."""
    history(database)
    with pytest.raises(LedgerTampered, match="reached for its own ledger"):
        apply_all(hidden(attack.replace("$x$", "$z$")), replace(database, conninfo=superuser))
    with Ledger(database) as ledger:
        ledger.check()


def test_a_cursor_that_outlives_the_transaction(database: Endpoint) -> None:
    """Its query runs at COMMIT, when everything has been looked at."""
    history(database)
    text = "UPDATE ~.schema_migrations SET checksum = 'sha256:other'"
    plan = plan_from_sql(
        f"""CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $f$
        BEGIN EXECUTE replace($x${text}$x$, '~', 'migra' || 'tor'); RETURN 1; END $f$;
        DECLARE c CURSOR WITH HOLD FOR SELECT f();""",
        version="002_next",
    )
    with pytest.raises(LedgerTampered, match="'c' WITH HOLD"):
        apply_all(plan, database)


def shape_of(conn: psycopg.Connection) -> list[tuple[str, ...]]:
    return conn.execute(
        "SELECT c.relname, c.relacl::text, c.relowner::regrole::text, c.relrowsecurity, c.relhasrules,"
        " (SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = c.oid)"
        " FROM pg_class c WHERE c.relnamespace = 'migrator'::regnamespace ORDER BY 1"
    ).fetchall()


LEADS_THERE = ("RESET search_path", "SELECT set_config('search_path', 'migra' || 'tor, public', false)")


@pytest.mark.parametrize("path", LEADS_THERE)
def test_a_path_that_leads_to_the_ledger_is_named(database: Endpoint, path: str) -> None:
    """Nobody has meant to reach for it: the role is called as the ledger's schema is."""
    with pytest.raises(LedgerTampered, match=r"search_path was .*(user|migrator).*write the schema before the names"):
        apply_all(plan_from_sql(f"{path}; CREATE TABLE u (id int);"), database)
    assert problems_of(database) == ()


def test_another_way_of_quoting_accuses_nobody(database: Endpoint) -> None:
    quoting = "SET quote_all_identifiers = on;"
    apply_all(plan_from_sql(f"{quoting} CREATE TABLE a (id int);"), database)
    verify_it(plan_from_sql(f"{quoting} CREATE TABLE a (id int);"), database)
    apply_all(plan_from_sql(f"{quoting} VACUUM; CREATE TABLE b (id int);", version="002_next"), database)
