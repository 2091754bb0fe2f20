"""Step kind `backfill` on a real server: each row once in effect, whatever stops the worker."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
import pytest

from migrator.database.session import Endpoint
from migrator.errors import Cancelled, CommitUnknown, ConnectionLost, LockNotAvailable, MigratorError, StatementFailed
from migrator.evidence import HALFWAY
from migrator.plan import Plan, Step
from migrator.stages.rollback import Action
from migrator.steps import batches, transaction
from migrator.steps.batches import Pace, Progress, Work
from migrator.steps.context import StepHandle
from migrator.steps.contract import Written
from migrator.steps.kinds import kind_named
from tests.evidence import rehearse
from tests.factories import plan_from_sql, to_steps
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, query, roll_back, row_of, verify_it
from tests.integration.test_apply import in_background, wait_for

ROWS = 8_000
TABLE = f"""
CREATE TABLE t (id int, a int, b int, times int NOT NULL DEFAULT 0);
INSERT INTO t (id, a) SELECT g, g FROM generate_series(1, {ROWS}) AS g;
CREATE FUNCTION public.counted() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.times := OLD.times + 1; RETURN NEW; END $$;
CREATE TRIGGER counted BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION public.counted();
"""
DOUBLE = "UPDATE t SET a = a * 2, b = 1 WHERE b IS NULL"
FILL = "UPDATE t SET b = a * 2 WHERE b IS NULL"
WAITS = (
    "EXISTS (SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'migration apply%'"
    " AND wait_event_type = 'Lock')"
)


def backfill(sql: str, *, name: str = "fill", start: int = 0, **parameters: Any) -> Step:
    parsed, statements = to_steps(sql, f"{name}.sql", start=start)
    given = {"file": None, "batch_ms": 100, "pause_ms": 0, **parameters}
    return kind_named("backfill").plan(Written(name, parsed, statements, given))


def plan_of(*steps: Step) -> Plan:
    return replace(plan_from_sql("SELECT 1", "SELECT 1"), steps=steps)


def filled(database: Endpoint) -> list[tuple[Any, ...]]:
    """How many rows are right, and how often each was changed."""
    return query(database, "SELECT count(*), min(times), max(times) FROM t WHERE b = a * 2")


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that there are many."""
    monkeypatch.setattr(batches, "FIRST_PAGES", 4)
    monkeypatch.setattr(batches, "MOST_PAGES", 8)


def test_every_row_is_changed_once(database: Endpoint) -> None:
    query(database, TABLE)
    plan = plan_of(backfill(FILL))
    (result,) = apply_all(plan, database)
    assert filled(database) == [(ROWS, 1, 1)]
    assert result.statements[0].rows == ROWS
    verify_it(plan, database)
    row = row_of(plan, database)
    assert row is not None
    assert row.status == "success"


