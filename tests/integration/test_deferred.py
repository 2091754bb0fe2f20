"""What deferred triggers do at the end of a transaction, and at its COMMIT, is observed like the rest."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from migrator.database.session import Endpoint
from migrator.evidence import Verdict
from migrator.rehearsal.comparison import unpredicted_writes
from migrator.rehearsal.usage import EXACT_FROM
from migrator.steps import batch_size
from tests.factories import plan_from_sql
from tests.integration.copies import check_of, failed, make_copy
from tests.integration.test_backfill import backfill
from tests.integration.test_observer import locks_of, observe
from tests.integration.test_predicted_writes import observed

PURGE = """
CREATE FUNCTION purge() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN IF NEW.state = 'closed' THEN DELETE FROM notes WHERE account = NEW.id; END IF; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER purge AFTER UPDATE ON accounts DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION purge();
"""
TABLES = """
CREATE TABLE accounts (id int PRIMARY KEY, state text);
CREATE TABLE notes (id int PRIMARY KEY, account int);
CREATE TABLE closed (id int PRIMARY KEY);
CREATE TABLE parents (id int PRIMARY KEY);
CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents DEFERRABLE INITIALLY DEFERRED);
INSERT INTO accounts VALUES (1, 'active');
INSERT INTO notes SELECT g, 1 FROM generate_series(1, 9) AS g;
INSERT INTO parents VALUES (1);
"""
HIDDEN = PURGE.replace("DELETE FROM notes WHERE account = NEW.id", "EXECUTE 'DELETE FROM ' || 'notes'")
CHAIN = """
CREATE FUNCTION close() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN SET CONSTRAINTS ALL DEFERRED; INSERT INTO closed VALUES (NEW.id); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER close AFTER UPDATE ON accounts DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.state = 'closed') EXECUTE FUNCTION close();
CREATE FUNCTION purge() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN DELETE FROM notes WHERE account = NEW.id; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER purge AFTER INSERT ON closed DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION purge();
"""
TRUNCATES = """
CREATE FUNCTION purge() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN IF NEW.id = 400 AND NEW.state = 'closed' THEN EXECUTE 'TRUNCATE ' || 'notes'; END IF; RETURN NULL; END $$;
CREATE TRIGGER purge AFTER UPDATE ON accounts FOR EACH ROW EXECUTE FUNCTION purge();
"""
CLOSE = "UPDATE accounts SET state = 'closed' WHERE id = 1;"
OPEN = "UPDATE accounts SET state = 'active' WHERE id = 1;"


@pytest.mark.parametrize("transaction", [None, False], ids=["together", "one by one"])
@pytest.mark.parametrize(
    "there, sql",
    [(PURGE, CLOSE), (HIDDEN, CLOSE), ("", PURGE + CLOSE), (CHAIN, CLOSE)],
    ids=["trigger", "dynamic SQL", "made by the migration", "at COMMIT"],
)
def test_its_tables_are_written(database: Endpoint, there: str, sql: str, transaction: bool | None) -> None:
    with psycopg.connect(database.conninfo) as conn:
        conn.execute((TABLES + there).encode())
        tells_at_once = conn.info.server_version >= EXACT_FROM
    observer, traces = observe(sql, database, transaction=transaction)
    assert "public.notes" in observer.written
    assert "public.notes" in traces[-1].writes or (there == CHAIN and not tells_at_once)
    assert "public.parents" not in traces[-1].writes


@pytest.mark.parametrize(
    "down",
    [OPEN, f"DROP INDEX CONCURRENTLY IF EXISTS nothing; {OPEN}"],
    ids=["together", "one by one"],
)
@pytest.mark.parametrize("there", [PURGE, CHAIN], ids=["trigger", "at COMMIT"])
def test_lost_rows_fail(copies: Endpoint, there: str, down: str) -> None:
    evidence = failed(plan_from_sql(CLOSE, down), copies, make_copy(copies, TABLES + there)).evidence
    check = check_of(evidence, "rollback_data")
    assert check.verdict is Verdict.FAILED
    assert "public.notes has 0 rows, had 9 rows" in check.detail


@pytest.mark.parametrize("there", [CHAIN, TRUNCATES], ids=["at COMMIT", "truncated"])
def test_rows_that_the_last_batch_loses_fail(copies: Endpoint, there: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another batch has told before what it did."""
    monkeypatch.setattr(batch_size, "FIRST_PAGES", 1)
    monkeypatch.setattr(batch_size, "MOST_PAGES", 1)
    more = "INSERT INTO accounts SELECT g, 'active' FROM generate_series(2, 400) AS g; UPDATE notes SET account = 400;"
    fill = backfill("UPDATE accounts SET state = 'closed' WHERE state = 'active'")
    plan = replace(plan_from_sql("SELECT 1", "UPDATE accounts SET state = 'active';"), steps=(fill,))
    evidence = failed(plan, copies, make_copy(copies, TABLES + more + there)).evidence
    assert "public.notes has 0 rows, had 9 rows" in check_of(evidence, "rollback_data").detail


def test_rows_that_a_rollback_loses_one_by_one_fail(copies: Endpoint) -> None:
    up, down = OPEN.replace("active", "new"), f"DROP INDEX CONCURRENTLY IF EXISTS nothing; {CLOSE} {OPEN}"
    evidence = failed(plan_from_sql(up, down), copies, make_copy(copies, TABLES + PURGE)).evidence
    assert "public.notes has 0 rows, had 9 rows" in check_of(evidence, "rollback_data").detail


@pytest.mark.parametrize("there", [PURGE, CHAIN], ids=["trigger", "at COMMIT"])
def test_what_was_predicted_is_found_where_it_was_predicted(database: Endpoint, there: str) -> None:
    with psycopg.connect(database.conninfo) as conn:
        conn.execute((TABLES + there).encode())
        tells_at_once = conn.info.server_version >= EXACT_FROM
    first, last = observed(CLOSE + "INSERT INTO parents VALUES (2);", database)
    assert "public.notes" in first.writes or (there == CHAIN and not tells_at_once)
    assert (unpredicted_writes(first), unpredicted_writes(last)) == ((), ())
    assert last.writes == ("public.parents",)


def test_what_an_earlier_transaction_has_written_is_not_told_of_a_later_one(database: Endpoint) -> None:
    with psycopg.connect(database.conninfo) as conn:
        conn.execute((TABLES + CHAIN).encode())
        tells_at_once = conn.info.server_version >= EXACT_FROM
    _, (first, last) = observe("INSERT INTO parents VALUES (2);" + CLOSE, database, transaction=False)
    assert first.writes == ("public.parents",)
    assert set(last.writes) - {"public.notes"} == {"public.accounts", "public.closed"}
    assert "public.notes" in last.writes or not tells_at_once


def test_nobody_predicts_what_no_text_tells(database: Endpoint) -> None:
    """Here the plan was made without a catalog, which alone knows the trigger."""
    with psycopg.connect(database.conninfo) as conn:
        conn.execute((TABLES + PURGE).encode())
    _, (first, last) = observe(CLOSE + "INSERT INTO parents VALUES (2);", database)
    assert (unpredicted_writes(first), unpredicted_writes(last)) == ((), ("public.notes",))


def test_the_lock_of_a_deferred_key_is_no_surprise(database: Endpoint) -> None:
    with psycopg.connect(database.conninfo) as conn:
        conn.execute(TABLES.encode())
    (trace,) = observed("INSERT INTO children VALUES (1, 1)", database)
    assert trace.differences == ()
    assert locks_of(trace)["public.parents"] == "ROW SHARE"
