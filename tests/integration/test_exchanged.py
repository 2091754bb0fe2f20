"""What somebody exchanges after a part of a migration has taken effect: before it is undone, or goes on."""

from __future__ import annotations

import logging
from dataclasses import replace

import psycopg
import pytest

from migrator.database.session import Endpoint
from migrator.errors import DriftDetected, LockNotAvailable
from migrator.evidence import EvidenceBundle
from migrator.ledger.ledger import Ledger
from migrator.plan import Plan
from migrator.stages import apply
from migrator.steps.undo_decision import Action
from tests.factories import plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.copies import make_copy, rehearse
from tests.integration.stages import apply_all, make_target, outcome_of, query, roll_back, run_of, verify_it
from tests.integration.test_between_steps import Prepared, rehearsed, step

PRICE = "CREATE OR REPLACE FUNCTION public.price(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * {}'"
SCRIPT = f"""
CREATE TABLE orders (id int PRIMARY KEY, total int);
INSERT INTO orders VALUES (1, 5);
{PRICE.format(2)};
CREATE VIEW totals AS SELECT sum(total) AS total FROM orders;
"""
OWN = (
    "CREATE TABLE more (id int); CREATE FUNCTION norm(numeric) RETURNS numeric LANGUAGE sql AS 'SELECT $1';"
    f" {PRICE.format(3)}; DROP VIEW totals;"
)
OWN_BACK = (
    f"UPDATE orders SET total = total - 1; {PRICE.format(2)}; DROP FUNCTION norm(numeric); DROP TABLE more;"
    " CREATE VIEW totals AS SELECT sum(total) AS total FROM orders;"
)
TRIGGER = "CREATE TRIGGER more BEFORE UPDATE ON public.orders FOR EACH ROW EXECUTE FUNCTION public.more()"
EXCHANGED = {
    "what the migration has replaced": (PRICE.format(1000), PRICE.format(3)),
    "what it has replaced, as it was before": (PRICE.format(2), PRICE.format(3)),
    "what it has dropped": ("CREATE VIEW public.totals AS SELECT 1 AS total", "DROP VIEW public.totals"),
    "what it has made": (
        "ALTER TABLE public.more ADD CHECK (public.price(id) > 0)",
        "ALTER TABLE public.more DROP CONSTRAINT more_id_check",
    ),
    "an overload of what it has made": (
        "CREATE FUNCTION public.norm(bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 666::bigint'",
        "DROP FUNCTION public.norm(bigint)",
    ),
    "a rule of the name of its table": (
        "CREATE RULE more AS ON UPDATE TO public.orders DO INSTEAD NOTHING",
        "DROP RULE more ON public.orders",
    ),
    "a trigger of that name": (
        f"CREATE FUNCTION public.more() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; {TRIGGER}",
        "DROP FUNCTION public.more() CASCADE",
    ),
}
"""With what takes it back."""


def begin(plan: Plan, bundle: EvidenceBundle, database: Endpoint) -> None:
    """All of its step but the last statement, which waits for a row."""
    with psycopg.connect(database.conninfo) as holder:
        holder.execute("SELECT FROM public.orders FOR UPDATE")
        with pytest.raises(LockNotAvailable), Ledger(database) as ledger:
            apply.run_step(
                plan, plan.steps[0].name, endpoint=database, ledger=ledger, run=run_of(plan), target=make_target(),
                evidence=bundle, deadline_seconds=1,
            )  # fmt: skip


def require_held(prepared: Prepared, exchanged: dict[str, tuple[str, str]]) -> None:
    plan, bundle, database = prepared
    for what, (change, back) in exchanged.items():
        query(database, change)
        assert roll_back(plan, database, bundle).action is Action.HELD, what
        query(database, back)


def test_an_automatic_rollback_knows_its_own_work_by_more_than_its_name(make_database: MakeDatabase) -> None:
    plan = plan_from_sql(f"{OWN} UPDATE orders SET total = total + 1;", OWN_BACK)
    prepared = plan, bundle, database = rehearsed(make_database, plan, SCRIPT)
    apply_all(plan, database, bundle)
    require_held(prepared, EXCHANGED)
    assert query(database, "SELECT total FROM public.orders") == [(6,)]
    query(database, "COMMENT ON TABLE public.orders IS 'by hand'; CREATE TABLE public.unheard_of (id int)")
    assert roll_back(plan, database, bundle).action is Action.ROLLED_BACK
    assert query(database, "SELECT total FROM public.orders") == [(5,)]


