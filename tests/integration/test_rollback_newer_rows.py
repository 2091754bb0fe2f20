"""Rows that others write after a migration are not thrown away by its rollback unless a person says so."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from migrator import documents
from migrator.database.session import Endpoint
from migrator.embedded.server import Server
from migrator.evidence import TAKES, EvidenceBundle
from migrator.gates.drift import start_of
from migrator.ledger.ledger import Ledger
from migrator.plan import Plan
from migrator.stages import apply
from migrator.steps import newer_rows
from migrator.steps.context import StepContext
from migrator.steps.undo_decision import Action
from tests.evidence import read_schema, rehearse
from tests.factories import plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.copies import make_copy
from tests.integration.copies import rehearse as on_a_copy
from tests.integration.stages import apply_all, make_target, outcome_of, query, roll_back, run_of

PRICES = """
CREATE TABLE prices (id int PRIMARY KEY, amount int);
INSERT INTO prices SELECT g, g FROM generate_series(1, 5) AS g;
CREATE TABLE days (day date) PARTITION BY RANGE (day);
CREATE TABLE codes (id int);
"""
SWAP = plan_from_sql(
    "CREATE TABLE prices_new (LIKE prices INCLUDING ALL); INSERT INTO prices_new SELECT * FROM prices;"
    "ALTER TABLE prices RENAME TO prices_old; ALTER TABLE prices_new RENAME TO prices;",
    "DROP TABLE prices; ALTER TABLE prices_old RENAME TO prices;",
)
INSERTED = "INSERT INTO prices VALUES (100, 7)"
BACKUP = "CREATE TABLE bak AS TABLE prices; UPDATE prices SET amount = amount * 100;"
UNBACKED = "DROP TABLE bak;"
PARTITION = "CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');"
CAUGHT = (
    "CREATE TABLE made (id int); DO $$BEGIN BEGIN INSERT INTO made VALUES (1); EXCEPTION WHEN others THEN NULL; END;"
    " END$$;"
)

FILLED = "ALTER TABLE prices ADD note text; UPDATE prices SET note = 'n';"
EMPTIED = "ALTER TABLE prices DROP note;"


def applied(plan: Plan, make_database: MakeDatabase) -> tuple[Endpoint, EvidenceBundle]:
    database, twin = make_database("newer", script=PRICES), make_database("twin", script=PRICES)
    bundle = rehearse(plan, database, twin)
    apply_all(plan, database, bundle)
    return database, bundle


@pytest.mark.parametrize(
    "plan, since, said",
    [
        pytest.param(SWAP, INSERTED, "1 row of public.prices", id="swapped"),
        pytest.param(SWAP, "UPDATE prices SET amount = 0", "5 rows of public.prices", id="updated"),
        pytest.param(
            plan_from_sql(BACKUP, "TRUNCATE prices; INSERT INTO prices SELECT * FROM bak; DROP TABLE bak;"),
            INSERTED,
            "1 row of public.prices",
            id="emptied",
        ),
        pytest.param(
            plan_from_sql(BACKUP, "DELETE FROM public.prices; INSERT INTO prices SELECT * FROM bak; DROP TABLE bak;"),
            INSERTED,
            "1 row of public.prices",
            id="deleted",
        ),
        pytest.param(
            plan_from_sql(BACKUP, "UPDATE prices SET amount = b.amount FROM bak b WHERE b.id = prices.id;" + UNBACKED),
            "UPDATE prices SET amount = 777 WHERE id = 2",
            "1 row of public.prices",
            id="overwritten",
        ),
        pytest.param(
            plan_from_sql(
                BACKUP,
                "INSERT INTO prices SELECT * FROM bak ON CONFLICT (id) DO UPDATE SET amount = excluded.amount;"
                + UNBACKED,
            ),
            "UPDATE prices SET amount = 777 WHERE id = 2",
            "1 row of public.prices",
            id="overwritten by INSERT",
        ),
        pytest.param(
            plan_from_sql(
                BACKUP,
                "WITH old AS (UPDATE prices SET amount = bak.amount FROM bak WHERE bak.id = prices.id RETURNING 1)"
                " INSERT INTO codes SELECT 1 FROM old WHERE false;" + UNBACKED,
            ),
            "UPDATE prices SET amount = 777 WHERE id = 2",
            "1 row of public.prices",
            id="overwritten by WITH",
        ),
        pytest.param(
            plan_from_sql(
                BACKUP,
                "CREATE VIEW seen AS SELECT id, amount AS worth FROM prices;"
                "UPDATE seen SET worth = bak.amount FROM bak WHERE bak.id = seen.id; DROP VIEW seen;" + UNBACKED,
            ),
            "UPDATE prices SET amount = 777 WHERE id = 2",
            "1 row of public.prices",
            id="overwritten through a view",
        ),
        pytest.param(
            plan_from_sql(
                "ALTER TABLE prices RENAME amount TO cents; UPDATE prices SET cents = cents * 100;",
                "UPDATE prices SET cents = cents / 100; ALTER TABLE prices RENAME cents TO amount;",
            ),
            "UPDATE prices SET cents = 777 WHERE id = 2",
            "1 row of public.prices",
            id="overwritten and renamed",
        ),
        pytest.param(
            plan_from_sql(
                "ALTER TABLE prices ADD note int;",
                "ALTER TABLE prices DROP note; ALTER TABLE prices RENAME amount TO note;"
                "UPDATE prices SET note = 1 WHERE id > 50; ALTER TABLE prices RENAME note TO amount;",
            ),
            INSERTED,
            "1 row of public.prices",
            id="overwritten under the name of a column that is dropped",
        ),
        pytest.param(
            plan_from_sql(
                "ALTER TABLE prices ADD note int;",
                "CREATE VIEW seen AS SELECT id, amount AS note FROM prices;"
                "UPDATE seen SET note = 1 WHERE id > 50; DROP VIEW seen; ALTER TABLE prices DROP note;",
            ),
            INSERTED,
            "1 row of public.prices",
            id="overwritten through a view that has the name of a column that is dropped",
        ),
        pytest.param(
            plan_from_sql(
                "ALTER TABLE prices ALTER amount TYPE text;",
                "ALTER TABLE prices ALTER amount TYPE int USING left(amount, 1)::int;",
            ),
            "INSERT INTO prices VALUES (100, '77')",
            "1 row of public.prices",
            id="cut off",
        ),
        pytest.param(
            plan_from_sql(
                "ALTER TABLE prices ALTER amount TYPE numeric(12, 4);",
                "ALTER TABLE prices RENAME amount TO cents; ALTER TABLE prices ALTER cents TYPE int;"
                "ALTER TABLE prices RENAME cents TO amount;",
            ),
            "INSERT INTO prices VALUES (100, 9.4321)",
            "1 row of public.prices",
            id="rounded",
        ),
        pytest.param(
            plan_from_sql("ALTER TABLE prices ADD note text;", "ALTER TABLE prices DROP note;"),
            "UPDATE prices SET note = 'x' WHERE id = 2",
            "1 row of public.prices (column note)",
            id="column dropped",
        ),
        pytest.param(
            plan_from_sql(
                "ALTER TABLE prices ADD note text, ADD more text;",
                "ALTER TABLE prices RENAME note TO was; DO $$ BEGIN EXECUTE 'ALTER TABLE prices DROP was'; END $$;"
                "ALTER TABLE prices DROP more;",
            ),
            "UPDATE prices SET note = 'x' WHERE id = 2; UPDATE prices SET more = 'x' WHERE id = 3",
            "2 rows of public.prices (columns note, more)",
            id="columns dropped under other names",
        ),
        pytest.param(
            plan_from_sql(
                "ALTER TABLE prices ADD kind text NOT NULL DEFAULT 'usual';", "ALTER TABLE prices DROP kind;"
            ),
            INSERTED + "; UPDATE prices SET kind = 'other' WHERE id = 2",
            "1 row of public.prices (column kind)",
            id="another value than the default dropped",
        ),
        pytest.param(
            plan_from_sql("ALTER TABLE prices ADD at timestamptz DEFAULT now();", "ALTER TABLE prices DROP at;"),
            INSERTED,
            "1 row of public.prices (column at)",
            id="a default dropped that is another each time",
        ),
        pytest.param(
            plan_from_sql(
                "ALTER TABLE prices RENAME amount TO amount_old; ALTER TABLE prices ADD amount bigint;"
                "UPDATE prices SET amount = amount_old;",
                "ALTER TABLE prices DROP amount; ALTER TABLE prices RENAME amount_old TO amount;",
            ),
            "UPDATE prices SET amount = 777 WHERE id = 2",
            "1 row of public.prices (column amount)",
            id="columns swapped",
        ),
        pytest.param(
            plan_from_sql(
                "ALTER TABLE prices ADD cents int;",
                "ALTER TABLE prices ADD spare int; UPDATE prices SET spare = cents;"
                "ALTER TABLE prices DROP spare; ALTER TABLE prices DROP cents;",
            ),
            "UPDATE prices SET cents = 777 WHERE id = 2",
            "1 row of public.prices (column cents)",
            id="moved to a column that is dropped as well",
        ),
        pytest.param(
            plan_from_sql(PARTITION, "DROP TABLE days_1;"),
            "INSERT INTO days VALUES ('2026-02-02')",
            "1 row of public.days_1",
            id="partition",
        ),
        pytest.param(
            plan_from_sql("CREATE TABLE made (id int);", "DROP TABLE IF EXISTS made;"),
            "INSERT INTO made SELECT generate_series(1, 2000)",
            "more than 1,000 rows of public.made",
            id="new table",
        ),
        pytest.param(
            plan_from_sql("CREATE TABLE made (id int);", "ALTER TABLE made RENAME TO gone; DROP TABLE gone;"),
            "INSERT INTO made VALUES (1)",
            "1 row of public.made",
            id="under another name",
        ),
        pytest.param(
            plan_from_sql("CREATE SCHEMA s; CREATE TABLE s.made (id int);", "DROP SCHEMA s CASCADE;"),
            "INSERT INTO s.made VALUES (1)",
            "1 row of s.made",
            id="schema",
        ),
        pytest.param(
            plan_from_sql("CREATE TABLE made (id int); VACUUM made;", "DROP TABLE made;"),
            "INSERT INTO made VALUES (1)",
            "1 row of public.made",
            id="one by one",
        ),
    ],
)
def test_rows_written_since_are_not_lost(make_database: MakeDatabase, plan: Plan, since: str, said: str) -> None:
    database, bundle = applied(plan, make_database)
    query(database, since)
    report = roll_back(plan, database, bundle)
    assert report.action is Action.HELD
    assert said in report.reason
    assert said in outcome_of(plan, database).text
    forced = roll_back(plan, database, bundle, force=True)
    assert (forced.action, forced.lost) == (Action.ROLLED_BACK, (said,))
    assert said in outcome_of(plan, database).text
    with Ledger(database) as ledger:
        assert "rollback_lost" in [event.kind for event in ledger.events()]


GROWN = plan_from_sql(
    "CREATE TABLE made (id int PRIMARY KEY, v int, filler text) WITH (fillfactor = 10);"
    "INSERT INTO made SELECT g, 0, repeat('x', 800) FROM size, generate_series(1, size.n) AS g;",
    "DROP TABLE made;",
)


def test_newer_values_at_the_start_of_a_large_table(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An UPDATE stays on the page of its row, and freezing does not hide who has written it. Where there is no time to
    read it all, nobody knows."""
    size = "CREATE TABLE size AS SELECT {} AS n"
    database, twin = (make_database(name, script=size.format(rows)) for name, rows in (("newer", 34_000), ("twin", 10)))
    bundle = rehearse(GROWN, database, twin)
    apply_all(GROWN, database, bundle)
    query(database, "UPDATE made SET v = 777 WHERE id <= 100")
    query(database, "VACUUM (FREEZE) made")
    report = roll_back(GROWN, database, bundle)
    assert report.action is Action.HELD
    assert "100 rows of public.made" in report.reason
    monkeypatch.setattr(newer_rows, "MOST_SECONDS", 0.0)
    report = roll_back(GROWN, database, bundle)
    assert report.action is Action.HELD
    assert "public.made (it could not be read within" in report.reason
    forced = roll_back(GROWN, database, bundle, force=True)
    assert "perhaps some of public.made" in forced.lost[0]
    assert "perhaps some of public.made" in outcome_of(GROWN, database).text


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param(["INSERT INTO codes VALUES (1)"], id="as a whole"),
        pytest.param(["INSERT INTO codes VALUES (1)", "SAVEPOINT a"], id="in a part that begins later"),
        pytest.param(["SAVEPOINT a", "INSERT INTO codes VALUES (2)"], id="in a part that had begun before"),
    ],
)
def test_newer_rows_of_a_transaction_that_had_begun_before(make_database: MakeDatabase, begun: list[str]) -> None:
    database, twin = (make_database(name, script=PRICES) for name in ("newer", "twin"))
    bundle = rehearse(SWAP, database, twin)
    with psycopg.connect(database.conninfo) as application:
        for sql in begun:
            application.execute(sql.encode())
        apply_all(SWAP, database, bundle)
        application.execute(INSERTED)
        application.commit()
    report = roll_back(SWAP, database, bundle)
    assert report.action is Action.HELD
    assert "1 row of public.prices" in report.reason


