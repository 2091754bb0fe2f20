"""Step kinds on a real server: a kind that makes its own SQL, phases with a gate between them, kinds that undo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from types import ModuleType
from typing import Any

import psycopg
import pytest

from migrator.database import naming
from migrator.database.session import Endpoint
from migrator.embedded.server import Server
from migrator.errors import OutsideWindow, StatementFailed, VerifyFailed
from migrator.evidence import EvidenceBundle
from migrator.ledger.ledger import Ledger
from migrator.ledger.rows import LedgerStep
from migrator.plan import Phase, Plan, Step
from migrator.steps import kinds, piecewise, transaction
from migrator.steps.context import StatementResult, StepContext
from migrator.steps.contract import Written
from migrator.steps.kinds import STEPS, kind_named
from migrator.targets.targets import WindowRule
from tests.evidence import make_bundle, read_schema, rehearse
from tests.factories import NOW, plan_from_sql, to_steps
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, make_target, query, roll_back, row_of, run_of, verify_it

TABLES = "CREATE TABLE a (id int); CREATE TABLE b (id int); INSERT INTO a SELECT generate_series(1, 50);"


def with_steps(plan: Plan, *steps: Step) -> Plan:
    return replace(plan, steps=(*plan.steps, *steps))


def analyzing(*tables: str, start: int = 1, **parameters: Any) -> Step:
    kind = kind_named("analyze_tables")
    given = {"tables": tables, "skip_locked": False, "buffer_usage_limit": None, **parameters}
    text = kind.sql(kinds.parameters_of(kind, given))
    parsed, statements = to_steps(text, "migration-metadata.yaml#fresh", start=start)
    return kind.plan(Written("fresh", parsed, statements, given))


def statistics(endpoint: Endpoint) -> dict[str, bool]:
    rows = query(endpoint, "SELECT relname, reltuples >= 0 FROM pg_class WHERE relname IN ('a', 'b')")
    return {str(name): bool(there) for name, there in rows}


def test_tables_are_analyzed_verified_and_nothing_is_to_be_undone(
    database: Endpoint, make_database: MakeDatabase
) -> None:
    plan = with_steps(plan_from_sql(TABLES, "DROP TABLE a, b"), analyzing("public.a", "b", start=3))
    bundle = rehearse(plan, database, make_database("twin"))
    apply_all(plan, database, bundle)
    assert statistics(database) == {"a": True, "b": True}
    assert "analyze_tables: as it should be" in [check.detail for check in verify_it(plan, database, bundle).checks]
    report = roll_back(plan, database, bundle, force=True)
    assert (report.action, report.schema_equal, report.leftovers) == ("rolled_back", True, ())


def test_verify_looks_at_every_table(database: Endpoint) -> None:
    plan = with_steps(plan_from_sql(TABLES), analyzing("public.a", "b", start=3))
    apply_all(plan, database)
    query(database, "DROP TABLE public.b; CREATE TABLE public.b (id int)")
    with pytest.raises(VerifyFailed, match="step fresh: b has no statistics"):
        verify_it(plan, database)
    query(database, "DROP TABLE public.b")
    with pytest.raises(VerifyFailed, match="step fresh: there is no table b"):
        verify_it(plan, database)


def test_a_missing_table_fails_and_the_retry_goes_on_after_the_first(database: Endpoint) -> None:
    plan = with_steps(plan_from_sql("CREATE TABLE a (id int)"), analyzing("a", "b"))
    with pytest.raises(StatementFailed, match='relation "b" does not exist'):
        apply_all(plan, database)
    query(database, "CREATE TABLE public.b (id int)")
    results = apply_all(plan, database)
    assert [item.outcome for item in results[-1].statements] == ["already_done", "executed"]


def test_a_table_that_the_server_skips_is_a_failure(database: Endpoint, server: Server) -> None:
    """For the server it is a warning and a success; nobody would know that the statistics are as old as before."""
    with psycopg.connect(server.conninfo(str(database.name)), autocommit=True) as conn:
        conn.execute(f'ALTER DATABASE "{database.name}" OWNER TO CURRENT_USER'.encode())  # an owner may analyze all
        conn.execute(f'GRANT CREATE ON DATABASE "{database.name}" TO migrator'.encode())
        conn.execute("GRANT ALL ON SCHEMA public TO migrator")
        conn.execute("CREATE TABLE public.foreign_one (id int)")
        conn.execute("GRANT SELECT ON public.foreign_one TO migrator")
    plan = with_steps(plan_from_sql("CREATE TABLE a (id int)"), analyzing("public.foreign_one"))
    with pytest.raises(StatementFailed, match='nothing was analyzed: permission denied to analyze "foreign_one"'):
        apply_all(plan, database)
    row = row_of(plan, database)
    assert row is not None
    assert row.status != "success"


def test_alone_it_needs_no_rollback_script(database: Endpoint) -> None:
    query(database, TABLES)
    plan = replace(plan_from_sql("SELECT 1"), steps=(analyzing("a", start=0),))
    apply_all(plan, database)
    report = roll_back(plan, database)
    assert report.action == "rolled_back"
    row = row_of(plan, database)
    assert row is not None
    assert row.status == "rolled_back"


def test_it_may_run_when_the_window_is_over(database: Endpoint) -> None:
    plan = with_steps(plan_from_sql("CREATE TABLE a (id int)"), analyzing("a"))
    bundle = make_bundle(plan, before := read_schema(database), before, seconds=60.0)
    closed = make_target(windows=(WindowRule(days=("sun",), start="03:00", duration=timedelta(hours=1)),))
    with pytest.raises(OutsideWindow):
        apply_all(plan, database, bundle, target=closed)
    first = replace(plan, steps=plan.steps[:1])
    apply_all_steps(plan, database, first.steps, bundle)
    apply_all_steps(plan, database, plan.steps[1:], bundle, target=closed)
    assert statistics(database) == {"a": True}


def apply_all_steps(plan: Plan, endpoint: Endpoint, steps: Sequence[Step], bundle: Any, target: Any = None) -> None:
    from migrator.stages import apply

    with Ledger(endpoint) as ledger:
        for step in steps:
            apply.run_step(
                plan,
                step.name,
                endpoint=endpoint,
                ledger=ledger,
                run=run_of(plan),
                target=target or make_target(),
                evidence=bundle,
            )


class TwoPhases(ModuleType):
    """A kind of two phases that undoes itself: fills a table at any time, then publishes it in the window."""

    KIND = "two_phases"
    SUMMARY = "for tests"
    PARAMETERS = type("Parameters", (), {"__dataclass_fields__": {}})
    ONE_BY_ONE = False
    UNDONE_BY_SCRIPT = False
    undone: tuple[int, ...] = ()
    known: tuple[bool, ...] = ()
    """Whether the ledger knew the backend that undoes, so that a later attempt could fence it."""

    def contradictions(self, parameters: Any) -> Iterator[tuple[str, str, str | None]]:
        yield from ()

    def sql(self, parameters: Any) -> str:
        return ""

    def problems(self, parsed: Any) -> Iterator[Any]:
        yield from ()

    def plan(self, written: Written) -> Step:
        phases = (Phase("fill", len(written.statements) - 1, needs_window=False), Phase("publish", 1))
        return Step(written.name, self.KIND, False, written.statements, phases=phases)

    def describe(self, step: Step) -> str:
        return "fills, then publishes"

    def execute(self, step: Step, phase: Phase, ctx: StepContext) -> tuple[StatementResult, ...]:
        run = piecewise.execute if phase.name == "fill" else transaction.run_phase
        return run(step, phase, ctx)

    def verify(self, step: Step, conn: Any) -> tuple[str, ...] | None:
        return None

    def undo(self, step: Step, row: LedgerStep, ctx: StepContext, conn: Any) -> tuple[StatementResult, ...]:
        self.undone += (row.statements_done,)
        events = ctx.ledger.events(ctx.plan.version)
        backends = [one.detail["backend_pid"] for one in events if one.kind == "rollback_started"]
        self.known += (conn.info.backend_pid in backends,)
        query(ctx.endpoint, "DROP TABLE IF EXISTS filling, published")
        return ()

    def leftovers(self, step: Step, conn: Any) -> tuple[str, ...]:
        return ("DROP TABLE filling",) if query_on(conn, "SELECT to_regclass('filling') IS NOT NULL") else ()


def query_on(conn: Any, sql: str) -> bool:
    return bool(naming.ask(conn, sql).rows[0][0])


FILL = """CREATE TABLE filling (id int);
INSERT INTO filling SELECT generate_series(1, 3);
ALTER TABLE filling RENAME TO published;"""


@pytest.fixture
def two_phases(monkeypatch: pytest.MonkeyPatch) -> TwoPhases:
    kind = TwoPhases("two_phases")
    monkeypatch.setattr(kinds, "STEPS", (*STEPS, kind))
    return kind


@pytest.fixture
def filling(two_phases: TwoPhases) -> Plan:
    parsed, statements = to_steps(FILL, "x#fill")
    return replace(plan_from_sql("SELECT 1"), steps=(two_phases.plan(Written("fill", parsed, statements)),))


def rehearsed(plan: Plan, database: Endpoint) -> EvidenceBundle:
    bundle = rehearse(plan, database, database, seconds=1.0)
    query(database, "DROP TABLE published")
    return bundle


OPEN = WindowRule(days=("wed",), start="01:00", duration=timedelta(minutes=90))
LATER = WindowRule(days=("thu",), start="01:00", duration=timedelta(minutes=90))


def test_the_second_phase_waits_for_the_window_and_goes_on_there(
    database: Endpoint, filling: Plan, two_phases: TwoPhases
) -> None:
    bundle = rehearsed(filling, database)
    with pytest.raises(OutsideWindow) as caught:
        apply_all(filling, database, bundle, target=make_target(windows=(LATER,)))
    assert caught.value.fields["begun"]
    assert caught.value.fields["opens_at"] > NOW
    assert "phase 'publish' of step 'fill' waits, what comes before it is applied" in str(caught.value)
    assert query(database, "SELECT count(*) FROM filling") == [(3,)]
    row = row_of(filling, database)
    assert row is not None
    assert row.status == "running", "the migration keeps the database reserved while it waits"
    (result,) = apply_all(filling, database, bundle, target=make_target(windows=(OPEN,)))
    assert [item.kind for item in result.statements] == ["ALTER TABLE"], "the first phase is not executed again"
    assert query(database, "SELECT count(*) FROM published") == [(3,)]


def test_nothing_is_begun_when_the_first_phase_needs_the_window_itself(database: Endpoint, filling: Plan) -> None:
    (step,) = filling.steps
    strict = replace(step, phases=tuple(replace(phase, needs_window=True) for phase in step.phases))
    plan = replace(filling, steps=(strict,))
    bundle = make_bundle(plan, before := read_schema(database), before, seconds=1.0)
    with pytest.raises(OutsideWindow) as caught:
        apply_all(plan, database, bundle, target=make_target(windows=(LATER,)))
    assert not caught.value.fields["begun"]
    assert row_of(plan, database) is None


def test_a_kind_undoes_itself_from_where_it_stands(database: Endpoint, filling: Plan, two_phases: TwoPhases) -> None:
    bundle = rehearsed(filling, database)
    with pytest.raises(OutsideWindow):
        apply_all(filling, database, bundle, target=make_target(windows=(LATER,)))
    report = roll_back(filling, database, bundle)
    assert (report.action, report.schema_equal, two_phases.undone) == ("rolled_back", True, (2,))
    apply_all(filling, database, bundle, run_id="run-2")
    assert roll_back(filling, database, bundle, run_id="run-2").schema_equal
    assert two_phases.undone == (2, 3)
    assert two_phases.known == (True, True)


def test_what_an_undo_forgets_is_told(
    database: Endpoint, filling: Plan, two_phases: TwoPhases, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = rehearsed(filling, database)
    with pytest.raises(OutsideWindow):
        apply_all(filling, database, bundle, target=make_target(windows=(LATER,)))
    monkeypatch.setattr(two_phases, "undo", lambda step, row, ctx, conn: ())
    report = roll_back(filling, database, bundle)
    assert report.leftovers == ("DROP TABLE filling",)
    assert report.schema_equal is False


def test_a_kill_between_phases_repeats_none(database: Endpoint, filling: Plan, two_phases: TwoPhases) -> None:
    """As a worker leaves it that dies right after the first phase: the cursor is there, the step runs."""
    bundle = rehearsed(filling, database)
    real = two_phases.execute

    def dying(step: Step, phase: Phase, ctx: StepContext) -> tuple[StatementResult, ...]:
        if phase.name == "publish":
            raise KeyboardInterrupt
        return real(step, phase, ctx)

    two_phases.execute = dying  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        apply_all(filling, database, bundle)
    two_phases.execute = real  # type: ignore[method-assign]
    apply_all(filling, database, bundle)
    assert query(database, "SELECT count(*) FROM published") == [(3,)]
