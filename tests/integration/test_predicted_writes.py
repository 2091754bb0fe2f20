"""Rows of a table change, and the analysis knew nothing of it: then it judged another text than the server ran."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from migrator.database.session import Endpoint, connect
from migrator.errors import DryRunFailed
from migrator.evidence import Match, StatementTrace, Verdict
from migrator.facts.query import collect_facts
from migrator.ledger.ledger import Ledger
from migrator.parsing.statements import parse
from migrator.plan import Plan
from migrator.rehearsal.comparison import unpredicted_writes
from migrator.rehearsal.observer import Observer
from migrator.run import RunContext
from migrator.steps import execution
from migrator.steps.context import StepContext
from tests.factories import plan_from_sql
from tests.integration.test_dry_run import copy, rehearse, verdicts  # noqa: F401 - a fixture

SCHEMA = """
CREATE TABLE parents (id bigint PRIMARY KEY, name text);
CREATE TABLE children (
    id bigint PRIMARY KEY, parent_id bigint REFERENCES parents ON DELETE CASCADE ON UPDATE CASCADE, note text
);
CREATE TABLE grandchildren (id bigint PRIMARY KEY, child_id bigint REFERENCES children ON DELETE SET NULL);
CREATE TABLE audit (what text);
CREATE TABLE audited (id int, v int);
CREATE TABLE owners (id int PRIMARY KEY);
CREATE FUNCTION audit_it() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO audit VALUES (TG_OP); RETURN NULL; END $$;
CREATE TRIGGER audit_it AFTER INSERT OR UPDATE OR DELETE ON audited FOR EACH STATEMENT EXECUTE FUNCTION audit_it();
CREATE TABLE owned (id int PRIMARY KEY, owner_id int REFERENCES owners ON DELETE CASCADE);
CREATE TRIGGER audit_it AFTER DELETE ON owned FOR EACH ROW EXECUTE FUNCTION audit_it();
CREATE TABLE ruled (id int);
CREATE RULE copy_it AS ON INSERT TO ruled DO ALSO INSERT INTO audit VALUES ('rule');
CREATE VIEW narrow AS SELECT id, note FROM children;
CREATE VIEW seen AS SELECT id, v FROM audited;
CREATE TABLE parted (id int, at date) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (100) TO (200) PARTITION BY LIST (id);
CREATE TABLE parted_2_rest PARTITION OF parted_2 DEFAULT;
CREATE TABLE base (id int);
CREATE TABLE derived () INHERITS (base);
CREATE FUNCTION clean() RETURNS void LANGUAGE sql AS 'DELETE FROM audit';
CREATE FUNCTION clean_all() RETURNS void LANGUAGE plpgsql AS
$$ BEGIN EXECUTE 'DELETE FROM ' || 'audit'; PERFORM clean(); END $$;
CREATE SEQUENCE counted;
INSERT INTO parents SELECT g, 'p' FROM generate_series(1, 9) AS g;
INSERT INTO children SELECT g, g, 'n' FROM generate_series(1, 9) AS g;
INSERT INTO grandchildren SELECT g, g FROM generate_series(1, 9) AS g;
INSERT INTO audited VALUES (1, 1);
INSERT INTO parted SELECT g, '2026-01-01' FROM generate_series(1, 150) AS g;
INSERT INTO owners VALUES (1);
INSERT INTO owned VALUES (1, 1);
INSERT INTO base VALUES (1);
INSERT INTO derived VALUES (2);
INSERT INTO audit VALUES ('first');
"""


@pytest.fixture
def filled(database: Endpoint) -> Endpoint:
    with psycopg.connect(database.conninfo) as conn:
        conn.execute(SCHEMA.encode())
    return database


def plan_of(sql: str, endpoint: Endpoint) -> Plan:
    with connect(endpoint, purpose="observe") as conn:
        return plan_from_sql(sql, facts=collect_facts(conn, [parse(sql, file="001_test.sql")]))


def observed(sql: str, endpoint: Endpoint) -> list[StatementTrace]:
    plan = plan_of(sql, endpoint)
    run = RunContext(run_id="run-1", version=plan.version, target=plan.target, actor="tester")
    with Ledger(endpoint) as ledger, Observer(endpoint, version=plan.version) as observer:
        ledger.install()
        ledger.begin(plan, run=run)
        ctx = StepContext(endpoint=endpoint, ledger=ledger, plan=plan, run=run, tracer=observer, purpose="dry_run")
        for step in plan.steps:
            execution.run(step, ctx)
        return list(observer.traces)


@pytest.mark.parametrize(
    "sql, written",
    [
        ("UPDATE children SET note = 'x'", ("public.children",)),
        ("UPDATE children SET note = 'x' WHERE false", ()),
        ("DELETE FROM parents WHERE id = 1", ("public.children", "public.grandchildren", "public.parents")),
        ("UPDATE parents SET id = 100 WHERE id = 1", ("public.children", "public.parents")),
        ("UPDATE audited SET v = 2", ("public.audit", "public.audited")),
        ("DELETE FROM owners", ("public.audit", "public.owned", "public.owners")),
        ("UPDATE seen SET v = 3", ("public.audit", "public.audited")),
        ("INSERT INTO ruled VALUES (1)", ("public.audit", "public.ruled")),
        ("UPDATE narrow SET note = 'y'", ("public.children",)),
        ("UPDATE parted SET at = '2026-02-02'", ("public.parted_1", "public.parted_2_rest")),
        ("INSERT INTO parted VALUES (150, '2026-02-02')", ("public.parted_2_rest",)),
        ("UPDATE parted SET id = id + 50 WHERE id = 60", ("public.parted_1", "public.parted_2_rest")),
        ("UPDATE parted_1 SET at = '2026-02-02'", ("public.parted_1",)),
        ("DELETE FROM parted_2", ("public.parted_2_rest",)),
        ("UPDATE base SET id = 3", ("public.base", "public.derived")),
        (
            "WITH gone AS (DELETE FROM audit RETURNING what) INSERT INTO base SELECT 1 FROM gone",
            ("public.audit", "public.base"),
        ),
        ("MERGE INTO base USING audited ON base.id = audited.id WHEN MATCHED THEN DELETE", ("public.base",)),
        ("SELECT clean()", ("public.audit",)),
        ("SELECT clean_all()", ("public.audit",)),
        ("DO $$ BEGIN DELETE FROM audit; END $$", ("public.audit",)),
        ("DO $$ BEGIN EXECUTE 'DELETE FROM ' || 'audit'; END $$", ("public.audit",)),
        ("SELECT setval('counted', 7)", ()),
        ("SELECT * FROM children FOR UPDATE", ()),
        ("TRUNCATE audit", ()),
        ("ALTER TABLE children ALTER COLUMN parent_id TYPE int", ()),
        ("ALTER TABLE children ADD COLUMN at timestamptz DEFAULT clock_timestamp()", ()),
        ("CREATE TABLE fresh AS SELECT * FROM children", ()),
        ("CREATE TABLE fresh (id int); INSERT INTO fresh VALUES (1)", ()),
        ("CREATE MATERIALIZED VIEW m AS SELECT * FROM children; REFRESH MATERIALIZED VIEW m", ()),
        ("CREATE INDEX CONCURRENTLY ON children (note)", ()),
        ("VACUUM (ANALYZE) children", ()),
        ("COMMENT ON TABLE children IS 'x'; DROP TABLE audited CASCADE", ()),
    ],
    ids=lambda value: value[:70] if isinstance(value, str) else "",
)
def test_what_is_written_was_predicted(filled: Endpoint, sql: str, written: tuple[str, ...]) -> None:
    """The kinds of indirect writes: keys, triggers, rules, views, partitions, children, functions."""
    with psycopg.connect(filled.conninfo) as conn:
        if sql.startswith("MERGE") and conn.info.server_version < 150000:
            pytest.skip("MERGE came with PostgreSQL 15")
    traces = observed(sql, filled)
    assert tuple(name for trace in traces for name in trace.writes) == written
    assert [unpredicted_writes(trace) for trace in traces] == [()] * len(traces), traces[0].differences
    if written:  # a statement of which nothing was known passes, so the cases must not all be such
        assert traces[0].match is not Match.NOT_PREDICTED or sql.startswith(("SELECT", "DO")), traces[0].differences


def test_another_text_than_the_one_that_was_judged_fails(copies: Endpoint, copy: Endpoint) -> None:  # noqa: F811
    """However the two texts came to differ: here the plan itself holds another one."""
    plan = plan_of("UPDATE messages SET stars = 1 WHERE id = 1", copy)
    good = rehearse(replace(plan, rollback_steps=()), copies, copy)
    assert verdicts(good)["predicted_writes"] == "passed"
    step = plan.steps[0]
    smuggled = replace(step.statements[0], sql="UPDATE tenants SET name = 'mine'")
    wrong = replace(plan, rollback_steps=(), steps=(replace(step, statements=(smuggled,)),))
    with pytest.raises(DryRunFailed, match=r"changed rows of public\.tenants, which was not predicted") as caught:
        rehearse(wrong, copies, copy)
    assert caught.value.evidence.verdict is Verdict.FAILED