def test_newer_rows_of_a_subtransaction_that_had_ended_before(make_database: MakeDatabase) -> None:
    """Its number is older than the migration's, and no lock tells it any more; its table's lock is there still."""
    plan = plan_from_sql(
        "CREATE TABLE bak AS TABLE prices;", "TRUNCATE prices; INSERT INTO prices SELECT * FROM bak; DROP TABLE bak;"
    )
    database, twin = (make_database(name, script=PRICES) for name in ("newer", "twin"))
    bundle = rehearse(plan, database, twin)
    with psycopg.connect(database.conninfo) as application:
        for sql in ("INSERT INTO codes VALUES (1)", "SAVEPOINT a", INSERTED, "RELEASE a"):
            application.execute(sql.encode())
        apply_all(plan, database, bundle)
        application.commit()
    report = roll_back(plan, database, bundle)
    assert report.action is Action.HELD
    assert "1 row of public.prices" in report.reason


def test_newer_rows_between_two_steps(make_database: MakeDatabase) -> None:
    made = plan_from_sql("CREATE TABLE made (id int);", "DROP TABLE made;")
    filled = plan_from_sql("INSERT INTO made VALUES (1);")
    steps = (made.steps[0], replace(filled.steps[0], name="filled"))
    plan = replace(made, steps=steps)
    database, twin = (make_database(name, script=PRICES) for name in ("newer", "twin"))
    bundle = rehearse(plan, database, twin)
    with Ledger(database) as ledger:
        for step in plan.steps:
            apply.run_step(
                plan,
                step.name,
                endpoint=database,
                ledger=ledger,
                run=run_of(plan),
                target=make_target(),
                evidence=bundle,
            )
            query(database, "INSERT INTO made VALUES (2)")
    report = roll_back(plan, database, bundle)
    assert report.action is Action.HELD
    assert "2 rows of public.made" in report.reason


