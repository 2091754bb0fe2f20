"""Which rows are a migration's own is known by the numbers of its transactions: what others write while a step goes on
is theirs, and a rollback that would take it is held."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from migrator.database.session import Endpoint
from migrator.evidence import EvidenceBundle
from migrator.plan import Plan, Step
from migrator.steps import batch_size, concurrent_index
from migrator.steps.batches import Progress, Work
from migrator.steps.undo_decision import Action
from tests.evidence import rehearse
from tests.factories import plan_from_sql
from tests.integration import test_gate as gates
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, query, roll_back
from tests.integration.test_backfill import backfill
from tests.integration.test_rollback_newer_rows import PRICES

MADE = plan_from_sql("CREATE TABLE made (id int PRIMARY KEY, v int);", "DROP TABLE IF EXISTS made;")
SOURCE = """
CREATE TABLE s AS SELECT g AS id, g AS v, repeat('x', 200) AS f FROM generate_series(1, 3000) AS g;
CREATE TABLE elsewhere (id int);
CREATE TABLE flags (done boolean);
"""
COPIED = "INSERT INTO made (id, v) SELECT s.id, s.v FROM s WHERE NOT EXISTS (SELECT FROM made WHERE made.id = s.id)"
SLOW = "SELECT pg_sleep(2)"
ASLEEP = f"SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE '%{SLOW}%' AND wait_event = 'PgSleep')"
CAUGHT = "DO $$ BEGIN {} EXCEPTION WHEN division_by_zero THEN NULL; END $$;"


def beside(*steps: Step) -> Plan:
    return replace(MADE, steps=(MADE.steps[0], *steps))


def rehearsed(plan: Plan, make_database: MakeDatabase, script: str = SOURCE) -> tuple[Endpoint, EvidenceBundle]:
    database, twin = (make_database(name, script=script) for name in ("newer", "twin"))
    return database, rehearse(plan, database, twin)


@pytest.fixture
def each_batch(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What others do before each batch, by the name of the database."""
    monkeypatch.setattr(batch_size, "FIRST_PAGES", 4)
    monkeypatch.setattr(batch_size, "MOST_PAGES", 8)
    real, done = Work._batch, list[str]()

    def batch(work: Work, table: Any, then: Progress, first: int) -> Progress:
        if "newer" in str(work.ctx.endpoint.name):
            for sql in done:
                query(work.ctx.endpoint, sql)
        return real(work, table, then, first)

    monkeypatch.setattr(Work, "_batch", batch)
    return done


@contextmanager
def while_asleep(plan: Plan, database: Endpoint, bundle: EvidenceBundle) -> Iterator[None]:
    thread = threading.Thread(target=apply_all, args=(plan, database, bundle))
    thread.start()
    while query(database, ASLEEP) == [(False,)]:
        assert thread.is_alive()
    yield
    thread.join()


@pytest.mark.parametrize("workers", [1, 2])
def test_what_others_write_while_a_backfill_goes_on(
    make_database: MakeDatabase, each_batch: list[str], workers: int
) -> None:
    plan = beside(backfill(COPIED, start=1, workers=workers))
    database, bundle = rehearsed(plan, make_database)
    each_batch += ["INSERT INTO made VALUES (1000000, 1) ON CONFLICT DO NOTHING"]
    apply_all(plan, database, bundle)
    report = roll_back(plan, database, bundle)
    assert report.action is Action.HELD
    assert "1 row of public.made" in report.reason


@pytest.mark.parametrize("workers", [1, 2])
def test_a_backfill_owns_what_it_has_written(make_database: MakeDatabase, each_batch: list[str], workers: int) -> None:
    """Others write all the time, but not there."""
    plan = beside(backfill(COPIED, start=1, workers=workers))
    database, bundle = rehearsed(plan, make_database)
    each_batch += ["INSERT INTO elsewhere VALUES (1)"]
    apply_all(plan, database, bundle)
    assert query(database, "SELECT count(DISTINCT xmin::text) > 3 FROM made") == [(True,)]
    assert roll_back(plan, database, bundle).action is Action.ROLLED_BACK
    assert query(database, "SELECT FROM migrator.schema_migration_transactions") == []


def test_what_others_write_while_an_index_is_built(make_database: MakeDatabase, monkeypatch: Any) -> None:
    index = plan_from_sql("CREATE INDEX CONCURRENTLY made_v ON made (v);")
    plan = beside(replace(index.steps[0], name="indexed"))
    database, bundle = rehearsed(plan, make_database)
    real = concurrent_index._require_valid

    def written(*args: Any) -> None:
        query(database, "INSERT INTO made VALUES (1, 1)")
        real(*args)

    monkeypatch.setattr(concurrent_index, "_require_valid", written)
    apply_all(plan, database, bundle)
    report = roll_back(plan, database, bundle)
    assert report.action is Action.HELD
    assert "1 row of public.made" in report.reason


