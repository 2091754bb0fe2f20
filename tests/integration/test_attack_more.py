"""Smaller ones: a proof that is exchanged, another version's row, an assertion that ends sessions."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from migrator.custody.finish import Ending
from migrator.database.session import Endpoint
from migrator.stages.verify import VerifyReport
from tests.evidence import read_schema
from tests.factories import plan_from_sql
from tests.integration.ledger.history import history, problems_of
from tests.integration.stages import apply_all, query, verify_it
from tests.integration.test_attack_ledger import by_procedure
from tests.integration.test_finish import applied, end


def test_the_custodian_believes_any_proof_where_nobody_reviews(database: Endpoint) -> None:
    """The document of the dry run is compared with approvals alone; without any, with nothing."""
    plan, bundle = applied(database)
    query(database, "CREATE TABLE public.not_rehearsed (id int)")
    now = read_schema(database).portable.fingerprint
    forged = replace(bundle, dry_run=replace(bundle.dry_run, fingerprint_after=now))
    assert end(plan, database, forged).ending is Ending.VERIFIED


OTHER = """DO $e$ DECLARE
    head record; moment timestamptz := date_trunc('microseconds', clock_timestamp()); link text;
    body jsonb := '{"status": "success"}';
BEGIN
    SELECT head_count, head_hash INTO head FROM migrator.ledger_identity;
    link := 'sha256:' || encode(sha256(convert_to('[' || concat_ws(', ', head.head_count + 1,
        to_json(to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')), '"verified"', '"003_other"',
        '"r"', '"bob"', to_json(body::text), to_json(head.head_hash)) || ']', 'UTF8')), 'hex');
    INSERT INTO migrator.schema_migration_events
    VALUES (head.head_count + 1, moment, 'verified', '003_other', 'r', 'bob', body, head.head_hash, link);
    UPDATE migrator.ledger_identity SET head_count = head_count + 1, head_hash = link;
    INSERT INTO migrator.schema_migrations
        (version, status, filename, run_id, applied_by, applied_at, verified_at, description, engine_version)
    SELECT '003_other', 'success', 'x', run_id, applied_by, now(), now(), description, engine_version
    FROM migrator.schema_migrations WHERE version = '001_test';
END $e$;"""


def test_another_version_is_said_to_be_applied(database: Endpoint) -> None:
    """An event that tells of it is all that is asked for, and the migration writes that as well."""
    history(database)
    plan = by_procedure(OTHER)
    apply_all(plan, database)
    verify_it(plan, database)
    assert problems_of(database) == ()
    other = plan_from_sql("CREATE TABLE public.never_made (id int);", "SELECT 1;", version="003_other")
    (result,) = apply_all(other, database)
    assert result.reconciled, "applied and verified already"
    assert query(database, "SELECT to_regclass('public.never_made')") == [(None,)]


def test_an_assertion_ends_sessions_of_the_application(database: Endpoint) -> None:
    """A view hides the function; a transaction that only reads does not keep it from that."""
    query(
        database,
        "CREATE FUNCTION public.calm() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pid)"
        " FROM pg_stat_activity WHERE application_name = 'app of tests'; RETURN true; END $$",
    )
    query(database, "CREATE VIEW public.fine AS SELECT public.calm() AS ok")
    plan = plan_from_sql(
        "CREATE TABLE n (id bigint PRIMARY KEY);", "DROP TABLE n;", assertions=("SELECT ok FROM fine",)
    )
    with psycopg.connect(database.conninfo, application_name="app of tests", autocommit=True) as application:
        apply_all(plan, database)
        assert isinstance(verify_it(plan, database), VerifyReport)
        with pytest.raises(psycopg.OperationalError):
            application.execute("SELECT 1")