@pytest.mark.parametrize("how", ["cancelled", "terminated"])
def test_it_goes_on_where_it_was(database: Endpoint, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    query(database, TABLE)
    plan, handle, real, count = plan_of(backfill(FILL)), StepHandle(), Work._batch, [0]

    def stopped(work: Work, table: Any, then: Progress, first: int) -> Progress:
        count[0] += 1
        if count[0] == 5 and how == "cancelled":
            handle.cancel()
        elif count[0] == 5:
            query(database, f"SELECT pg_terminate_backend({work.conn.info.backend_pid})")
        return real(work, table, then, first)

    monkeypatch.setattr(Work, "_batch", stopped)
    with pytest.raises(Cancelled if how == "cancelled" else MigratorError):
        apply_all(plan, database, handle=handle)
    ((done, least, most),) = filled(database)
    assert 0 < done < ROWS
    assert (least, most) == (1, 1)
    apply_all(plan, database)
    assert filled(database) == [(ROWS, 1, 1)]


def test_rows_that_move_to_an_earlier_page_are_found(database: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """The application changes a row that is still to be done, and it lands where the batches have been."""
    query(database, TABLE)
    real, count, rounds = Work._batch, [0], set()

    def moved(work: Work, table: Any, then: Progress, first: int) -> Progress:
        count[0] += 1
        rounds.add(then.round)
        if count[0] == 4:
            query(database, "VACUUM t")
            query(database, f"UPDATE t SET a = a + 1 WHERE id > {ROWS - 500}")
        return real(work, table, then, first)

    monkeypatch.setattr(Work, "_batch", moved)
    apply_all(plan_of(backfill(FILL)), database)
    assert query(database, "SELECT count(*) FROM t WHERE b IS DISTINCT FROM a * 2") == [(0,)]
    assert rounds == {1, 2}


def test_a_condition_that_stays_true_is_refused_before_anything_is_done_twice(database: Endpoint) -> None:
    query(database, TABLE)
    with pytest.raises(StatementFailed, match=r"fill\.sql:1: .* rows still meet the condition after the change"):
        apply_all(plan_of(backfill("UPDATE t SET a = a + 1 WHERE id > 0")), database)
    assert query(database, "SELECT count(*) FROM t WHERE a <> id") == [(0,)]


def test_partitions_are_done_one_after_the_other(database: Endpoint) -> None:
    query(
        database,
        """CREATE TABLE p (id int, "when" date, b int) PARTITION BY RANGE ("when");
        CREATE TABLE "p 2024" PARTITION OF p FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
        CREATE TABLE p_rest PARTITION OF p DEFAULT;
        INSERT INTO p SELECT g, date '2023-06-01' + g % 700 FROM generate_series(1, 5000) AS g""",
    )
    (result,) = apply_all(plan_of(backfill("UPDATE p AS x SET b = x.id WHERE x.b IS NULL")), database)
    assert query(database, "SELECT count(*) FROM p WHERE b = id") == [(5000,)]
    assert result.statements[0].rows == 5000


def test_rows_of_another_table(database: Endpoint) -> None:
    query(database, TABLE)
    query(database, "CREATE TABLE u AS SELECT id, id + 7 AS c FROM t WHERE id % 2 = 0")
    apply_all(plan_of(backfill("UPDATE t SET b = u.c FROM u WHERE u.id = t.id AND t.b IS DISTINCT FROM u.c")), database)
    assert query(database, "SELECT count(*), min(b - id), max(b - id) FROM t WHERE b IS NOT NULL") == [
        (ROWS // 2, 7, 7)
    ]


def test_a_locked_row_is_waited_for_last_and_with_nothing_held(database: Endpoint) -> None:
    """Whoever holds it may want any other row meanwhile: as it was, a deadlock, which the application could lose."""
    query(database, TABLE)
    with psycopg.connect(database.conninfo) as holder:
        holder.execute(f"UPDATE t SET a = a WHERE id = {ROWS // 2}")
        with in_background(lambda: apply_all(plan_of(backfill(FILL)), database)) as raised:
            wait_for(database, WAITS)
            holder.execute("SET lock_timeout = '1s'")
            holder.execute(f"UPDATE t SET a = a + 1 WHERE id <> {ROWS // 2}")
            holder.commit()
    assert raised == []
    assert query(database, "SELECT count(*), count(*) FILTER (WHERE b IS NULL) FROM t") == [(ROWS, 0)]
    assert query(database, "SELECT count(*) FROM t WHERE b = a * 2") == [(1,)], "the others were done before"


@pytest.mark.parametrize("sql", [FILL, "DELETE FROM t WHERE b IS NULL", "UPDATE t SET b = 1 FROM u WHERE b IS NULL"])
def test_rows_that_somebody_holds_to_the_deadline_are_told(database: Endpoint, sql: str) -> None:
    query(database, TABLE + "CREATE TABLE u AS SELECT 1 AS c")
    with psycopg.connect(database.conninfo, application_name="holder") as holder:
        holder.execute("SELECT FROM t WHERE id IN (17, 4000) FOR UPDATE")
        plan = replace(plan_of(backfill(sql)), lock_timeout_ms=300)
        with pytest.raises(LockNotAvailable, match=r"no lock after .* \(holder"):
            apply_all(plan, database, deadline_seconds=0.0)
        assert query(database, "SELECT count(*) FROM t WHERE b IS NULL") == [(2,)]
    apply_all(plan, database)
    assert query(database, "SELECT count(*) FROM t WHERE b IS NULL") == [(0,)]


def test_a_row_that_moves_to_another_partition_while_it_is_waited_for(database: Endpoint) -> None:
    query(
        database,
        """CREATE TABLE p (id int, b int) PARTITION BY LIST (id);
        CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
        INSERT INTO p VALUES (2, NULL)""",
    )
    with psycopg.connect(database.conninfo) as holder:
        holder.execute("UPDATE p SET id = 1")
        with in_background(
            lambda: apply_all(plan_of(backfill("UPDATE p SET b = id WHERE b IS NULL")), database)
        ) as raised:
            wait_for(database, WAITS)
            holder.commit()
    assert raised == []
    assert query(database, "SELECT id, b FROM p") == [(1, 1)]


@pytest.mark.thorough
def test_rows_that_a_trigger_keeps_as_they_are_are_told(database: Endpoint) -> None:
    """Nobody holds them, so waiting does not help."""
    query(database, TABLE)
    query(
        database,
        "CREATE FUNCTION public.kept() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        " CREATE TRIGGER kept BEFORE UPDATE ON t FOR EACH ROW WHEN (OLD.id = 17) EXECUTE FUNCTION public.kept()",
    )
    with pytest.raises(StatementFailed, match="after 10 rounds there are still rows"):
        apply_all(plan_of(backfill(FILL)), database)


def test_deleting(database: Endpoint) -> None:
    query(database, TABLE)
    apply_all(plan_of(backfill("DELETE FROM t WHERE a % 10 = 3")), database)
    assert query(database, "SELECT count(*), count(*) FILTER (WHERE a % 10 = 3) FROM t") == [(ROWS - ROWS // 10, 0)]


@pytest.mark.thorough
def test_new_rows_without_end_are_told(database: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    query(database, TABLE)
    real = Work._left

    def insert(work: Work) -> bool:
        query(database, "INSERT INTO t (id, a) VALUES (0, 0)")
        return real(work)

    monkeypatch.setattr(Work, "_left", insert)
    with pytest.raises(StatementFailed, match=r"after 10 rounds .* something goes on writing them"):
        apply_all(plan_of(backfill(FILL)), database)


def test_a_batch_that_fails_names_the_statement(database: Endpoint) -> None:
    query(database, TABLE)
    query(database, f"UPDATE t SET a = 2147483647 WHERE id = {ROWS}")
    with pytest.raises(StatementFailed, match=r"fill\.sql:1:.*integer out of range"):
        apply_all(plan_of(backfill(FILL)), database)
    query(database, f"UPDATE t SET a = 1 WHERE id = {ROWS}")
    apply_all(plan_of(backfill(FILL)), database)
    assert query(database, "SELECT count(*) FROM t WHERE b = a * 2") == [(ROWS,)]


def test_a_part_of_the_rows_is_undone_by_a_person(database: Endpoint, make_database: MakeDatabase) -> None:
    """The script was rehearsed after all of them: on the others it would undo what nobody has done."""
    plan = replace(plan_from_sql("SELECT 1", "UPDATE t SET a = a / 2, b = NULL"), steps=(backfill(DOUBLE),))
    query(database, TABLE)
    bundle = rehearse(plan, database, make_database("twin", script=TABLE), extra={HALFWAY: {}})
    query(database, f"UPDATE t SET a = 2147483647 WHERE id = {ROWS}")
    with pytest.raises(StatementFailed, match="integer out of range"):
        apply_all(plan, database, bundle)
    report = roll_back(plan, database, bundle)
    assert report.action is Action.HELD
    assert "the migration stopped within statement 1 of step 'fill'" in report.reason
    assert query(database, "SELECT count(*) FROM t WHERE a = id * 2 AND b = 1") > [(0,)]


def test_a_condition_that_writes_is_refused(database: Endpoint) -> None:
    """Nobody would look at what it wrote when the rows that are left are looked for."""
    query(database, TABLE)
    query(database, "CREATE TABLE told (id int)")
    query(
        database,
        "CREATE FUNCTION public.told(int) RETURNS bool LANGUAGE sql AS 'INSERT INTO told VALUES ($1); SELECT true'",
    )
    with pytest.raises(StatementFailed, match=r"fill\.sql:1.*read-only transaction"):
        apply_all(plan_of(backfill("UPDATE t SET b = a * 2 WHERE CASE WHEN told(id) THEN b IS NULL END")), database)


@pytest.mark.parametrize("light", [True, False])
def test_a_commit_without_an_answer(database: Endpoint, monkeypatch: pytest.MonkeyPatch, light: bool) -> None:
    """It took effect; the ledger's row, which committed with it, says where to go on."""
    query(database, TABLE)
    if not light:  # then COMMIT may run triggers
        query(
            database,
            "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON t DEFERRABLE FOR EACH ROW EXECUTE FUNCTION counted()",
        )
    plan, real, count = plan_of(backfill(FILL)), transaction.commit_only, [0]

    def unanswered(conn: Any, step: Step, ctx: Any) -> None:
        count[0] += 1
        real(conn, step, ctx)
        if count[0] == 3:
            conn.close()
            raise CommitUnknown("the connection was lost at COMMIT of step 'fill'")

    monkeypatch.setattr(batches if light else transaction, "commit_only", unanswered)
    with pytest.raises(ConnectionLost, match="the next try goes on from there"):
        apply_all(plan, database)
    ((done, _, _),) = filled(database)
    assert 0 < done < ROWS
    apply_all(plan, database)
    assert filled(database) == [(ROWS, 1, 1)]


def test_the_size_of_a_batch_follows_its_time() -> None:
    pace = Pace(0.1, 0.0)
    assert pace.next(6, 0.1) == 6
    assert pace.next(6, 10.0) == 3
    assert pace.next(6, 0.0001) == 8, "no more than MOST_PAGES"
    assert pace.next(1, 60.0) == 1
    assert pace.next(4, 0.05, 0.05) == 4
    assert pace.next(4, 0.05, 0.5) == 4, "slow round trips do not make a batch of nothing"