def test_a_step_of_an_older_engine(make_database: MakeDatabase) -> None:
    """It has not noted which transactions went on beside it."""
    database, bundle = applied(SWAP, make_database)
    query(database, "UPDATE migrator.schema_migration_steps SET cursor = cursor - 'others'")
    report = roll_back(SWAP, database, bundle)
    assert report.action is Action.HELD
    assert "an older engine" in report.reason


@pytest.mark.parametrize(
    "down",
    [
        "SELECT 1 FROM made LIMIT 0; DROP TABLE made;",
        "CREATE TABLE kept AS SELECT 1 FROM made LIMIT 0; DROP TABLE kept; DROP TABLE made;",
        "INSERT INTO prices SELECT * FROM made ON CONFLICT DO NOTHING; DROP TABLE made;",
        "DO $$ BEGIN DROP TABLE made; END $$;",
        "DO $$ BEGIN EXECUTE 'DROP TABLE ' || 'made'; END $$;",
        "DO $$ BEGIN EXECUTE 'TRUNCATE ' || 'made'; END $$;",
        "DO $$ BEGIN INSERT INTO made VALUES (1); DELETE FROM made WHERE true; END $$;",
        "DELETE FROM made WHERE true;",
        "DELETE FROM made WHERE id > 0;",
        "INSERT INTO made VALUES (0, 0); SELECT takes();",
        "WITH gone AS (DELETE FROM made RETURNING *) SELECT count(*) FROM gone;",
        "MERGE INTO made USING prices ON made.id = prices.id WHEN MATCHED THEN DELETE;",
        "DROP SCHEMA IF EXISTS nothing; ALTER TABLE made RENAME TO gone; DO $$ BEGIN DROP TABLE gone; END $$;",
    ],
)
def test_what_it_does_decides_and_not_how_it_is_written(make_database: MakeDatabase, down: str) -> None:
    """Also where there was nothing to delete when it was rehearsed."""
    function = "CREATE FUNCTION takes() RETURNS void LANGUAGE sql AS 'DELETE FROM made'"
    plan = plan_from_sql(f"CREATE TABLE made (id int, amount int); {function}", down)
    database, bundle = applied(plan, make_database)
    query(database, "INSERT INTO made VALUES (1, 1)")
    report = roll_back(plan, database, bundle)
    assert report.action is Action.HELD
    assert "1 row of public.made" in report.reason


