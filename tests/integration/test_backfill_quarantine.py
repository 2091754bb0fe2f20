"""Rows for which a batch fails: they alone are left out, and never is a step green that has left out one."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from migrator.database import withheld
from migrator.database.session import Endpoint
from migrator.errors import MigratorError, StatementFailed
from migrator.ledger.controls import Control
from migrator.ledger.ledger import Ledger
from migrator.plan import Plan
from migrator.reports.progress import progress_of
from migrator.steps import batch_size
from migrator.steps.batch_progress import Progress
from migrator.steps.batches import Work
from tests.factories import plan_from_sql
from tests.integration.stages import apply_all, query
from tests.integration.test_backfill import backfill

ROWS = 3_000
BAD = (7, 8, 1500, ROWS)
TABLE = f"""
CREATE TABLE t (id int PRIMARY KEY, a int, b int, times int NOT NULL DEFAULT 0);
INSERT INTO t (id, a) SELECT g, CASE WHEN g IN {BAD} THEN -g ELSE g END FROM generate_series(1, {ROWS}) AS g;
ALTER TABLE t ADD CONSTRAINT positive CHECK (b > 0);
CREATE FUNCTION public.counted() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.times := OLD.times + (NEW.b IS DISTINCT FROM OLD.b)::int; RETURN NEW; END $$;
CREATE TRIGGER counted BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION public.counted();
"""
FILL = "UPDATE t SET b = a * 2 WHERE b IS NULL"
RAISES = """
CREATE FUNCTION public.refuses() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN IF NEW.a < 0 THEN RAISE 'no %', NEW.a USING ERRCODE = 'ZZ001'; END IF; RETURN NEW; END $$;
ALTER TABLE t DROP CONSTRAINT positive;
"""
WHYS = {
    "a check": ("", "constraint positive"),
    "a trigger": (
        f"{RAISES} CREATE TRIGGER refuses BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION refuses()",
        "a SQLSTATE of its own",
    ),
    "a trigger that waits for COMMIT": (
        f"""{RAISES} CREATE CONSTRAINT TRIGGER refuses AFTER UPDATE ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
        EXECUTE FUNCTION refuses()""",
        "a SQLSTATE of its own",
    ),
}


def plan_of(quarantine: int, sql: str = FILL) -> Plan:
    step = backfill(sql, quarantine=quarantine)
    return replace(plan_from_sql("SELECT 1", "UPDATE t SET b = NULL"), steps=(step,))


def undone(database: Endpoint) -> list[int]:
    return [row[0] for row in query(database, "SELECT id FROM t WHERE b IS DISTINCT FROM a * 2 ORDER BY id")]


def mend(database: Endpoint, *ids: int) -> None:
    query(database, "UPDATE t SET a = -a WHERE id = ANY(%s)", list(ids))


def left_out(plan: Plan, database: Endpoint) -> int:
    with Ledger(database) as ledger:
        (step,) = progress_of(ledger.steps(plan.version), Control())
    return step.left_out


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_size, "FIRST_PAGES", 4)
    monkeypatch.setattr(batch_size, "MOST_PAGES", 8)


@pytest.mark.parametrize("more, why", WHYS.values(), ids=WHYS)
def test_all_others_are_done_and_the_step_fails_until_these_are(
    database: Endpoint, tmp_path: Path, more: str, why: str
) -> None:
    query(database, TABLE + more)
    plan, kept = plan_of(4), withheld.LocalFile(tmp_path / "kept.txt")
    with (
        withheld.kept_by(withheld.Keeper(lambda: kept, print)),
        pytest.raises(StatementFailed, match=rf"rows that fail: 4 \({why}\); they are left out") as caught,
    ):
        apply_all(plan, database)
    assert undone(database) == list(BAD)
    assert left_out(plan, database) == 4
    assert not any(f"({number})" in str(caught.value) for number in BAD)
    told = (tmp_path / "kept.txt").read_text()
    assert all(f"row (id) = ({number}) at (" in told for number in BAD)
    mend(database, *BAD[:3])
    with pytest.raises(StatementFailed, match=rf"rows that fail: 1 \({why}\)"):
        apply_all(plan, database)
    assert undone(database) == [ROWS]
    mend(database, ROWS)
    apply_all(plan, database)
    assert query(database, "SELECT count(*), min(times), max(times) FROM t WHERE b = a * 2") == [(ROWS, 1, 1)]
    assert left_out(plan, database) == 0


def test_without_a_quarantine_it_fails_with_all_of_the_batch(
    database: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_size, "FIRST_PAGES", 2)
    query(database, TABLE)
    with pytest.raises(StatementFailed, match=r"fill\.sql:1.*; rows that fail: 2 \(constraint positive\); the"):
        apply_all(plan_of(0), database)
    missing = undone(database)
    assert missing[:2] == [7, 8]
    assert missing[2] > 100, "the others of its page are done"
    assert len(missing) > ROWS / 2, "and not those after its batch"


def test_the_next_attempt_begins_with_the_row_that_failed(database: Endpoint) -> None:
    query(database, TABLE)
    plan = plan_of(0)
    for _ in range(2):
        with pytest.raises(StatementFailed, match="rows that fail: 2 "):
            apply_all(plan, database)
    mend(database, 7)
    with pytest.raises(StatementFailed, match="rows that fail: 1 "):
        apply_all(plan, database)
    mend(database, 8, 1500, ROWS)
    apply_all(plan, database)
    assert undone(database) == []


def test_more_than_may_be_left_out(database: Endpoint) -> None:
    query(database, TABLE)
    with pytest.raises(StatementFailed, match=r"rows that fail: 3 .* quarantine: 2 takes no more"):
        apply_all(plan_of(2), database)
    assert {7, 8, 1500, ROWS} <= set(undone(database))


def test_what_fails_for_every_row_is_told_soon(database: Endpoint) -> None:
    query(database, f"{TABLE} ALTER TABLE t ADD CONSTRAINT none CHECK (b < 0)")
    with pytest.raises(StatementFailed, match=r"rows that fail: 18 \(constraint none\), 2 \("):
        apply_all(plan_of(0), database)
    assert query(database, "SELECT count(b) FROM t") == [(0,)]
    left = query(database, "SELECT cursor - 'others' FROM migrator.schema_migration_steps")
    assert left == [({},)], "nothing is to undo"


@pytest.mark.parametrize("mended", [True, False])
def test_what_moves_meanwhile_is_not_counted_twice(
    database: Endpoint, monkeypatch: pytest.MonkeyPatch, mended: bool
) -> None:
    """The application changes a row that is left out: it lies elsewhere then, and something else may lie there."""
    query(database, TABLE)
    real, count = Work._batch, [0]

    def moved(work: Work, table: Any, then: Progress, first: int) -> Progress:
        count[0] += 1
        if count[0] == 12:
            query(database, "UPDATE t SET a = a - 1 WHERE id IN (7, 8)")
            query(database, "VACUUM FULL t")
            if mended:
                mend(database, *BAD)
        return real(work, table, then, first)

    monkeypatch.setattr(Work, "_batch", moved)
    plan = plan_of(4)
    if mended:
        apply_all(plan, database)
        assert undone(database) == []
    else:
        with pytest.raises(StatementFailed, match="rows that fail: 4 "):
            apply_all(plan, database)
        assert undone(database) == list(BAD)
    assert count[0] > 12


@pytest.mark.parametrize("more", [0, 1], ids=["nobody else", "a writer of others"])
def test_rows_that_fail_and_are_moved_again_and_again_are_told_as_such(
    database: Endpoint, monkeypatch: pytest.MonkeyPatch, more: int
) -> None:
    """The application changes them before each look for what is left, so no place of theirs is known by then. Where
    somebody writes rows that a batch does change, it is that which keeps the step from its end."""
    query(database, TABLE)
    real, looks = Work._is_done, [0]

    def moved(work: Work) -> bool:
        looks[0] += 1
        query(database, "UPDATE t SET a = a - 1 WHERE a < 0")
        query(database, "UPDATE t SET a = a + 1, b = NULL WHERE id = 1 AND %s > 0", more)
        return real(work)

    monkeypatch.setattr(Work, "_is_done", moved)
    plan = plan_of(100)
    told = "^fill.sql:1: after 10 rounds there are still rows.* besides" if more else "rows that fail"
    with pytest.raises(StatementFailed, match=rf"{told}: 4 \(constraint positive\)"):
        apply_all(plan, database)
    assert undone(database) == [*([1] if more else []), *BAD]
    assert more or looks[0] < 6, "a round that changes nothing is the last"
    monkeypatch.setattr(Work, "_is_done", real)
    mend(database, *BAD)
    apply_all(plan, database)
    assert undone(database) == []


def test_over_a_kill(database: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    query(database, TABLE)
    plan, real = plan_of(4), Work._batch

    def killed(work: Work, table: Any, then: Progress, first: int) -> Progress:
        if len(work.quarantine.rows) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(work, table, then, first)

    monkeypatch.setattr(Work, "_batch", killed)
    child = os.fork()
    if child == 0:
        try:
            apply_all(plan, database)
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    monkeypatch.setattr(Work, "_batch", real)
    assert left_out(plan, database) == 3
    with pytest.raises(MigratorError, match=r"rows that fail: 4 \(constraint positive\); they are left out"):
        apply_all(plan, database)
    assert undone(database) == list(BAD)
    mend(database, *BAD)
    apply_all(plan, database)
    assert query(database, "SELECT count(*), max(times) FROM t WHERE b = a * 2") == [(ROWS, 1)]


def test_rows_of_partitions_that_are_done_together(database: Endpoint) -> None:
    """A place is one of a partition's."""
    query(
        database,
        f"""CREATE TABLE p (id int, k int, a int, b int CHECK (b > 0)) PARTITION BY LIST (k);
        CREATE TABLE p0 PARTITION OF p FOR VALUES IN (0); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
        INSERT INTO p SELECT g, g % 2, CASE WHEN g % 1000 = 0 THEN -g ELSE g END FROM generate_series(1, {ROWS}) AS g;
        CREATE FUNCTION public.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER all_of_them AFTER UPDATE ON p FOR EACH STATEMENT EXECUTE FUNCTION nothing()""",
    )
    plan = plan_of(10, "UPDATE p SET b = a WHERE b IS NULL")
    with pytest.raises(StatementFailed, match="rows that fail: 3 "):
        apply_all(plan, database)
    assert query(database, "SELECT array_agg(id ORDER BY id) FROM p WHERE b IS NULL") == [([1000, 2000, 3000],)]
    query(database, "UPDATE p SET a = 1 WHERE a < 0")
    apply_all(plan, database)
    assert query(database, "SELECT count(*) FROM p WHERE b = a") == [(ROWS,)]
