"""What a retry in a new session finds of what earlier statements of a piecewise step have left in theirs."""

from __future__ import annotations

import psycopg
import pytest

from migrator.database.session import Endpoint
from migrator.errors import NeedsHuman, StatementFailed
from migrator.ledger.ledger import Ledger
from migrator.ledger.rows import LedgerStep
from migrator.plan import Plan
from tests.factories import plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.test_steps_sql import execute, query

TABLES = """
CREATE SCHEMA app;
CREATE TABLE app.t (x int); INSERT INTO app.t VALUES (1), (1), (2);
CREATE TABLE public.t (x int); INSERT INTO public.t VALUES (1), (2);
CREATE TABLE public.ids (x int); INSERT INTO public.ids VALUES (2);
CREATE TABLE public.secret (s text); INSERT INTO public.secret VALUES ('hunter2');
CREATE FUNCTION public.usepath() RETURNS void LANGUAGE plpgsql AS
$$ BEGIN PERFORM set_config('search_path', 'app, public', false); END $$;
CREATE FUNCTION public.hidden() RETURNS void LANGUAGE plpgsql AS
$$ BEGIN PERFORM set_config('app.hidden', '2', false); END $$;
CREATE PROCEDURE public.usepath_p() LANGUAGE plpgsql AS
$$ BEGIN PERFORM set_config('search_path', 'app, public', false); END $$;
"""
FAILS_FIRST = "CREATE UNIQUE INDEX CONCURRENTLY ti ON app.t (x);\n"
DELETES = FAILS_FIRST + "DELETE FROM t WHERE x = 2;"
PATH = "'app, public'"

GOES_ON = {
    "set": "SET search_path = app,public;" + DELETES,
    "set_config": f"SELECT pg_catalog.set_config('search_path', {PATH}, false);" + DELETES,
    "do_execute": "DO $$ BEGIN EXECUTE 'SET search_path = app, public'; END $$;" + DELETES,
    "do_perform": f"DO $$ BEGIN PERFORM set_config('search_path', {PATH}, false); END $$;" + DELETES,
    "set_twice": f"SET search_path = public; SELECT set_config('search_path', {PATH}, false);" + DELETES,
    "enum": (
        "DO $$ BEGIN PERFORM set_config('default_transaction_isolation', 'serializable', false); END $$;"
        f"{FAILS_FIRST}DELETE FROM app.t WHERE x = 2 AND current_setting('transaction_isolation') = 'serializable';"
    ),
    "number": (
        f"SELECT set_config('work_mem', '65536', false); {FAILS_FIRST}"
        "DELETE FROM app.t WHERE x = 2 AND current_setting('work_mem') = '64MB';"
    ),
    "custom": (
        f"SELECT set_config('app.x', '2', false); {FAILS_FIRST}"
        "DELETE FROM app.t WHERE x::text = current_setting('app.x', true);"
    ),
    "role": (
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE; SET ROLE migrator;"
        f"{FAILS_FIRST}DELETE FROM app.t WHERE x = 2 AND current_setting('role') = 'migrator'"
        " AND current_setting('transaction_isolation') = 'serializable';"
    ),
    "reset": (
        f"SET search_path = public; DO $$ BEGIN EXECUTE 'RESET search_path'; END $$; {FAILS_FIRST}"
        "DELETE FROM app.t WHERE x = 2 AND current_setting('search_path') LIKE '%user%';"
    ),
}

NOT_AGAIN = {
    "discard_all": f"SET search_path = app, public; DISCARD ALL; {DELETES}",
    "set_then_set_config": f"SET search_path = app; SELECT set_config('search_path', 'public', false); {DELETES}",
    "local": f"DO $$ BEGIN PERFORM set_config('search_path', {PATH}, true); END $$; {DELETES}",
}
"""What the first attempt would have deleted from public.t, so does the second."""