def test_a_partition_and_a_table_of_a_schema_that_came_later(make_database: MakeDatabase) -> None:
    up = "CREATE TABLE parts (a int) PARTITION BY LIST (a); CREATE SCHEMA s;"
    plan = plan_from_sql(up, "DROP TABLE parts; DROP SCHEMA s CASCADE;")
    database, bundle = applied(plan, make_database)
    query(database, "CREATE TABLE public.part PARTITION OF parts DEFAULT; CREATE TABLE s.later (a int)")
    query(database, "INSERT INTO parts VALUES (1); INSERT INTO s.later VALUES (1)")
    with Ledger(database) as ledger:
        found = newer_rows.look(StepContext(database, ledger, plan, run_of(plan)), bundle.dry_run.extra[TAKES][""])
    assert sorted(found.rows.values()) == [1, 1]


EMPTIES = (
    "CREATE FUNCTION public.empties() RETURNS trigger LANGUAGE plpgsql AS"
    " 'BEGIN IF NEW.id > 50 THEN DELETE FROM public.prices WHERE id > 50; END IF; RETURN NULL; END';"
)


@pytest.mark.parametrize(
    "up, down",
    [
        pytest.param(
            EMPTIES + "CREATE TRIGGER empties AFTER INSERT ON codes FOR EACH ROW EXECUTE FUNCTION public.empties();",
            "INSERT INTO prices SELECT 1, 1 WHERE false; INSERT INTO codes SELECT 1 WHERE false;"
            "DROP TRIGGER empties ON codes; DROP FUNCTION public.empties();",
            id="a trigger of a table that gets no row",
        ),
        pytest.param(
            EMPTIES + "CREATE TRIGGER empties AFTER UPDATE ON codes FOR EACH ROW EXECUTE FUNCTION public.empties();"
            "CREATE FUNCTION touch() RETURNS void LANGUAGE sql BEGIN ATOMIC UPDATE codes SET id = id; END;",
            "SELECT touch(); DROP FUNCTION touch; DROP TRIGGER empties ON codes; DROP FUNCTION public.empties();",
            id="a trigger of what a function writes",
        ),
        pytest.param(
            "ALTER TABLE prices ADD CONSTRAINT big CHECK (amount < 1000);",
            "DO $$ BEGIN IF EXISTS (SELECT FROM prices WHERE amount < 0) THEN DELETE FROM prices WHERE amount < 0;"
            " END IF; END $$; ALTER TABLE prices DROP CONSTRAINT big;",
            id="a branch of a block",
        ),
        pytest.param(
            "CREATE FUNCTION mends() RETURNS void LANGUAGE plpgsql AS"
            " 'BEGIN IF false THEN UPDATE prices SET amount = 0; END IF; END';",
            "SELECT mends(); DROP FUNCTION mends;",
            id="a branch of a function",
        ),
    ],
)
def test_what_is_not_run_on_the_copy_is_read(make_database: MakeDatabase, up: str, down: str) -> None:
    plan = plan_from_sql(up, down)
    database, bundle = applied(plan, make_database)
    query(database, INSERTED)
    report = roll_back(plan, database, bundle)
    assert report.action is Action.HELD
    assert "1 row of public.prices" in report.reason