@pytest.mark.parametrize("question", [False, True], ids=["condition", "question"])
def test_what_others_write_while_a_gate_is_shut(make_database: MakeDatabase, question: bool) -> None:
    """Days may pass there, in which the application works with what is new."""
    stands = gates.gate(**({"question": "Deployed?"} if question else {"condition": gates.CONDITION}))
    plan = beside(stands, gates.sql_step("ALTER TABLE made ALTER v SET DEFAULT 0", "last", 1 + len(stands.statements)))
    database, bundle = rehearsed(plan, make_database)
    told = gates.shut(plan, database, bundle)
    query(database, "INSERT INTO made VALUES (1, 1)")
    if question:
        gates.answer(plan, database, told, "alice", yes=True)
    else:
        query(database, "INSERT INTO flags VALUES (true)")
    apply_all(plan, database, bundle, target=gates.PEOPLE)
    report = roll_back(plan, database, bundle)
    assert report.action is Action.HELD
    assert "1 row of public.made" in report.reason


def test_what_others_write_before_anything_is_written_is_older(make_database: MakeDatabase) -> None:
    """The gate comes first: until it opens the migration has done nothing."""
    stands = gates.gate(0, condition=gates.CONDITION)
    moved = gates.sql_step(
        "CREATE TABLE bak AS TABLE elsewhere; UPDATE elsewhere SET id = 2 WHERE id = 1", "moved", len(stands.statements)
    )
    down = "DELETE FROM elsewhere; INSERT INTO elsewhere SELECT * FROM bak; DROP TABLE bak;"
    plan = replace(plan_from_sql("SELECT 1", down), steps=(stands, moved))
    database, bundle = rehearsed(plan, make_database, SOURCE + "INSERT INTO elsewhere VALUES (1);")
    gates.shut(plan, database, bundle)
    query(database, "INSERT INTO elsewhere VALUES (100)")
    query(database, "INSERT INTO flags VALUES (true)")
    apply_all(plan, database, bundle, target=gates.PEOPLE)
    assert roll_back(plan, database, bundle).action is Action.ROLLED_BACK
    assert query(database, "SELECT id FROM elsewhere ORDER BY id") == [(1,), (100,)]


def test_what_others_write_while_the_next_step_is_one_transaction(make_database: MakeDatabase) -> None:
    plan = beside(replace(plan_from_sql(f"UPDATE s SET v = v; {SLOW};").steps[0], name="long"))
    database, bundle = rehearsed(plan, make_database)
    with while_asleep(plan, database, bundle):
        query(database, "INSERT INTO made VALUES (1, 1)")
    report = roll_back(plan, database, bundle)
    assert report.action is Action.HELD
    assert "1 row of public.made" in report.reason


def test_what_others_write_while_the_only_step_goes_on(make_database: MakeDatabase) -> None:
    plan = plan_from_sql(
        f"CREATE TABLE bak AS TABLE prices; {SLOW}; UPDATE prices SET amount = amount * 100 WHERE id < 50;",
        "TRUNCATE prices; INSERT INTO prices SELECT * FROM bak; DROP TABLE bak;",
    )
    database, bundle = rehearsed(plan, make_database, PRICES)
    with while_asleep(plan, database, bundle):
        query(database, "INSERT INTO prices VALUES (100, 777)")
    report = roll_back(plan, database, bundle)
    assert report.action is Action.HELD
    assert "1 row of public.prices" in report.reason


@pytest.mark.parametrize("there", [False, True], ids=["elsewhere", "in what is dropped"])
def test_parts_of_its_transaction_beside_parts_of_others(make_database: MakeDatabase, there: bool) -> None:
    """No lock tells the number of a part that has ended; that of the table is there still."""
    parts = [CAUGHT.format(f"INSERT INTO more VALUES ({number});") for number in range(3)]
    filled = plan_from_sql(f"CREATE TABLE more (id int); {parts[0]} {SLOW}; {parts[1]} {parts[2]}")
    plan = replace(beside(replace(filled.steps[0], name="filled")), rollback_steps=plan_from_sql(
        "SELECT 1", "DROP TABLE more; DROP TABLE made;").rollback_steps)  # fmt: skip
    database, bundle = rehearsed(plan, make_database)
    with psycopg.connect(database.conninfo) as application, while_asleep(plan, database, bundle):
        sql = "INSERT INTO made VALUES (1, 1)" if there else "INSERT INTO elsewhere VALUES (1)"
        for one in ("INSERT INTO flags VALUES (true)", "SAVEPOINT a", sql, "RELEASE a"):
            application.execute(one.encode())
    report = roll_back(plan, database, bundle)
    assert report.action is (Action.HELD if there else Action.ROLLED_BACK)
    assert not there or "1 row of public.made" in report.reason
