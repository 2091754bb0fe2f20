"""What others change while a step is executed: which changes are seen, and in which moments."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from migrator.database.session import Endpoint
from migrator.errors import DriftDetected, MigratorError, NeedsHuman
from migrator.steps.meanwhile import Meanwhile
from migrator.steps.piecewise import Keeper
from migrator.steps.session_state import SessionState
from tests.factories import plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import query
from tests.integration.test_between_steps import rehearsed, step


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