def test_what_is_taken_along_of_some_rows_alone_is_missed(make_database: MakeDatabase) -> None:
    plan = plan_from_sql(
        "ALTER TABLE prices ADD cents int;",
        "ALTER TABLE prices ADD worth int; UPDATE prices SET worth = cents WHERE id > 50;"
        "ALTER TABLE prices DROP cents;",
    )
    database, bundle = applied(plan, make_database)
    query(database, "UPDATE prices SET cents = 777 WHERE id = 2")
    report = roll_back(plan, database, bundle)
    assert report.action is Action.HELD
    assert "1 row of public.prices (column cents)" in report.reason


def test_values_in_a_partition_that_came_later(make_database: MakeDatabase) -> None:
    """The column that is dropped is the parent's; a partition may have others before it."""
    plan = plan_from_sql("ALTER TABLE days ADD note text;", "ALTER TABLE days DROP note;")
    database, bundle = applied(plan, make_database)
    query(database, "CREATE TABLE public.later (spare int, note text, day date NOT NULL)")
    query(database, "ALTER TABLE public.later DROP spare; ALTER TABLE days ATTACH PARTITION public.later DEFAULT")
    query(database, "INSERT INTO days VALUES ('2026-02-02', 'x'), ('2026-02-02', NULL)")
    with Ledger(database) as ledger:
        found = newer_rows.look(StepContext(database, ledger, plan, run_of(plan)), bundle.dry_run.extra[TAKES][""])
    assert (list(found.rows.values()), list(found.names.values())) == ([1], ["public.later (column note)"])


