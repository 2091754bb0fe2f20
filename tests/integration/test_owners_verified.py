"""verify looks at owners and rights of what the migration does not touch: its triggers may change them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from migrator.database.session import Endpoint
from migrator.embedded.server import Server
from migrator.errors import DryRunFailed, VerifyFailed
from migrator.evidence import EvidenceBundle, Verdict
from migrator.plan import Plan
from migrator.stages import dry_run, restore_test, snapshot
from tests.evidence import rehearse
from tests.factories import plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, make_target, query, run_of, verify_it

OTHER = "owner_verified"
SCRIPT = """
CREATE TABLE secret (card bigint);
CREATE TABLE orders (id int PRIMARY KEY, total int);
INSERT INTO orders VALUES (1, 5);
CREATE FUNCTION own() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION lent() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
ALTER FUNCTION lent() OWNER TO owner_verified;
"""
TRIGGER = """
CREATE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_database() LIKE 'real%' THEN
        EXECUTE '{act}';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER tidy BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION tidy();
"""
BY_DEFAULT = "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO pg_monitor;"


@pytest.fixture(autouse=True)
def other(server: Server) -> Iterator[None]:
    with psycopg.connect(server.conninfo("postgres"), autocommit=True) as conn:
        conn.execute(f"CREATE ROLE {OTHER}; GRANT {OTHER} TO migrator")
    yield
    with psycopg.connect(server.conninfo("postgres"), autocommit=True) as conn:
        for (name,) in conn.execute("SELECT datname FROM pg_database WHERE datname ~ '^(real|twin)_'").fetchall():
            conn.execute(psycopg.sql.SQL("DROP DATABASE {} WITH (FORCE)").format(psycopg.sql.Identifier(name)))
        conn.execute(f"DROP ROLE {OTHER}")


def applied(make_database: MakeDatabase, plan: Plan, script: str) -> tuple[Endpoint, EvidenceBundle]:
    script = "GRANT USAGE, CREATE ON SCHEMA public TO owner_verified;" + script
    database, twin = make_database("real", script=script), make_database("twin", script=script)
    bundle = rehearse(plan, database, twin)
    apply_all(plan, database, bundle)
    return database, bundle


@pytest.mark.parametrize(
    "act, by_default, told",
    [
        ("ALTER TABLE public.secret OWNER TO owner_verified", "", "owner table public.secret"),
        ("GRANT SELECT ON public.secret TO owner_verified", BY_DEFAULT, "grant table public.secret"),
        ("GRANT SELECT (card) ON public.secret TO public", BY_DEFAULT, "grant column public.secret.card"),
        ("ALTER FUNCTION public.own() OWNER TO owner_verified", "", "owner function public.own()"),
        ("ALTER FUNCTION public.lent() OWNER TO migrator", "", "owner function public.lent()"),
        ("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO owner_verified", "", "default privileges for migrator"),
        ("ALTER SCHEMA public OWNER TO owner_verified", "", "owner schema public"),
    ],
)
def test_what_a_trigger_gives_away(make_database: MakeDatabase, act: str, by_default: str, told: str) -> None:
    plan = plan_from_sql("UPDATE orders SET total = 6;", "UPDATE orders SET total = 5;")
    database, bundle = applied(make_database, plan, by_default + SCRIPT + TRIGGER.format(act=act))
    with pytest.raises(VerifyFailed, match=rf"owners and rights: .*not rehearsed: . {re.escape(told)}"):
        verify_it(plan, database, bundle)


HONEST = {
    "rights that it gives": "GRANT SELECT ON secret TO owner_verified; REVOKE EXECUTE ON FUNCTION own() FROM PUBLIC",
    "all that it makes": "CREATE TABLE more (id serial PRIMARY KEY); CREATE VIEW v AS SELECT * FROM more",
    "what it makes anew": "DROP FUNCTION lent(); CREATE FUNCTION lent() RETURNS int LANGUAGE sql AS 'SELECT 2'",
    "what it renames": "ALTER TABLE secret RENAME TO known; ALTER TABLE known RENAME card TO number",
    "what it gives by default": "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO owner_verified",
    "what it takes over": "ALTER TABLE given OWNER TO CURRENT_USER",
}


@pytest.mark.parametrize("sql", HONEST.values(), ids=HONEST)
def test_what_is_rehearsed_is_no_difference(
    make_database: MakeDatabase, copies: Endpoint, tmp_path: Path, sql: str
) -> None:
    """On a copy, where another role owns everything, and does what the migrator does here. The other role is there only
    if the migration names it."""
    if OTHER in sql:
        query(copies, f"CREATE ROLE {OTHER}")
    script = "GRANT USAGE, CREATE ON SCHEMA public TO owner_verified;" + BY_DEFAULT + SCRIPT
    script += "GRANT INSERT ON secret TO owner_verified; CREATE TABLE given (id int);"
    script += "ALTER TABLE given OWNER TO owner_verified; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO pg_monitor"
    database = make_database("real", script=script)
    plan = plan_from_sql(f"{sql};", "SELECT 1;")
    run, target = run_of(plan), make_target(storage=str(tmp_path))
    record = snapshot.run(plan, endpoint=database, target=target, run=run)
    restore = restore_test.run(record, copies=copies, target=target, run=run)
    try:
        rehearsed = dry_run.run(plan, record, restore, copies=copies, run=run)
    except DryRunFailed as failure:  # there is no way back in these plans
        rehearsed = replace(failure.fields["evidence"], verdict=Verdict.PASSED)
    assert next(check for check in rehearsed.checks if check.name == "apply").verdict is Verdict.PASSED
    bundle = EvidenceBundle(record, restore, rehearsed)
    apply_all(plan, database, bundle)
    report = verify_it(plan, database, bundle)
    assert "owners and rights" in {check.name for check in report.checks}


def test_evidence_that_has_not_looked_at_them_proves_nothing(make_database: MakeDatabase) -> None:
    plan = plan_from_sql("UPDATE orders SET total = 6;", "SELECT 1")
    database, bundle = applied(make_database, plan, SCRIPT)
    older = replace(bundle, dry_run=replace(bundle.dry_run, extra={}))
    with pytest.raises(VerifyFailed) as caught:
        verify_it(plan, database, older)
    check = next(check for check in caught.value.fields["report"].checks if check.name == "owners and rights")
    assert check.verdict is Verdict.UNVERIFIED
