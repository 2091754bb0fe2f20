"""What a batch reads may have been changed by a trigger, or a generated column, of those before it: refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from migrator.database.session import Endpoint
from migrator.errors import DryRunFailed, StatementFailed
from migrator.plan import Plan
from tests.factories import plan_from_sql
from tests.integration.copies import make_copy, rehearse
from tests.integration.stages import apply_all, query
from tests.integration.test_backfill import backfill

ROWS = 30_000
BASE = f"""
CREATE TABLE t (
    id int PRIMARY KEY, tenant int, updated_at date NOT NULL DEFAULT '2020-01-01', latest date, b int,
    twice int GENERATED ALWAYS AS (coalesce(b, 0) * 2) STORED, r int
);
INSERT INTO t (id, tenant) SELECT g, g % 10 FROM generate_series(1, {ROWS}) AS g;
CREATE TABLE totals (tenant int PRIMARY KEY, n int NOT NULL DEFAULT 0);
INSERT INTO totals SELECT g, 0 FROM generate_series(0, 9) AS g;
CREATE VIEW sums AS SELECT * FROM totals;
ANALYZE t;
"""
TOUCH = """
CREATE FUNCTION now_is() RETURNS date LANGUAGE sql AS 'SELECT DATE ''2025-01-01''';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW.updated_at := public.now_is(); RETURN NEW; END';
CREATE TRIGGER touch BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch();
"""
WORDLESS = TOUCH.replace("NEW.updated_at := public.now_is();", "EXECUTE ''SELECT 1'';")
COUNTS = """
CREATE FUNCTION counts() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN UPDATE totals SET n = n + 1 WHERE tenant = NEW.tenant; RETURN NULL; END';
CREATE TRIGGER counts AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION counts();
"""
LATEST = (
    "UPDATE t SET latest = s.m FROM (SELECT tenant, max(updated_at) AS m FROM t GROUP BY tenant) AS s"
    " WHERE s.tenant = t.tenant AND t.latest IS NULL"
)
ITSELF = {
    "a trigger has its name": (TOUCH, LATEST, "trigger touch may change what it reads there"),
    "nobody can tell": (WORDLESS, LATEST, "trigger touch may change what it reads there"),
    "generated": (
        "",
        "UPDATE t SET b = 1 + (SELECT max(o.twice) FROM t AS o WHERE o.tenant = t.tenant) WHERE b IS NULL",
        "column twice, which is generated, may change what it reads there",
    ),
}
OTHERS = {
    "a table": "UPDATE t SET r = (SELECT n FROM totals WHERE totals.tenant = t.tenant) WHERE r IS NULL",
    "a view": "UPDATE t SET r = v.n FROM sums AS v WHERE v.tenant = t.tenant AND r IS NULL",
}


def plan_of(sql: str) -> Plan:
    return replace(plan_from_sql("SELECT 1"), steps=(backfill(sql),))


@pytest.mark.parametrize("name", ITSELF)
def test_of_its_own_table(database: Endpoint, name: str) -> None:
    script, sql, told = ITSELF[name]
    query(database, BASE + script)
    with pytest.raises(StatementFailed, match=told):
        apply_all(plan_of(sql), database)
    assert query(database, "SELECT count(*) FROM t WHERE latest IS NOT NULL OR b IS NOT NULL") == [(0,)]


def test_what_no_trigger_names_may_be_read(database: Endpoint) -> None:
    query(database, BASE + TOUCH)
    sql = "UPDATE t SET r = (SELECT max(o.id) FROM t AS o WHERE o.id <= t.id AND o.id > t.id - 3) WHERE r IS NULL"
    apply_all(plan_of(sql), database)
    assert query(database, "SELECT count(*) FROM t WHERE r = id") == [(ROWS,)]


@pytest.mark.parametrize("name", OTHERS)
def test_of_another_table(copies: Endpoint, name: str) -> None:
    plan = plan_of(OTHERS[name])
    with pytest.raises(DryRunFailed, match="it reads totals, and its batches have written there, by a trigger"):
        rehearse(plan, copies, make_copy(copies, BASE + COUNTS))


@pytest.mark.parametrize("name", OTHERS)
def test_another_table_that_nothing_writes_may_be_read(copies: Endpoint, name: str) -> None:
    assert rehearse(plan_of(OTHERS[name]), copies, make_copy(copies, BASE + TOUCH))