def test_a_default_that_would_run_what_others_have_made(make_database: MakeDatabase) -> None:
    """A domain's check is not run to see whether a value is the default; then any value counts."""
    up = (
        "CREATE FUNCTION fails(text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN $1 <> ''bad''; END';"
        "CREATE DOMAIN checked AS text CHECK (fails(VALUE)); ALTER TABLE prices ADD note text DEFAULT 'x'::checked;"
    )
    plan = plan_from_sql(up, "ALTER TABLE prices DROP note; DROP DOMAIN checked; DROP FUNCTION fails;")
    database, bundle = applied(plan, make_database)
    query(database, INSERTED)
    query(database, "CREATE OR REPLACE FUNCTION fails(text) RETURNS bool LANGUAGE plpgsql AS"
          " 'BEGIN RAISE EXCEPTION ''it was run''; END'")  # fmt: skip
    with Ledger(database) as ledger:
        found = newer_rows.look(StepContext(database, ledger, plan, run_of(plan)), bundle.dry_run.extra[TAKES][""])
    assert (list(found.rows.values()), found.unseen) == ([1], ())


def test_a_table_at_which_nobody_may_look(make_database: MakeDatabase, server: Server) -> None:
    """To read it would run functions of its owner."""
    plan = plan_from_sql("CREATE TABLE made (id int);", "DROP TABLE made;")
    database, bundle = applied(plan, make_database)
    query(database, "CREATE FUNCTION public.own(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';"
          " CREATE INDEX ON made (public.own(id))")  # fmt: skip
    with psycopg.connect(server.conninfo(str(conninfo_to_dict(database.conninfo)["dbname"]))) as conn:
        conn.execute("ALTER FUNCTION public.own(int) OWNER TO pg_monitor")
    known = replace(start_of(bundle), states=(), schema=read_schema(database))
    report = roll_back(plan, database, start=known)
    assert report.action is Action.HELD
    assert "nobody could look" in report.reason
    assert roll_back(plan, database, start=known, force=True).action is Action.ROLLED_BACK


def test_evidence_that_does_not_say_what_the_rollback_takes(make_database: MakeDatabase) -> None:
    plan = plan_from_sql("CREATE TABLE made (id int);", "DROP TABLE made;")
    database, bundle = applied(plan, make_database)
    older = replace(start_of(bundle), takes=None)
    assert roll_back(plan, database, start=older).action is Action.HELD