ASKS = {
    "function": (f"SELECT usepath(); {DELETES}", "search_path"),
    "call": (f"CALL usepath_p(); {DELETES}", "search_path"),
    "hidden": (f"SELECT hidden(); {DELETES}", "app.hidden"),
    "row": (f"SELECT set_config('app.x', (SELECT s FROM secret), false); {DELETES}", "app.x"),
    "temporary": (f"CREATE TEMPORARY TABLE ids AS SELECT 1 AS x; {DELETES}", "temporary table ids"),
    "prepared": (f"PREPARE d AS DELETE FROM t; {DELETES}", "prepared statement d"),
    "lock": (f"SELECT pg_advisory_lock(42); {DELETES}", "advisory lock"),
    "listens": (f"LISTEN news; {DELETES}", "LISTEN news"),
}


def interrupted(plan: Plan, endpoint: Endpoint) -> LedgerStep:
    """The first attempt, which ends before its last statement; then the cause is mended."""
    with pytest.raises(StatementFailed, match=r"unique|more than once"):
        execute(plan, endpoint)
    with psycopg.connect(endpoint.conninfo, autocommit=True) as conn:
        conn.execute("DELETE FROM app.t WHERE ctid = (SELECT min(ctid) FROM app.t WHERE x = 1)")
    with Ledger(endpoint) as ledger:
        return ledger.steps(plan.version)[0]


def left(endpoint: Endpoint) -> dict[str, list[object]]:
    return {name: [x for (x,) in query(endpoint, f"SELECT x FROM {name} ORDER BY x")] for name in ("app.t", "public.t")}


@pytest.mark.parametrize("sql", GOES_ON.values(), ids=GOES_ON)
def test_the_rest_runs_in_the_same_state(make_database: MakeDatabase, sql: str) -> None:
    database = make_database(script=TABLES)
    plan = plan_from_sql(sql)
    row = interrupted(plan, database)
    assert "app, public" not in str(row.cursor), "the ledger says where a value stands, not what it is"
    execute(plan, database)
    assert left(database) == {"app.t": [1], "public.t": [1, 2]}


@pytest.mark.parametrize("sql", NOT_AGAIN.values(), ids=NOT_AGAIN)
def test_what_was_cancelled_is_not_set_again(make_database: MakeDatabase, sql: str) -> None:
    database = make_database(script=TABLES)
    plan = plan_from_sql(sql)
    interrupted(plan, database)
    execute(plan, database)
    assert left(database) == {"app.t": [1, 2], "public.t": [1]}


@pytest.mark.parametrize("sql, named", ASKS.values(), ids=ASKS)
def test_what_nobody_can_bring_back_asks_a_person(make_database: MakeDatabase, sql: str, named: str) -> None:
    database = make_database(script=TABLES)
    plan = plan_from_sql(sql)
    row = interrupted(plan, database)
    assert "hunter2" not in str(row.cursor)
    with pytest.raises(NeedsHuman, match=f"statement 1 of step .* {named}.*roll the migration back"):
        execute(plan, database)
    assert left(database) == {"app.t": [1, 2], "public.t": [1, 2]}


def test_a_name_made_of_rows_is_not_kept(make_database: MakeDatabase) -> None:
    database = make_database(script=TABLES)
    makes = "DO $$ BEGIN EXECUTE 'CREATE TEMPORARY TABLE ' || (SELECT s FROM secret) || ' (x int)'; END $$;"
    plan = plan_from_sql(makes + DELETES)
    row = interrupted(plan, database)
    assert "hunter2" not in str(row.cursor)
    with pytest.raises(NeedsHuman, match="a temporary table"):
        execute(plan, database)


def test_nothing_left_to_do_asks_nobody(make_database: MakeDatabase) -> None:
    """A temporary table that is dropped again is in nobody's way."""
    database = make_database(script=TABLES)
    plan = plan_from_sql(f"CREATE TEMPORARY TABLE a (x int); DROP TABLE a; SET search_path = app; {DELETES}")
    interrupted(plan, database)
    execute(plan, database)
    assert left(database) == {"app.t": [1], "public.t": [1, 2]}
