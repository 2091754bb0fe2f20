"""No row is told in what a session can be made to say of itself: how it calls itself, where it looks names up."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import psycopg
import pytest

from migrator.analysis.estimate.traffic import traffic_of
from migrator.database import session
from migrator.database.session import Endpoint
from migrator.errors import LockNotAvailable, MigratorError
from migrator.ledger.ledger import Ledger
from migrator.targets.targets import Limits
from tests.evidence import rehearse
from tests.factories import make_plan, plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.ledger.history import history
from tests.integration.stages import apply_all, make_target, query
from tests.integration.test_calendar import sql_step
from tests.integration.test_gate import step_alone
from tests.integration.test_no_rows_named import logged
from tests.integration.test_no_rows_told import CANARY, ROWS, require_no_row_in
from tests.integration.test_preflight import check

CALLED = "SELECT set_config('application_name', (SELECT email FROM users), false)"
STAMP = (
    "CREATE FUNCTION public.stamp() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN"
    " PERFORM set_config('application_name', (SELECT email FROM public.users), false); RETURN new; END $f$;"
    " CREATE TRIGGER stamp BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION public.stamp();"
)


@pytest.mark.parametrize("name", [CANARY, "psql"])
def test_who_is_in_the_way_of_a_step(
    database: Endpoint, caplog: pytest.LogCaptureFixture, make_database: MakeDatabase, name: str
) -> None:
    """A trigger of its first step has called the application's session so; what programs call themselves by is told."""
    caplog.set_level(logging.DEBUG)
    script = f"{ROWS} CREATE TABLE t (id int);"
    steps = (sql_step(STAMP, "first", 0), sql_step("ALTER TABLE t ADD COLUMN b int", "second", 2))
    plan = replace(plan_from_sql("SELECT 1", "SELECT 2"), steps=steps)
    query(database, script)
    bundle = rehearse(plan, database, make_database("twin", script=script))
    step_alone(plan, "first", database, bundle)
    with psycopg.connect(database.conninfo) as application:
        application.execute("INSERT INTO t VALUES (1)")
        application.execute("SELECT set_config('application_name', %s, false)", (name,))
        pid = application.info.backend_pid
        with pytest.raises(LockNotAvailable, match=rf"pid {pid} \(.*user \w+, idle in transaction") as caught:
            step_alone(plan, "second", database, bundle)
    with Ledger(database) as ledger:
        kept = json.dumps([(event.kind, event.detail) for event in ledger.events(plan.version)], default=str)
    require_no_row_in(f"{caught.value} {caught.value.fields} {logged(caplog)} {kept}")
    assert ("psql, user" in str(caught.value)) == (name == "psql")


def test_who_has_an_old_transaction(database: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    """Before a migration there is no vocabulary: preflight and the analysis tell programs alone."""
    caplog.set_level(logging.DEBUG)
    query(database, f"{ROWS} CREATE TABLE t (id int);")
    target = make_target(limits=Limits(max_transaction_age_seconds=0.0, min_free_connections=1))
    with psycopg.connect(database.conninfo) as application:
        application.execute("INSERT INTO t VALUES (1)")
        application.execute(CALLED.encode())
        pid = application.info.backend_pid
        with pytest.raises(MigratorError, match=rf"pid {pid} \(user ") as caught:
            check(make_plan(), database, target=target)
        with session.connect(database, purpose="observe") as conn:
            (holder,) = traffic_of(conn, ["public.t"])["public.t"].holders
    assert holder.who == f"pid {pid}, idle in transaction"
    require_no_row_in(f"{caught.value} {logged(caplog)} {holder}")


def test_a_path_that_leads_to_the_ledger(
    database: Endpoint, make_database: MakeDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    """What is known of it is told."""
    caplog.set_level(logging.DEBUG)
    query(database, ROWS)
    history(database)
    plan = plan_from_sql(
        "SELECT set_config('search_path', 'migrator, \"' || email || '\", public', false) FROM public.users;"
        " CREATE TABLE extra (id int);",
        "DROP TABLE IF EXISTS extra;",
        version="002_next",
        transaction=False,
    )
    thing = "CREATE TABLE thing (id bigint PRIMARY KEY, name text);"
    bundle = rehearse(plan, database, make_database("twin", script=f"{ROWS} {thing}"))
    with pytest.raises(MigratorError, match='its search_path was migrator, "…", public') as caught:
        apply_all(plan, database, bundle)
    require_no_row_in(f"{caught.value} {logged(caplog)}")