@pytest.mark.parametrize(
    "plan, since",
    [
        pytest.param(SWAP, "SELECT 1", id="nobody wrote"),
        pytest.param(SWAP, "INSERT INTO prices_old VALUES (100, 7)", id="another table"),
        pytest.param(plan_from_sql(CAUGHT, "DROP TABLE made;"), "SELECT 1", id="its own, in a part of the transaction"),
        pytest.param(plan_from_sql(CAUGHT + "VACUUM made;", "DROP TABLE made;"), "SELECT 1", id="its own, one by one"),
        pytest.param(plan_from_sql(FILLED, "UPDATE prices SET note = NULL;" + EMPTIED), INSERTED, id="updated"),
        pytest.param(
            plan_from_sql("INSERT INTO prices VALUES (7, 7);", "DELETE FROM prices WHERE id = 7;"),
            "SELECT 1",
            id="its own row",
        ),
        pytest.param(
            plan_from_sql(
                "ALTER TABLE prices ADD cents int; UPDATE prices SET cents = amount * 100;"
                "ALTER TABLE prices DROP amount;",
                "ALTER TABLE prices ADD amount int; UPDATE prices SET amount = cents / 100;"
                "ALTER TABLE prices DROP cents;",
            ),
            "INSERT INTO prices VALUES (100, 700)",
            id="moved to a new column",
        ),
        pytest.param(
            plan_from_sql("ALTER TABLE prices ALTER amount TYPE bigint;", "ALTER TABLE prices ALTER amount TYPE int;"),
            INSERTED,
            id="written anew",
        ),
        pytest.param(
            plan_from_sql(
                "ALTER TABLE prices ALTER amount TYPE varchar(40);",
                "ALTER TABLE prices ALTER amount TYPE int USING amount::int;",
            ),
            "SELECT 1",
            id="nobody wrote what is converted",
        ),
        pytest.param(
            plan_from_sql(
                "CREATE TYPE mood AS ENUM ('good', 'bad'); ALTER TABLE prices ADD mood mood DEFAULT 'good',"
                " ADD more jsonb NOT NULL DEFAULT '{}', ADD tags text[] DEFAULT ARRAY['a'], ADD less int DEFAULT -1,"
                " ADD word varchar(9) DEFAULT 'it''s %s', ADD twice int GENERATED ALWAYS AS (amount * 2) STORED;",
                "ALTER TABLE prices DROP mood, DROP more, DROP tags, DROP less, DROP word, DROP twice;DROP TYPE mood;",
            ),
            INSERTED + "; UPDATE prices SET amount = 777 WHERE id = 2",
            id="defaults and generated values dropped",
        ),
        pytest.param(
            plan_from_sql(
                "CREATE FUNCTION notes() RETURNS trigger LANGUAGE plpgsql AS"
                " 'BEGIN INSERT INTO codes VALUES (NEW.id); NEW.amount := 1; RETURN NEW; END';"
                "CREATE FUNCTION empties() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM codes; END';"
                "CREATE TRIGGER notes BEFORE INSERT ON prices FOR EACH ROW EXECUTE FUNCTION notes();"
                "CREATE TRIGGER empties AFTER DELETE ON prices EXECUTE FUNCTION empties();",
                "INSERT INTO codes VALUES (1); INSERT INTO prices SELECT 1, 1 WHERE false;"
                "DROP TRIGGER notes ON prices; DROP TRIGGER empties ON prices; DROP FUNCTION notes, empties;"
                "DO $$ BEGIN IF EXISTS (SELECT FROM codes) THEN INSERT INTO codes VALUES (2); END IF; END $$;",
            ),
            "INSERT INTO days SELECT '2026-02-02' WHERE false",
            id="triggers and blocks that take nothing",
        ),
        pytest.param(
            plan_from_sql(
                "ALTER TABLE prices ALTER amount SET DEFAULT 0;",
                "ALTER TABLE prices ADD spare int; UPDATE prices SET spare = 1; ALTER TABLE prices DROP spare;"
                "ALTER TABLE prices ALTER amount DROP DEFAULT;",
            ),
            INSERTED,
            id="of its own and dropped again",
        ),
        pytest.param(
            plan_from_sql("ALTER TABLE prices ADD note text;", "ALTER TABLE prices DROP note;"), INSERTED, id="kept"
        ),
    ],
)
def test_an_honest_rollback_is_not_held(make_database: MakeDatabase, plan: Plan, since: str) -> None:
    database, bundle = applied(plan, make_database)
    query(database, since)
    assert roll_back(plan, database, bundle).action is Action.ROLLED_BACK


@pytest.mark.parametrize("down", ["", "VACUUM messages;"], ids=["together", "one by one"])
def test_the_dry_run_notes_what_its_rollback_takes(copies: Endpoint, down: str) -> None:
    """By names of which nobody can read rows; a table that is not touched is not among them."""
    plan = plan_from_sql(
        "CREATE TABLE made (id int); INSERT INTO tenants VALUES (99, 'x'); UPDATE messages SET stars = stars + 1;",
        "DO $$ BEGIN EXECUTE 'DROP TABLE ' || 'made'; END $$; DELETE FROM tenants WHERE id = 99;"
        f" UPDATE messages SET stars = stars - 1; {down}",
    )
    extra = on_a_copy(plan, copies, make_copy(copies)).extra
    assert extra[TAKES] == {"": sorted(map(documents.digest, ("public.made", "public.messages", "public.tenants")))}


def test_a_second_round_looks_from_its_own_end(database: Endpoint) -> None:
    plan = plan_from_sql("CREATE TABLE made AS TABLE prices;", "DROP TABLE made;")
    query(database, PRICES)
    for run in ("run-1", "run-2"):
        apply_all(plan, database, run_id=run)
        assert roll_back(plan, database, run_id=run).action is Action.ROLLED_BACK