def test_a_step_that_goes_on_knows_its_own_work_by_more_than_its_name(make_database: MakeDatabase) -> None:
    sql = f"{OWN} VACUUM orders; UPDATE orders SET total = total + 1; DROP FUNCTION norm(numeric);"
    plan = plan_from_sql(sql, OWN_BACK, transaction=False, lock_timeout_ms=200)
    plan, bundle, database = rehearsed(make_database, plan, SCRIPT)
    begin(plan, bundle, database)
    for what, (change, back) in EXCHANGED.items():
        query(database, change)
        with pytest.raises(DriftDetected, match="what this step may run was changed"):
            step(plan.steps[0].name, plan, bundle, database)
        query(database, back)
        assert query(database, "SELECT total FROM public.orders") == [(5,)], what
    step(plan.steps[0].name, plan, bundle, database)
    verify_it(plan, database, bundle)


SECRETS = """
CREATE SCHEMA app;
CREATE SEQUENCE ids;
CREATE DOMAIN marked AS text DEFAULT 'x';
CREATE TABLE secret (id int PRIMARY KEY DEFAULT nextval('ids'), card text, note text);
CREATE INDEX by_card ON secret (card);
CREATE TABLE parted (id int) PARTITION BY RANGE (id);
INSERT INTO secret VALUES (1, '4111', '');
"""
KEEP = "CREATE TABLE public.kept AS SELECT * FROM secret; DELETE FROM secret;"
KEEP_BACK = "INSERT INTO secret SELECT * FROM kept; DROP TABLE kept; DROP INDEX IF EXISTS by_card_too;"
SHADOWS = {
    "a table": ("CREATE TABLE app.secret (id int, card text, note text)", "DROP TABLE app.secret"),
    "a table of what the migration makes": ("CREATE TABLE app.kept (id int)", "DROP TABLE app.kept"),
    "a view": ("CREATE VIEW app.secret AS SELECT 1 AS id", "DROP VIEW app.secret"),
    "a sequence": ("CREATE SEQUENCE app.ids", "DROP SEQUENCE app.ids"),
    "the sequence of a column": (
        "CREATE TABLE app.x (id serial); ALTER SEQUENCE app.x_id_seq RENAME TO ids",
        "DROP TABLE app.x",
    ),
    "an index": ("CREATE TABLE app.x (a int); CREATE INDEX by_card_too ON app.x (a)", "DROP TABLE app.x"),
    "the index of a key": ("CREATE TABLE app.x (a int CONSTRAINT by_card_too UNIQUE)", "DROP TABLE app.x"),
    "a schema on the path": ("CREATE SCHEMA early", "DROP SCHEMA early"),
    "a table that was there moves": (
        "ALTER TABLE public.secret SET SCHEMA app",
        "ALTER TABLE app.secret SET SCHEMA public",
    ),
}
RUNNING = {
    "a default of the server's own functions": (
        "ALTER TABLE public.secret ADD leak text; ALTER TABLE public.secret ALTER leak SET DEFAULT current_user",
        "ALTER TABLE public.secret DROP leak",
    ),
    "a generated column": (
        "ALTER TABLE public.secret ADD leak text GENERATED ALWAYS AS (card || 'x') STORED",
        "ALTER TABLE public.secret DROP leak",
    ),
    "an identity": (
        "ALTER TABLE public.secret ADD leak int GENERATED ALWAYS AS IDENTITY",
        "ALTER TABLE public.secret DROP leak",
    ),
    "a column of a domain": ("ALTER TABLE public.secret ADD leak marked", "ALTER TABLE public.secret DROP leak"),
    "a column of what the migration has made": (
        "ALTER TABLE public.kept ADD leak text DEFAULT current_user",
        "ALTER TABLE public.kept DROP leak",
    ),
    "a partition": (
        "CREATE TABLE public.x PARTITION OF public.parted FOR VALUES FROM (1) TO (2)",
        "DROP TABLE public.x",
    ),
    "a child": ("CREATE TABLE public.x (leak text DEFAULT 'x') INHERITS (public.secret)", "DROP TABLE public.x"),
    "a table that refers to one": ("CREATE TABLE public.x (a int REFERENCES public.secret)", "DROP TABLE public.x"),
    "another order of numbers": ("ALTER SEQUENCE public.ids INCREMENT -1", "ALTER SEQUENCE public.ids INCREMENT 1"),
    "columns that change places": (
        "ALTER TABLE public.secret RENAME card TO x; ALTER TABLE public.secret RENAME note TO card;"
        " ALTER TABLE public.secret RENAME x TO note",
        "ALTER TABLE public.secret RENAME card TO x; ALTER TABLE public.secret RENAME note TO card;"
        " ALTER TABLE public.secret RENAME x TO note",
    ),
}
HARMLESS = """
CREATE SCHEMA elsewhere;
CREATE TABLE app.unheard_of (id serial PRIMARY KEY, at timestamptz DEFAULT now(), number int CHECK (number > 0));
CREATE INDEX ON app.unheard_of (lower(number::text));
CREATE SEQUENCE elsewhere.numbering;
COMMENT ON TABLE app.unheard_of IS 'secret';
"""


