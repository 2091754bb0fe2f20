"""What users of other tools have reported of migrations that leave their session changed, tried here.

Each is a file that is right, and that its tool could not record: the SQL is rebuilt from the report's description.
"""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from migrator.database.session import Endpoint
from migrator.embedded.server import Server
from tests.factories import plan_from_sql
from tests.integration.stages import apply_all, query, roll_back, row_of, verify_it

PG_DUMP = """SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.t (id int);
"""

REPORTS = {
    "peterldowns/pgmigrate#4": "CREATE SCHEMA artemis; SET search_path TO artemis; CREATE TABLE t (id int);",
    "transact-rs/sqlx#2419": "CREATE TABLE public.t (id int); SET search_path = pg_catalog;",
    "neutree-ai/agent-platform#132": PG_DUMP,
    "supabase/cli#510": PG_DUMP.replace("SELECT pg_catalog.set_config('search_path', '', false);\n", ""),
    "flyway/flyway#1926": 'SET search_path TO "$user", public; CREATE TABLE public.t (id int);',
    "kitokoh/leopardo-hr#1521": "SET search_path TO public; CREATE TABLE t (id int);",
    "mhdzumair/MediaFusion#702": "CREATE TABLE public.t (id int); CREATE TABLE public.u (id int);",
    "supabase/cli#6237": "SET ROLE stepped; RESET ROLE; CREATE TABLE public.t (id int); SET ROLE stepped;",
}


@pytest.mark.parametrize("transaction", [None, False], ids=["one transaction", "one by one"])
@pytest.mark.parametrize("report", REPORTS)
def test_the_ledger_knows_what_was_done(
    report: str, transaction: bool | None, database: Endpoint, server: Server
) -> None:
    with psycopg.connect(server.conninfo(str(database.name)), autocommit=True) as conn:
        conn.execute("DROP ROLE IF EXISTS stepped")
        conn.execute("CREATE ROLE stepped")
        conn.execute("GRANT stepped TO migrator")
    plan = plan_from_sql(REPORTS[report], "DROP TABLE IF EXISTS t, public.t", transaction=transaction)
    reading = [one.message for one in plan.findings if one.rule == "changes-how-text-is-read"]
    assert reading == [], "nothing here changes how text is read"
    apply_all(plan, database)
    verify_it(plan, database)
    row = row_of(plan, database)
    assert row is not None
    assert row.status == "success"
    assert query(database, "SELECT count(*) FROM pg_class WHERE relname = 't'") == [(1,)]
    assert roll_back(replace(plan), database, force=True).action == "rolled_back"
