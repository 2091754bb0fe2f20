"""Step kind `backfill` while others work on the table: it gives way, and what it gave way to it does later."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from migrator.database import session
from migrator.database.session import Endpoint
from migrator.errors import Cancelled, LockNotAvailable, TransientError
from migrator.ledger.ledger import Ledger
from migrator.plan import Plan
from migrator.steps import batch_size
from migrator.steps.batch_progress import Progress
from migrator.steps.batch_sender import Sender
from migrator.steps.batches import Work
from migrator.steps.context import StepHandle
from tests.integration.stages import apply_all, query
from tests.integration.test_backfill import FILL, ROWS, TABLE, backfill, filled, plan_of


class Pausing(StepHandle):
    """Does something when the step rests, and rests no longer than that takes."""

    def __init__(self, then: Callable[[], object]) -> None:
        super().__init__()
        self.then = then

    def sleep(self, seconds: float) -> None:
        if seconds:
            self.then()
        self.raise_if_cancelled()


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The pages of each try."""
    real, seen = Work._batch, []

    def batch(work: Work, table: Any, then: Progress, first: int) -> Progress:
        seen.append(then.page - first)
        return real(work, table, then, first)

    monkeypatch.setattr(Work, "_batch", batch)
    return seen


def meet(database: Endpoint, plan: Plan, *texts: str) -> None:
    """It waits for a row of a transaction that has done this."""
    blocked = """SELECT EXISTS (SELECT FROM pg_stat_activity
        WHERE %s = ANY(pg_blocking_pids(pid)) AND application_name LIKE 'migration%%')"""
    thread = threading.Thread(target=apply_all, args=(plan, database))
    with psycopg.connect(database.conninfo) as app, psycopg.connect(database.conninfo, autocommit=True) as look:
        for text in texts:
            app.execute(text.encode())
        thread.start()
        while look.execute(blocked.encode(), (app.info.backend_pid,)).fetchone() == (False,):
            assert thread.is_alive()
        app.commit()
    thread.join()


def slow(per_row: float) -> str:
    return (
        "CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN PERFORM pg_sleep({per_row}); RETURN NEW; END $$;"
        " CREATE TRIGGER slow BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION public.slow()"
    )


def test_a_row_that_is_held_holds_few_others(
    database: Endpoint, monkeypatch: pytest.MonkeyPatch, sizes: list[int]
) -> None:
    query(database, TABLE)
    with psycopg.connect(database.conninfo) as holder:
        holder.execute("SELECT FROM t WHERE id = 3000 FOR UPDATE")
        tries: list[int] = []

        def pause() -> None:
            tries.append(sizes[-1])
            if len(tries) == 2:
                holder.rollback()

        apply_all(plan_of(backfill(FILL)), database, handle=Pausing(pause))
    assert filled(database) == [(ROWS, 1, 1)]
    assert tries[1] < tries[0] / 4


def test_a_row_that_stays_held_is_told_with_its_holder(database: Endpoint) -> None:
    query(database, TABLE)
    with psycopg.connect(database.conninfo, application_name="held by me") as holder:
        holder.execute("SELECT FROM t WHERE id = 1 FOR UPDATE")
        with pytest.raises(LockNotAvailable, match="held by me"):
            apply_all(plan_of(backfill(FILL)), database, deadline_seconds=1)


