"""What Airflow expects of every operator of ours."""

from __future__ import annotations

import inspect
from datetime import timedelta
from pathlib import Path

import pytest

from airflow_migrator.operators.analyze import PgMigrationAnalyzeOperator
from airflow_migrator.operators.apply import PgMigrationApplyOperator
from airflow_migrator.operators.base import TaskStopped
from airflow_migrator.operators.drop_copy import PgMigrationDropCopyOperator
from airflow_migrator.operators.dry_run import PgMigrationDryRunOperator
from airflow_migrator.operators.outcome import PgMigrationOutcomeOperator
from airflow_migrator.operators.preflight import PgMigrationPreflightOperator
from airflow_migrator.operators.restore_test import PgMigrationRestoreTestOperator
from airflow_migrator.operators.review import PgMigrationReviewOperator, not_asked, reviewer_of
from airflow_migrator.operators.rollback import PgMigrationRollbackOperator
from airflow_migrator.operators.snapshot import PgMigrationSnapshotOperator
from airflow_migrator.operators.verify import PgMigrationVerifyOperator
from migrator.catalogue.metadata import Schedule
from migrator.catalogue.migration import Migration
from migrator.errors import AheadPending, OutsideWindow
from migrator.gates.window import decide_next
from migrator.targets.targets import Target
from tests.evidence import make_bundle
from tests.factories import NOW, make_metadata, make_plan

OPERATORS = {
    PgMigrationAnalyzeOperator: {},
    PgMigrationSnapshotOperator: {},
    PgMigrationRestoreTestOperator: {},
    PgMigrationDropCopyOperator: {},
    PgMigrationDryRunOperator: {},
    PgMigrationReviewOperator: {"number": 1},
    PgMigrationPreflightOperator: {},
    PgMigrationApplyOperator: {"step": None},
    PgMigrationVerifyOperator: {},
    PgMigrationRollbackOperator: {},
    PgMigrationOutcomeOperator: {},
}


@pytest.mark.parametrize("operator", OPERATORS)
def test_template_fields_exist(operator: type) -> None:
    made = operator(task_id="t", version="001_one", target="{{ params.target }}", **OPERATORS[operator])
    assert {"version", "target"} <= set(made.template_fields)
    for field in made.template_fields:
        assert hasattr(made, field)
    assert made.version == "001_one"
    assert made.target == "{{ params.target }}"


@pytest.mark.parametrize("operator", OPERATORS)
def test_named_after_its_stage_and_file(operator: type) -> None:
    assert operator.stage == operator.__module__.rpartition(".")[2]
    assert operator.__name__.lower() == f"pgmigration{operator.stage.replace('_', '')}operator"


@pytest.mark.parametrize("operator", OPERATORS)
def test_constructor_takes_keywords_only(operator: type) -> None:
    kinds = {parameter.kind for parameter in inspect.signature(operator.__init__).parameters.values()}
    assert inspect.Parameter.POSITIONAL_ONLY not in kinds
    with pytest.raises(Exception, match="keyword arguments"):
        operator("t", "001_one", "production")


@pytest.mark.parametrize("operator", OPERATORS)
def test_execute_stays_small(operator: type) -> None:
    lines = inspect.getsource(operator.execute).splitlines()
    assert len(lines) <= 40, "an operator calls the engine; it does not do the work"


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_kill_interrupts_what_the_stage_waits_for(operator: type) -> None:
    made = operator(task_id="t", version="001_one", target="production", **OPERATORS[operator])
    with pytest.raises(TaskStopped):
        made.on_kill()
    assert issubclass(TaskStopped, KeyboardInterrupt), "psycopg cancels the running statement only for that"


@pytest.mark.parametrize(
    "user, expected",
    [
        ({"id": "alice", "name": "alice"}, "alice"),
        ({"id": "7", "name": "alice"}, "alice"),
        ({"id": "alice", "name": "Alice Doe"}, "alice"),
        ({"id": "9", "name": "mallory"}, "mallory"),
        (None, "nobody"),
    ],
)
def test_the_responder_is_found_by_name_or_id(user: dict[str, str] | None, expected: str) -> None:
    assert reviewer_of(user, {"alice": "senior-dba@wakala.com"}) == expected


def test_a_window_that_ran_out_says_what_was_waited_for() -> None:
    folder = Path("/m/002_second")
    schedule = Schedule("test", NOW, timedelta(hours=1), timedelta(hours=1))
    migration = Migration(folder, "002_second", make_metadata(schedule=schedule), folder / "002_second.sql")
    plan, target = make_plan(version="002_second"), Target("test", "development", "a", "b")
    operator = PgMigrationPreflightOperator(task_id="t", version="002_second", target="test")
    late, turn = NOW + timedelta(hours=2), AheadPending("wait", waits_for="001_first")
    window = decide_next(plan, target, migration, make_bundle(plan), (), late)
    with pytest.raises(OutsideWindow, match=r"; it has waited for 001_first, which comes first$"):
        operator.wait_for_window({}, window, turn)
    with pytest.raises(OutsideWindow) as alone:
        operator.wait_for_window({}, window, None)
    assert "waited" not in str(alone.value)


def test_a_review_that_asks_nobody_says_why() -> None:
    assert not_asked(1, 0, []) == "nobody is asked: no reviews are wanted"
    assert not_asked(2, 1, ["bob"]) == "nobody is asked: 1 review is wanted"
    assert not_asked(1, 2, ["bob", "ann"]).startswith("nobody is asked again: bob, ann approved this plan and evidence")
    assert "not_asked(" in inspect.getsource(PgMigrationReviewOperator.execute)