@pytest.mark.parametrize("changes", [SHADOWS, RUNNING], ids=["shadows", "running"])
def test_what_is_new_may_run_or_be_meant(make_database: MakeDatabase, changes: dict[str, tuple[str, str]]) -> None:
    plan, bundle, database = rehearsed(make_database, plan_from_sql(KEEP, KEEP_BACK), SECRETS)
    database = replace(database, search_path='"$user", early, app, public')
    apply_all(plan, database, bundle)
    require_held((plan, bundle, database), changes)
    query(database, HARMLESS)
    assert roll_back(plan, database, bundle).action is Action.ROLLED_BACK
    assert query(database, "SELECT * FROM public.secret") == [(1, "4111", "")]


CANARY = "canary-4711@example.org"
OF_ROWS = (
    "DO $$DECLARE r record; BEGIN FOR r IN SELECT name FROM users LOOP EXECUTE format({}, r.name); END LOOP; END$$"
)
MAKE = OF_ROWS.format("'CREATE VIEW %I AS SELECT 1 AS one'")
DROP = OF_ROWS.format("'DROP VIEW IF EXISTS %I'")
USERS = f"CREATE TABLE users (name text); INSERT INTO users VALUES ('{CANARY}'); {SCRIPT}"


def test_the_dry_run_has_each_moment_and_no_names_made_of_rows(make_database: MakeDatabase, copies: Endpoint) -> None:
    sql = f"{PRICE.format(3)}; {MAKE}; VACUUM orders; CREATE INDEX CONCURRENTLY by_total ON orders (total);"
    back = f"{DROP}; DROP INDEX CONCURRENTLY IF EXISTS by_total; {PRICE.format(2)};"
    plan = plan_from_sql(sql, back, transaction=False)
    evidence = rehearse(plan, copies, make_copy(copies, USERS))
    assert CANARY not in str(evidence)
    _, twins, _ = rehearsed(make_database, plan, USERS)
    assert [(one.done, one.changes) for one in evidence.states] == [
        (one.done, one.changes) for one in twins.dry_run.states
    ]
    assert [[change[1] for change in one.changes] for one in evidence.states] == [
        ["public.price(integer)"], [], [], ["public.by_total"]
    ]  # fmt: skip
    assert [[change[1] for change in one.changes] for one in evidence.undoing] == [
        [], ["public.by_total"], ["public.price(integer)"]
    ]  # fmt: skip
    first, with_view, after_vacuum, whole = (one.code for one in evidence.states)
    assert len({first, with_view, whole}) == 3
    assert with_view == after_vacuum
    assert evidence.undoing[1].code == first


def test_an_automatic_rollback_of_names_made_of_rows(
    make_database: MakeDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    """What nobody has changed is undone; and what somebody has, is told without them."""
    plan, bundle, database = rehearsed(make_database, plan_from_sql(f"{MAKE};", f"{DROP};"), USERS)
    apply_all(plan, database, bundle)
    caplog.set_level(logging.INFO)
    query(database, PRICE.format(1000))
    held = roll_back(plan, database, bundle)
    assert held.action is Action.HELD
    assert "public.price" in held.reason
    events = query(database, "SELECT detail::text FROM migrator.schema_migration_events")
    assert CANARY not in f"{held.reason}{events}{outcome_of(plan, database).text}{caplog.text}"
    query(database, PRICE.format(2))
    assert roll_back(plan, database, bundle).action is Action.ROLLED_BACK


def test_a_step_with_names_made_of_rows_goes_on(make_database: MakeDatabase) -> None:
    sql, back = f"{MAKE}; VACUUM orders; UPDATE orders SET total = total + 1;", f"{DROP};"
    plan = plan_from_sql(sql, back, transaction=False, lock_timeout_ms=200)
    plan, bundle, database = rehearsed(make_database, plan, USERS)
    begin(plan, bundle, database)
    query(database, PRICE.format(1000))
    with pytest.raises(DriftDetected) as refused:
        step(plan.steps[0].name, plan, bundle, database)
    assert CANARY not in str(refused.value)
    query(database, PRICE.format(2))
    step(plan.steps[0].name, plan, bundle, database)
    verify_it(plan, database, bundle)
