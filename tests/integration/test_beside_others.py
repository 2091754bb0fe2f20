"""Long work while others go on with theirs: what they may change meanwhile, and what they may not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from migrator.database.session import Endpoint
from migrator.errors import DriftDetected, VerifyFailed
from migrator.evidence import EvidenceBundle
from migrator.plan import Plan
from migrator.steps import batch_size, batches
from migrator.steps.batch_progress import Progress
from migrator.steps.batches import Work
from migrator.steps.contract import Written
from migrator.steps.kinds import kind_named
from migrator.steps.meanwhile import Meanwhile
from tests.evidence import rehearse
from tests.factories import plan_from_sql, to_steps
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, query, roll_back, verify_it
from tests.integration.test_backfill import backfill
from tests.integration.test_calendar import sql_step

ROWS = 4_000
SCRIPT = f"""
CREATE TABLE t (id int, a int); INSERT INTO t SELECT g, g FROM generate_series(1, {ROWS}) AS g;
CREATE TABLE v (id int PRIMARY KEY, x int, note text);
CREATE TABLE events (k int, at int) PARTITION BY LIST (k);
CREATE TABLE events_1 PARTITION OF events FOR VALUES IN (1);
CREATE FUNCTION public.total() RETURNS bigint LANGUAGE sql AS 'SELECT sum(x) FROM public.v';
CREATE VIEW report AS SELECT x FROM v;
"""


@pytest.fixture
def plan() -> Plan:
    steps = (
        sql_step("ALTER TABLE t ADD COLUMN b int", "add", 0),
        backfill("UPDATE t SET b = a * 2 WHERE b IS NULL", start=1),
        sql_step("ALTER TABLE t ALTER COLUMN b SET NOT NULL", "publish", 2),
    )
    return replace(plan_from_sql("SELECT 1", "ALTER TABLE t DROP COLUMN b"), steps=steps)


@pytest.fixture
def bundle(plan: Plan, database: Endpoint, make_database: MakeDatabase) -> EvidenceBundle:
    query(database, SCRIPT)
    return rehearse(plan, database, make_database("twin", script=SCRIPT))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_size, "FIRST_PAGES", 2)
    monkeypatch.setattr(batch_size, "MOST_PAGES", 2)
    monkeypatch.setattr(batches, "LOOK_SECONDS", 0.0)


def meanwhile(monkeypatch: pytest.MonkeyPatch, database: Endpoint, *statements: str) -> None:
    """Before the third batch somebody does this."""
    real, todo = Work._batch, list(statements)

    def batch(work: Work, table: Any, then: Progress, first: int) -> Progress:
        while first >= 4 and todo:
            query(database, todo.pop(0))
        return real(work, table, then, first)

    monkeypatch.setattr(Work, "_batch", batch)


ELSEWHERE = [
    "CREATE TABLE public.events_2 PARTITION OF events FOR VALUES IN (2)",
    "DROP TABLE events_1",
    "ALTER TABLE events DETACH PARTITION events_1",
    "CREATE INDEX CONCURRENTLY ON v (x)",
    "ALTER TABLE v ADD COLUMN y int DEFAULT 3",
    "ALTER TABLE v SET (autovacuum_enabled = off)",
    "CREATE OR REPLACE FUNCTION public.total() RETURNS bigint LANGUAGE sql AS 'SELECT count(x) FROM public.v'",
    "CREATE OR REPLACE VIEW public.report AS SELECT x, note FROM v",
    "GRANT SELECT ON v TO public",
    "COMMENT ON TABLE v IS 'by hand'",
    "CREATE TABLE public.unheard_of (id int REFERENCES v)",
]


@pytest.mark.parametrize("statement", ELSEWHERE)
def test_it_goes_on_beside_others(
    database: Endpoint, plan: Plan, bundle: EvidenceBundle, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    meanwhile(monkeypatch, database, statement)
    apply_all(plan, database, bundle)
    assert query(database, "SELECT count(*) FROM t WHERE b = a * 2") == [(ROWS,)]
    report = verify_it(plan, database, bundle)
    (others,) = [check for check in report.checks if check.name == "others"]
    assert "others have changed" in others.detail
    ((detail,),) = query(database, "SELECT detail FROM migrator.schema_migration_events WHERE kind = 'verified'")
    assert "schemas" not in detail, "nobody can say that this migration alone has made one schema of the other"


@pytest.mark.parametrize(
    "statements",
    [
        (
            "CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
            "CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION public.f()",
        ),
        ("CREATE INDEX ON t (a)",),
        ("ALTER TABLE t ADD CHECK (a > 0)",),
        ("CREATE TABLE public.child (id int) INHERITS (t)",),
        ("CREATE OPERATOR public.* (FUNCTION = int8pl, LEFTARG = bigint, RIGHTARG = bigint)",),
    ],
)
def test_it_stops_when_they_change_what_it_runs(
    database: Endpoint, plan: Plan, bundle: EvidenceBundle, monkeypatch: pytest.MonkeyPatch, statements: tuple[str, ...]
) -> None:
    meanwhile(monkeypatch, database, *statements)
    with pytest.raises(DriftDetected):
        apply_all(plan, database, bundle)
    assert query(database, "SELECT count(*) FROM t WHERE b IS NULL") != [(0,)]
    with pytest.raises(DriftDetected):
        apply_all(plan, database, bundle)


def test_an_index_is_built_beside_others(
    database: Endpoint, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which takes hours, too, and was dropped when somebody had made a partition meanwhile."""
    query(database, SCRIPT)
    parsed, statements = to_steps("CREATE INDEX CONCURRENTLY t_a ON t (a)", "build.sql")
    step = kind_named("create_index").plan(Written("build", parsed, statements, {"file": None}))
    plan = replace(plan_from_sql("SELECT 1", "DROP INDEX t_a"), steps=(step,))
    bundle = rehearse(plan, database, make_database("twin", script=SCRIPT))
    real = Meanwhile.went_on

    def went_on(watching: Meanwhile, kind: str) -> None:
        query(database, ELSEWHERE[0])
        real(watching, kind)

    monkeypatch.setattr(Meanwhile, "went_on", went_on)
    apply_all(plan, database, bundle)
    verify_it(plan, database, bundle)
    assert query(database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_a'::regclass") == [(True,)]


def test_its_rollback_says_what_is_not_of_it(
    database: Endpoint, plan: Plan, bundle: EvidenceBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch, database, ELSEWHERE[0], ELSEWHERE[3])
    apply_all(plan, database, bundle)
    report = roll_back(plan, database, bundle)
    assert (report.action, report.schema_equal) == ("rolled_back", True)
    assert query(database, "SELECT to_regclass('public.events_2') IS NOT NULL") == [(True,)]


def test_short_work_has_the_database_for_itself(database: Endpoint, make_database: MakeDatabase) -> None:
    """Its whole time is in one window."""
    query(database, SCRIPT)
    short = plan_from_sql("ALTER TABLE t ADD COLUMN b int", "ALTER TABLE t DROP COLUMN b")
    bundle = rehearse(short, database, make_database("twin", script=SCRIPT))
    apply_all(short, database, bundle)
    query(database, "CREATE INDEX ON v (x)")
    with pytest.raises(VerifyFailed, match="not rehearsed"):
        verify_it(short, database, bundle)
