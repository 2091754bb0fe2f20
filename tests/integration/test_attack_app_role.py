"""A role of the application has its own code run with the rights of the migration's role, unseen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from migrator.database.session import Endpoint
from migrator.embedded.server import Server
from migrator.evidence import EvidenceBundle
from migrator.plan import Plan
from tests.evidence import rehearse
from tests.factories import plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, verify_it

SCRIPT = """
CREATE TABLE secrets (pan text);
INSERT INTO secrets VALUES ('4111-1111');
ALTER TABLE secrets OWNER TO migrator;
CREATE SCHEMA app;
GRANT CREATE, USAGE ON SCHEMA app TO app_of_tests, migrator;
SET ROLE app_of_tests;
CREATE TABLE app.messages (id int PRIMARY KEY, body text, stars int);
CREATE TABLE app.loot (t text);
CREATE TABLE app.flags (code text);
CREATE FUNCTION app.clean(x text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN lower(x); END $$;
GRANT ALL ON ALL TABLES IN SCHEMA app TO migrator;
INSERT INTO app.messages VALUES (1, 'Hello', 1);
CREATE FUNCTION app.touched() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE coalesce((SELECT code FROM app.flags), 'SELECT 1');
    RETURN NEW;
END $$;
RESET ROLE;
"""
TRIGGER = "CREATE TRIGGER touched BEFORE UPDATE ON app.messages FOR EACH ROW EXECUTE FUNCTION app.touched();"
STEALS = "INSERT INTO app.loot SELECT current_user || ':' || pan FROM public.secrets"


@pytest.fixture
def two(server: Server, database: Endpoint, make_database: MakeDatabase) -> Iterator[tuple[Endpoint, Endpoint]]:
    twin = make_database("twin")
    with psycopg.connect(server.conninfo(), autocommit=True) as admin:
        admin.execute("CREATE ROLE app_of_tests; GRANT app_of_tests TO migrator")
    for one in (database, twin):
        as_app(server, one, SCRIPT)
    with psycopg.connect(server.conninfo(), autocommit=True) as admin:
        admin.execute("REVOKE app_of_tests FROM migrator")
    yield database, twin
    for one in (database, twin):
        as_app(server, one, "DROP OWNED BY app_of_tests CASCADE")
    with psycopg.connect(server.conninfo(), autocommit=True) as admin:
        admin.execute("DROP ROLE app_of_tests")


def as_app(server: Server, endpoint: Endpoint, sql: str) -> None:
    dbname = str(conninfo_to_dict(endpoint.conninfo)["dbname"])
    with psycopg.connect(server.conninfo(dbname), autocommit=True) as conn:
        conn.execute(sql.encode())


def stolen(server: Server, endpoint: Endpoint) -> list[tuple[str]]:
    dbname = str(conninfo_to_dict(endpoint.conninfo)["dbname"])
    with psycopg.connect(server.conninfo(dbname)) as conn:
        return conn.execute("SELECT t FROM app.loot").fetchall()


def test_a_function_between_two_steps(server: Server, two: tuple[Endpoint, Endpoint]) -> None:
    """Drift is looked for before the first step only; afterwards it is as it was, and verify agrees."""
    database, twin = two
    first = plan_from_sql("CREATE TABLE public.one (id int);", "DROP TABLE public.one;").steps[0]
    second = plan_from_sql("UPDATE app.messages SET body = app.clean(body);").steps[0]
    plan = replace(
        plan_from_sql("CREATE TABLE public.one (id int);", "DROP TABLE public.one;"),
        steps=(replace(first, name="first"), replace(second, name="second")),
    )
    bundle = rehearse(plan, database, twin)
    apply_step(plan, database, bundle, 0)
    harmless = "CREATE OR REPLACE FUNCTION app.clean(x text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN lower(x); END $$"
    as_app(server, database, "SET ROLE app_of_tests; " + harmless.replace("RETURN lower", f"{STEALS}; RETURN lower"))
    apply_step(plan, database, bundle, 1)
    as_app(server, database, "SET ROLE app_of_tests; " + harmless)
    verify_it(plan, database, bundle)
    assert stolen(server, database) == [("migrator:4111-1111",)]


def apply_step(plan: Plan, endpoint: Endpoint, bundle: EvidenceBundle, position: int) -> None:
    from migrator.ledger.ledger import Ledger
    from migrator.stages import apply
    from tests.integration.stages import make_target, run_of

    with Ledger(endpoint) as ledger:
        apply.run_step(
            plan,
            plan.steps[position].name,
            endpoint=endpoint,
            ledger=ledger,
            run=run_of(plan),
            target=make_target(),
            evidence=bundle,
        )


def test_a_trigger_that_reads_its_orders_from_a_table(server: Server, two: tuple[Endpoint, Endpoint]) -> None:
    """Rows are no schema: written after the review, run as the migration's role, verified all the same."""
    database, twin = two
    for one in two:
        as_app(server, one, "SET ROLE app_of_tests; " + TRIGGER)
    plan = plan_from_sql("UPDATE app.messages SET stars = 0;", "UPDATE app.messages SET stars = 1;")
    bundle = rehearse(plan, database, twin)
    as_app(server, database, f"SET ROLE app_of_tests; INSERT INTO app.flags VALUES ($x${STEALS}$x$)")
    apply_all(plan, database, bundle)
    verify_it(plan, database, bundle)
    assert stolen(server, database) == [("migrator:4111-1111",)]


def test_a_check_when_a_type_is_changed(server: Server, two: tuple[Endpoint, Endpoint]) -> None:
    """DDL that rewrites calls the functions of the table's own constraints as whoever alters it."""
    database, twin = two
    for one in two:
        as_app(
            server,
            one,
            """SET ROLE app_of_tests;
            CREATE FUNCTION app.good(x bigint) RETURNS boolean LANGUAGE plpgsql AS $$
            BEGIN EXECUTE coalesce((SELECT code FROM app.flags), 'SELECT 1'); RETURN true; END $$;
            ALTER TABLE app.messages ADD CONSTRAINT good CHECK (app.good(stars));
            RESET ROLE; ALTER TABLE app.messages OWNER TO migrator""",
        )
    plan = plan_from_sql("ALTER TABLE app.messages ALTER stars TYPE bigint;", "ALTER TABLE app.messages ALTER stars TYPE int;")
    bundle = rehearse(plan, database, twin)
    as_app(server, database, f"SET ROLE app_of_tests; INSERT INTO app.flags VALUES ($x${STEALS}$x$)")
    apply_all(plan, database, bundle)
    print(stolen(server, database), [f.message for f in plan.findings])
    assert stolen(server, database) == [('migrator:4111-1111',)]