def test_the_application_is_never_the_victim(database: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has changed a late row of the batch, and changes an early one now."""
    query(database, f"{TABLE}; CREATE UNIQUE INDEX ON t (id)")
    monkeypatch.setattr(batch_size, "FIRST_PAGES", 32)
    got: list[str | None] = []
    begun = threading.Event()
    application = psycopg.connect(database.conninfo)
    application.execute("UPDATE t SET a = a WHERE id = 3000")

    def early() -> None:
        begun.wait()
        try:
            application.execute("UPDATE t SET a = a WHERE id = 50")
            application.commit()
            got.append("done")
        except psycopg.Error as exc:
            got.append(exc.sqlstate)

    thread, real = threading.Thread(target=early), Sender._send

    def send(sender: Sender, *args: Any) -> Any:
        begun.set()
        return real(sender, *args)

    monkeypatch.setattr(Sender, "_send", send)
    thread.start()
    with application:
        apply_all(plan_of(backfill(FILL)), database)
        thread.join()
    assert got == ["done"]
    assert query(database, "SELECT count(*) FROM t WHERE b IS DISTINCT FROM a * 2") == [(0,)]


@pytest.mark.parametrize("sqlstate", ["40P01", "40001"])
def test_what_may_go_through_later_is_tried_again(
    database: Endpoint, monkeypatch: pytest.MonkeyPatch, sqlstate: str
) -> None:
    query(database, TABLE)
    real, failing = Sender._send, [sqlstate]

    def send(sender: Sender, *args: Any) -> Any:
        done = real(sender, *args)
        if failing:
            raise TransientError("it met somebody", sqlstate=failing.pop())
        return done

    monkeypatch.setattr(Sender, "_send", send)
    apply_all(plan_of(backfill(FILL)), database)
    assert filled(database) == [(ROWS, 1, 1)]


@pytest.mark.parametrize("where", ["_tables", "_left"])
def test_a_lock_is_waited_for_while_it_looks(database: Endpoint, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    query(database, TABLE)
    real, holder = getattr(Work, where), psycopg.connect(database.conninfo)

    def locked(work: Work) -> Any:
        monkeypatch.setattr(Work, where, real)
        holder.execute("LOCK t IN ACCESS EXCLUSIVE MODE")
        return real(work)

    monkeypatch.setattr(Work, where, locked)
    plan = replace(plan_of(backfill(FILL)), lock_timeout_ms=50)
    with holder:
        apply_all(plan, database, handle=Pausing(holder.rollback))
    assert filled(database) == [(ROWS, 1, 1)]


def test_a_row_of_a_transaction_in_flight_is_waited_for(database: Endpoint) -> None:
    query(database, TABLE)
    with psycopg.connect(database.conninfo) as conn:
        conn.execute("INSERT INTO t (id, a) VALUES (-1, 7)")
        apply_all(plan_of(backfill(FILL)), database, handle=Pausing(conn.commit))
    assert filled(database) == [(ROWS + 1, 1, 1)]


def test_a_transaction_that_stays_open_is_told(database: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    query(database, TABLE)
    with psycopg.connect(database.conninfo, application_name="forgotten") as conn:
        conn.execute("INSERT INTO t (id, a) VALUES (-1, 7)")
        with pytest.raises(LockNotAvailable, match=r"transactions that are open nobody knows: pid .*forgotten"):
            apply_all(plan_of(backfill(FILL)), database, deadline_seconds=0.2)


def test_a_batch_that_takes_too_long_is_stopped(
    database: Endpoint, monkeypatch: pytest.MonkeyPatch, sizes: list[int]
) -> None:
    """It is done again with fewer pages; one page may take as long as it takes."""
    monkeypatch.setattr(batch_size, "FIRST_PAGES", 8)
    query(database, TABLE.replace(str(ROWS), "1400"))
    query(database, slow(0.001))
    apply_all(plan_of(backfill(FILL, batch_ms=10)), database)
    assert filled(database) == [(1400, 1, 1)]
    assert sizes[0] > sizes[1] == 1, "by rows, of which a page has more than is usual"


def test_what_is_done_is_passed_without_a_batch(database: Endpoint, sizes: list[int]) -> None:
    """And the first batch behind it is as small as the very first one."""
    query(
        database,
        "CREATE TABLE t AS SELECT g AS id, g AS a, CASE WHEN g <= 29000 THEN g * 2 END AS b"
        " FROM generate_series(1, 30000) AS g",
    )
    apply_all(plan_of(backfill(FILL)), database)
    assert query(database, "SELECT count(*) FROM t WHERE b IS NULL") == [(0,)]
    assert len(sizes) < 12
    assert max(sizes) <= 8


@pytest.mark.parametrize("light", [True, False])
def test_a_cancel_while_the_ledger_is_written_is_a_cancel(
    database: Endpoint, monkeypatch: pytest.MonkeyPatch, light: bool
) -> None:
    query(database, TABLE)
    monkeypatch.setattr(Ledger, "is_light", lambda ledger, on: light)
    handle = StepHandle()

    def advanced(ledger: Ledger, *args: Any, on: Any, **kwargs: Any) -> None:
        handle._stopped.set()
        on.execute("SELECT pg_cancel_backend(pg_backend_pid())")
        on.execute("SELECT pg_sleep(10)")

    monkeypatch.setattr(Ledger, "step_advanced", advanced)
    with pytest.raises(Cancelled):
        apply_all(plan_of(backfill(FILL)), database, handle=handle)


def test_it_looks_on_from_one_session(database: Endpoint, monkeypatch: pytest.MonkeyPatch, sizes: list[int]) -> None:
    """However many batches take long enough for somebody to be in the way."""
    monkeypatch.setattr(batch_size, "MOST_PAGES", 1)
    query(database, TABLE.replace(str(ROWS), "1400"))
    query(database, slow(0.0005))
    real, opened = session.connect, []

    def connect(endpoint: Endpoint, **options: Any) -> Any:
        opened.extend([options] if options.get("statement_timeout_ms") == 2000 else [])
        return real(endpoint, **options)

    monkeypatch.setattr(session, "connect", connect)
    apply_all(plan_of(backfill(FILL)), database)
    assert len(sizes) > 5
    assert len(opened) <= 1


TOTALS = """
CREATE TABLE sums (id int PRIMARY KEY, total int) WITH (fillfactor = 40);
INSERT INTO sums SELECT g FROM generate_series(1, 300) AS g;
CREATE TABLE items (id int PRIMARY KEY, sums_id int REFERENCES sums, x int);
INSERT INTO items SELECT g, g, 1 FROM generate_series(1, 300) AS g;
CREATE FUNCTION public.kept_up() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN UPDATE public.sums SET total = total + NEW.x WHERE id = NEW.sums_id; RETURN NULL; END $$;
CREATE TRIGGER kept_up AFTER INSERT ON items FOR EACH ROW EXECUTE FUNCTION kept_up();
"""


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE sums SET total = (SELECT sum(x) FROM items WHERE items.sums_id = sums.id) WHERE total IS NULL",
        "UPDATE sums SET total = own.x FROM (SELECT sums_id, sum(x) AS x FROM items GROUP BY 1) AS own"
        " WHERE own.sums_id = sums.id AND total IS NULL",
        "UPDATE sums SET total = CASE WHEN id > 0 THEN (SELECT sum(x) FROM items WHERE items.sums_id = sums.id) END"
        " WHERE total IS NULL",
    ],
    ids=["a query", "a join", "a query within"],
)
def test_a_row_that_was_waited_for_is_put_together_with_what_is_there_then(database: Endpoint, sql: str) -> None:
    """Both are committed by one transaction: a row that is new never goes with partners that are old."""
    query(database, TOTALS)
    meet(database, plan_of(backfill(sql)), "INSERT INTO items VALUES (1000, 5, 100)")
    wrong = "SELECT id, total FROM sums WHERE total <> (SELECT sum(x) FROM items WHERE items.sums_id = sums.id)"
    assert query(database, wrong) == []
    assert query(database, "SELECT count(total) FROM sums") == [(300,)]


def test_a_row_that_was_waited_for_is_kept_where_it_must_be_then(database: Endpoint) -> None:
    query(database, f"{TOTALS} ALTER TABLE items DROP CONSTRAINT items_sums_id_fkey; DELETE FROM items WHERE id < 10")
    sql = "DELETE FROM sums WHERE NOT EXISTS (SELECT FROM items WHERE items.sums_id = sums.id)"
    meet(database, plan_of(backfill(sql)), "INSERT INTO items VALUES (1000, 5, 100)")
    assert query(database, "SELECT id FROM sums WHERE id < 11 ORDER BY id") == [(5,), (10,)]
