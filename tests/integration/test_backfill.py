"""Step kind `backfill` on a real server: each row once in effect, whatever stops the worker."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from migrator.database.session import Endpoint
from migrator.errors import Cancelled, CommitUnknown, ConnectionLost, MigratorError, StatementFailed
from migrator.evidence import HALFWAY
from migrator.plan import Plan, Step
from migrator.steps import batch_promises, batch_size, batches, transaction
from migrator.steps.batch_progress import Progress
from migrator.steps.batches import Work
from migrator.steps.context import StepHandle
from migrator.steps.contract import Written
from migrator.steps.kinds import kind_named
from migrator.steps.undo_decision import Action
from tests.evidence import rehearse
from tests.factories import plan_from_sql, to_steps
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, query, roll_back, row_of, verify_it

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
    monkeypatch.setattr(batch_size, "FIRST_PAGES", 4)
    monkeypatch.setattr(batch_size, "MOST_PAGES", 8)


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


def test_rows_far_from_each_other_are_done_together(database: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row in five pages, and then all rows of each: a batch has as many of them, not of pages."""
    monkeypatch.setattr(batch_size, "FIRST_PAGES", 1)
    monkeypatch.setattr(batch_size, "MOST_PAGES", 8192)
    rows: list[int] = []
    real = batch_size.Size.after

    def after(self: batch_size.Size, pages: int, number: int, took: float, dense: float) -> None:
        rows.append(number)
        real(self, pages, number, took, dense)

    monkeypatch.setattr(batch_size.Size, "after", after)
    query(
        database,
        "CREATE TABLE wide (id int, b int, filler text);"
        " INSERT INTO wide SELECT g, CASE WHEN g <= 10000 AND g % 200 > 0 THEN 1 END, repeat('x', 180)"
        " FROM generate_series(1, 11000) AS g",
    )
    apply_all(plan_of(backfill("UPDATE wide SET b = 1 WHERE b IS NULL")), database)
    assert query(database, "SELECT count(*) FROM wide WHERE b IS NULL") == [(0,)]
    assert len(rows) < 20
    assert rows[0] < 2 * batch_size.USUAL_ROWS
    assert all(after <= 3 * before for before, after in pairwise(rows))


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


def test_columns_may_be_named_with_the_schema(database: Endpoint) -> None:
    query(database, TABLE)
    sql = "UPDATE public.t SET b = public.t.a * 2 WHERE public.t.b IS NULL"
    apply_all(plan_of(backfill(sql)), database)
    assert filled(database) == [(ROWS, 1, 1)]


@pytest.mark.parametrize("sql", ["UPDATE t SET c = 1 WHERE b IS NULL", "UPDATE u SET b = 1 WHERE b IS NULL"])
def test_a_text_is_refused_where_nothing_is_to_do(database: Endpoint, sql: str) -> None:
    """As in a rehearsal on a table without rows."""
    query(database, "CREATE TABLE t (id int, b int)")
    with pytest.raises(StatementFailed, match=r"fill\.sql:1.* does not exist"):
        apply_all(plan_of(backfill(sql)), database)


