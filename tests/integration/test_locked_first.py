"""A step takes the locks that a statement is known to take before it sends it, and looks what others have changed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest

from migrator.database import session
from migrator.database.session import Endpoint
from migrator.errors import DriftDetected
from migrator.plan import PredictedLock
from migrator.steps.meanwhile import Meanwhile
from tests.factories import plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import query
from tests.integration.test_between_steps import rehearsed, step, wait_for_lock
from tests.integration.test_meanwhile import TIDY

pytestmark = pytest.mark.usefixtures("queues_at_once")

LEAKS = "PERFORM setval(public.seen, (SELECT max(total) FROM public.secret));"
OPEN = f"""
CREATE TABLE orders (id int PRIMARY KEY, total int); INSERT INTO orders VALUES (1, 5); CREATE SEQUENCE seen;
CREATE TABLE secret AS SELECT 4111 AS total; CREATE TABLE "Other things" (id int);
{TIDY.format("")};
CREATE TRIGGER tidy BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION tidy();
"""


@pytest.mark.parametrize("transaction", [True, False])
@pytest.mark.parametrize("keeps", ["LOCK TABLE public.orders IN SHARE MODE", "LOCK TABLE ONLY public.orders"])
def test_what_was_exchanged_while_a_statement_waited_is_not_run(
    keeps: str, transaction: bool, make_database: MakeDatabase
) -> None:
    """It would be rolled back; but not what it has done to a sequence, where others read it."""
    sql = 'UPDATE orders SET total = 6 WHERE id = 1; ALTER TABLE "Other things" ADD a int;'
    back = 'ALTER TABLE "Other things" DROP a; UPDATE orders SET total = 5;'
    plan = plan_from_sql(sql, back, transaction=transaction)
    plan, bundle, database = rehearsed(make_database, plan, OPEN)
    with psycopg.connect(database.conninfo) as holder, ThreadPoolExecutor(1) as pool:
        holder.execute(keeps.encode())
        doing = pool.submit(step, plan.steps[0].name, plan, bundle, database)
        wait_for_lock(database, doing)
        query(database, TIDY.format(LEAKS))
        holder.rollback()
        with pytest.raises(DriftDetected, match=r"somebody else has changed what it may run.*public\.tidy"):
            doing.result()
    assert query(database, "SELECT last_value, is_called FROM public.seen") == [(1, False)]
    query(database, TIDY.format(""))
    step(plan.steps[0].name, plan, bundle, database)
    assert query(database, "SELECT total FROM public.orders") == [(6,)]


def test_what_may_not_be_locked_first_is_left_to_the_statement(database: Endpoint, superuser: str) -> None:
    theirs = replace(database, conninfo=superuser)
    query(theirs, "CREATE TABLE public.theirs (id int); GRANT SELECT ON public.theirs TO PUBLIC")
    query(database, "CREATE VIEW public.all_of_it AS SELECT 1")
    locks = [
        PredictedLock(f"public.{name}", mode)
        for name, mode in (
            ("theirs", "SHARE"),
            ("theirs", "ACCESS SHARE"),
            ("all_of_it", "ACCESS SHARE"),
            ("no", "SHARE"),
        )
    ]
    with Meanwhile(database) as meanwhile, session.connect(database, purpose="apply") as ours:
        ours.execute("BEGIN")
        meanwhile.lock_first(ours, locks)
        held = ours.execute(
            "SELECT mode FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'public.theirs'::regclass"
        ).fetchall()
    assert held == [("AccessShareLock",)]


def test_a_strong_lock_is_queued_for_as_long_as_the_queue_allows_and_the_timeout_is_as_before(
    database: Endpoint,
) -> None:
    query(database, "CREATE TABLE public.t (id int)")
    locks = [PredictedLock("public.t", mode) for mode in ("ROW EXCLUSIVE", "ACCESS EXCLUSIVE")]
    with (
        Meanwhile(database) as meanwhile,
        session.connect(database, purpose="apply", lock_timeout_ms=60_000) as ours,
        psycopg.connect(database.conninfo) as holder,
    ):
        holder.execute("LOCK public.t IN ACCESS SHARE MODE")
        ours.execute("BEGIN; SET LOCAL lock_timeout = '40s'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            meanwhile.lock_first(ours, locks, lambda most: 20 if most == 40_000 else most)
        holder.rollback()
        ours.execute("ROLLBACK; BEGIN; SET LOCAL lock_timeout = '40s'")
        meanwhile.lock_first(ours, locks, lambda most: 20)
        assert ours.execute("SHOW lock_timeout").fetchall() == [("40s",)]
        held = ours.execute(
            "SELECT mode FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'public.t'::regclass"
        ).fetchall()
    assert held == [("AccessExclusiveLock",)]