def test_deleting(database: Endpoint) -> None:
    query(database, TABLE)
    apply_all(plan_of(backfill("DELETE FROM t WHERE a % 10 = 3")), database)
    assert query(database, "SELECT count(*), count(*) FILTER (WHERE a % 10 = 3) FROM t") == [(ROWS - ROWS // 10, 0)]


@pytest.fixture
def going_on(database: Endpoint, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """While it is true, each look for rows that are left finds a new one."""
    monkeypatch.setattr(batches, "ROUNDS", 2)
    query(database, TABLE)
    real, going = Work._left, [True]

    def insert(work: Work) -> bool:
        if going[0]:
            query(database, "INSERT INTO t (id, a) VALUES (0, 0)")
        return real(work)

    monkeypatch.setattr(Work, "_left", insert)
    return going


def test_new_rows_without_end_are_told_and_the_retry_gets_on(database: Endpoint, going_on: list[bool]) -> None:
    plan = plan_of(backfill(FILL))
    for _ in range(2):
        with pytest.raises(StatementFailed, match=r"after 2 rounds .* something goes on writing them"):
            apply_all(plan, database)
    going_on[0] = False
    query(database, "INSERT INTO t (id, a) VALUES (1, 1)")
    apply_all(plan, database)
    assert query(database, "SELECT count(*) FROM t WHERE b IS NULL") == [(0,)]


def test_new_rows_without_end_can_be_ended_by_a_step_before(database: Endpoint, going_on: list[bool]) -> None:
    """As the message advises: after a rollback the migration may be another one."""
    undo = replace(plan_from_sql("SELECT 1", "UPDATE t SET b = NULL"), steps=(backfill(FILL),))
    with pytest.raises(StatementFailed, match="roll this migration back"):
        apply_all(undo, database)
    assert roll_back(undo, database, force=True).action is Action.ROLLED_BACK
    before = replace(plan_from_sql("ALTER TABLE t ALTER COLUMN b SET DEFAULT 0").steps[0], name="before")
    apply_all(replace(undo, steps=(before, backfill(FILL, start=1))), database, run_id="run-2")
    assert query(database, "SELECT count(*) FROM t WHERE b IS NULL") == [(0,)]


def test_the_last_look_takes_as_long_as_it_takes(database: Endpoint) -> None:
    """What limits a statement of the file is no limit for a look at the whole table."""
    query(
        database,
        f"""{TABLE} CREATE FUNCTION public.unhurried() RETURNS bool LANGUAGE plpgsql STABLE AS $$ BEGIN
        IF current_setting('transaction_read_only') = 'on' AND current_setting('statement_timeout') <> '0' THEN
        RAISE 'hurried'; END IF; RETURN true; END $$""",
    )
    plan = plan_of(backfill("UPDATE t SET b = a * 2 WHERE unhurried() AND b IS NULL"))
    apply_all(replace(plan, statement_timeout_ms=60_000), database)
    assert filled(database) == [(ROWS, 1, 1)]


def test_a_batch_that_fails_names_the_statement(database: Endpoint) -> None:
    query(database, TABLE)
    query(database, f"UPDATE t SET a = 2147483647 WHERE id = {ROWS}")
    with pytest.raises(StatementFailed, match=r"fill\.sql:1:.*integer out of range"):
        apply_all(plan_of(backfill(FILL)), database)
    query(database, f"UPDATE t SET a = 1 WHERE id = {ROWS}")
    apply_all(plan_of(backfill(FILL)), database)
    assert query(database, "SELECT count(*) FROM t WHERE b = a * 2") == [(ROWS,)]


def test_a_part_of_the_rows_is_undone_by_a_person(database: Endpoint, make_database: MakeDatabase) -> None:
    """Where the script was rehearsed after all of them alone: on the others it would undo what nobody has done."""
    plan = replace(plan_from_sql("SELECT 1", "UPDATE t SET a = a / 2, b = NULL"), steps=(backfill(DOUBLE),))
    query(database, TABLE)
    bundle = rehearse(plan, database, make_database("twin", script=TABLE), extra={HALFWAY: {}})
    query(database, f"UPDATE t SET a = 2147483647 WHERE id = {ROWS}")
    with pytest.raises(StatementFailed, match="integer out of range"):
        apply_all(plan, database, bundle)
    report = roll_back(plan, database, bundle)
    assert report.action is Action.HELD
    assert "the migration stopped part-way through step 'fill'" in report.reason
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
    assert query(database, "SELECT count(b) FROM t") == [(0,)], "it is asked before the first row is changed"


@pytest.mark.parametrize(
    "more, sql",
    [
        (
            "CREATE FUNCTION public.oldest() RETURNS int LANGUAGE plpgsql IMMUTABLE"
            " AS 'BEGIN RETURN (SELECT min(id) + 99 FROM t); END'",
            "DELETE FROM t WHERE id <= oldest()",
        ),
        (
            "CREATE TABLE u AS SELECT id, id + x AS c FROM t, (VALUES (1), (2)) AS v (x)",
            "UPDATE t SET b = u.c FROM u WHERE u.id = t.id AND t.b IS DISTINCT FROM u.c",
        ),
    ],
)
def test_a_rehearsal_that_changes_more_than_one_statement_fails(
    database: Endpoint, monkeypatch: pytest.MonkeyPatch, more: str, sql: str
) -> None:
    monkeypatch.setattr(batch_promises, "REHEARSAL", "apply")
    query(database, f"{TABLE.replace(str(ROWS), '800')} {more}")
    with pytest.raises(StatementFailed, match=r"fill\.sql:1: \d+ rows are changed already, and one statement would"):
        apply_all(plan_of(backfill(sql)), database)


def test_a_rehearsal_that_changes_as_much_as_one_statement_passes(
    database: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_promises, "REHEARSAL", "apply")
    query(database, f"{TABLE} CREATE TABLE u AS SELECT id, 7 AS c FROM t, (VALUES (1), (2)) AS v (x)")
    sql = "UPDATE t SET b = u.c FROM u WHERE u.id = t.id AND t.b IS DISTINCT FROM u.c"
    apply_all(plan_of(backfill(sql)), database)
    assert query(database, "SELECT count(*), max(times) FROM t WHERE b = 7") == [(ROWS, 1)]


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
