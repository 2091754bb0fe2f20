"""The graph of a migration is the runbook, whatever its metadata say."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from airflow_migrator.building.catalogue_dags import build_dags, raise_problems
from airflow_migrator.settings import Settings
from airflow_migrator.stage_docs import STAGES
from migrator.errors import InvalidInput
from tests.unit.airflow_migrator.conftest import Write

RUNBOOK = {
    "analyze": {"snapshot"},
    "snapshot": {"restore_test"},
    "restore_test": {"dry_run", "drop_copy"},
    "dry_run": {"review.reviewer_1", "drop_copy"},
    "drop_copy": set(),
    "review.reviewer_1": {"review.reviewer_2"},
    "review.reviewer_2": {"begin"},
    "begin": {"preflight", "rollback", "outcome"},
    "preflight": {"apply.001_one"},
    "apply.001_one": {"verify"},
    "verify": {"rollback"},
    "rollback": {"outcome"},
    "outcome": set(),
}


def build(settings: Settings, version: str = "001_one") -> DAG:
    return build_dags(None, settings=settings)[f"migrate_{version}"]


def test_the_graph_is_the_runbook(settings: Settings, write: Write) -> None:
    write("001_one")
    dag = build(settings)
    assert {task.task_id: task.downstream_task_ids for task in dag.tasks} == RUNBOOK


def test_setups_and_teardowns(settings: Settings, write: Write) -> None:
    write("001_one")
    dag = build(settings)
    assert {task.task_id for task in dag.tasks if task.is_setup} == {"begin", "restore_test"}
    assert {task.task_id for task in dag.tasks if task.is_teardown} == {"rollback", "outcome", "drop_copy"}
    assert [task.task_id for task in dag.tasks if task.on_failure_fail_dagrun] == ["outcome"]
    dag.validate()


def test_clearing_a_step_checks_undoes_and_reports_again(settings: Settings, write: Write) -> None:
    """What the UI clears with one step: preflight and both teardowns come along."""
    write("001_one")
    cleared = build(settings).partial_subset("apply.001_one", include_upstream=False, include_downstream=False)
    assert set(cleared.task_dict) == {"begin", "apply.001_one", "rollback", "outcome"}


def test_each_declared_step_is_a_task_in_order(settings: Settings, write: Write) -> None:
    steps = [
        {"name": "expand", "kind": "sql", "file": "expand.sql"},
        {"name": "index", "kind": "create_index", "file": "index.sql"},
    ]
    write("001_one", steps=steps)
    dag = build(settings)
    assert dag.task_dict["apply.expand"].downstream_task_ids == {"apply.index"}
    assert dag.task_dict["apply.index"].downstream_task_ids == {"verify"}
    assert [dag.task_dict[f"apply.{name}"].step for name in ("expand", "index")] == ["expand", "index"]


def test_what_cannot_be_undone_is_reviewed_by_one_more(settings: Settings, write: Write) -> None:
    write("001_one", rollback_available=False)
    reviews = [task_id for task_id in build(settings).task_dict if task_id.startswith("review.")]
    assert reviews == ["review.reviewer_1", "review.reviewer_2", "review.reviewer_3"]


def test_gates_retry_what_was_answered_to_another_card_and_nothing_else(settings: Settings, write: Write) -> None:
    from airflow.sdk.exceptions import AirflowException

    from migrator.errors import CardOutdated, LockNotAvailable, NeedsHuman, ReviewRefused

    write("001_one")
    for task in build(settings).tasks:
        if task.task_id.startswith("review."):
            assert task.retries > 0, "also for an answer that Airflow has lost"
            assert not task.retry_exponential_backoff
            assert task.retry_policy.evaluate(CardOutdated(), 1, 4).action.value == "retry"
            for error in (ReviewRefused(), NeedsHuman(), LockNotAvailable(), AirflowException(), ValueError()):
                assert task.retry_policy.evaluate(error, 1, 4).action.value == "fail"


def test_silence_approves_nothing_and_nothing_else_runs_after_a_gate(settings: Settings, write: Write) -> None:
    write("001_one")
    for task in build(settings).tasks:
        if task.task_id.startswith("review."):
            assert task.defaults is None, "silence must not approve"
            assert task.response_timeout is None
        if not task.is_teardown:
            assert task.trigger_rule == "all_success", "none_failed would run after a rejection"


def test_only_transient_errors_are_retried(settings: Settings, write: Write) -> None:
    from migrator.errors import DriftDetected, LockNotAvailable

    write("001_one")
    task = build(settings).task_dict["apply.001_one"]
    assert task.retries > 0
    assert task.retry_exponential_backoff
    for error, action in ((LockNotAvailable(), "retry"), (DriftDetected(), "fail"), (ValueError(), "fail")):
        assert task.retry_policy.evaluate(error, 1, 4).action.value == action


def test_settings_of_the_dag(settings: Settings, write: Write) -> None:
    write("001_one", type="schema_addition", risk_level="high")
    dag = build(settings)
    assert dag.description == "Description of 001_one"
    assert dag.owner == "dave@wakala.com"
    assert dag.tags == {
        "migration", "risk:high", "type:schema_addition", "target:development", "year:2025",
    }  # fmt: skip
    assert dag.max_active_runs == 1
    assert dag.dagrun_timeout is None, "a time-out of the run skips the teardowns"
    assert dag.rerun_with_latest_version is False
    assert dag.catchup is False
    assert not dag.timetable.can_be_scheduled


def test_trigger_form(settings: Settings, write: Write) -> None:
    write("001_one")
    params = build(settings).params
    assert params["target"] == "development"
    assert params.get_param("target").schema["enum"] == ["development", "production"]
    assert params["until"] == "apply"
    params.validate()


def test_scheduled(settings: Settings, write: Write) -> None:
    window = {"start": "2027-03-10 02:00 UTC", "duration": "3 hours", "lead_time": "4 hours"}
    write("001_one", schedule={"target": "production", **schedule_keys(window)})
    dag = build(settings)
    assert dag.params["target"] == "production"
    assert dag.timetable.window_start == "2027-03-10T02:00:00+00:00"
    assert dag.timetable.window_end == "2027-03-10T05:00:00+00:00"
    assert dag.timetable.run_at == "2027-03-09T22:00:00+00:00"
    assert dag.is_paused_upon_creation is False


def schedule_keys(window: dict[str, str]) -> dict[str, Any]:
    """The metadata's own names for the window."""
    return {"window_start": window["start"], "duration": window["duration"], "lead_time": window["lead_time"]}


def test_serialises_and_comes_back(settings: Settings, write: Write) -> None:
    write("001_one", schedule={"target": "production", "window_start": "2027-03-10 02:00 UTC", "duration": "1 hour"})
    dag = build(settings)
    encoded = DagSerialization.to_dict(dag)
    back = DagSerialization.from_dict(encoded)
    assert set(back.task_dict) == set(RUNBOOK)
    assert back.task_dict["begin"].is_setup
    assert back.timetable.summary == dag.timetable.summary
    assert back.rerun_with_latest_version is False
    again = DagSerialization.to_dict(build(settings))
    assert again == encoded, "an unchanged migration must not become a new DAG version"


def test_docs_show_text_sql_and_rollback(settings: Settings, write: Write) -> None:
    folder = write("001_one", notes="Read *this* first.", dependencies=None)
    (folder / "001_one.sql").write_text("SELECT 'fence ``` inside';\n")
    docs = build(settings).doc_md or ""
    assert "Read *this* first." in docs
    assert "| Declared risk | low |" in docs
    assert "````sql\nSELECT 'fence ``` inside';\n````" in docs
    assert "DROP TABLE t_001_one;" in docs


def test_docs_show_the_plan_as_its_author_declares_it(settings: Settings, write: Write) -> None:
    allowed = {"rule": "create-index", "reason": "small | new", "until": "2099-12-31"}
    folder = write("001_one", allow=[allowed], verify=["SELECT true"], on_failure="hold")
    (folder / "schema_changes.yaml").write_text("added:\n  tables: [public.one]\n")
    docs = build(settings).doc_md or ""
    assert "| 1. `001_one` | executes the file | `001_one.sql` |  |" in docs
    assert "| `create-index` | small \\| new | 2099-12-31 |" in docs
    assert "| When it fails | left as it is, for a person |" in docs
    assert "## Verified by\n\n```sql\nSELECT true;\n```" in docs
    assert "## Expected changes\n\n```yaml\nadded:" in docs


def test_every_task_tells_what_to_do_when_it_is_red(settings: Settings, write: Write) -> None:
    write("001_one")
    tasks = build(settings).tasks
    assert {task.stage for task in tasks} == set(STAGES)
    for task in tasks:
        assert task.doc_md == STAGES[task.stage]
        assert "Red:" in task.doc_md
    assert {task.doc_md for task in build_dags("migrate_001_one", settings=settings)["migrate_001_one"].tasks} == {None}


@pytest.mark.parametrize(
    "author, owner, links",
    [
        ("dave@wakala.com", "dave@wakala.com", {"dave@wakala.com": "mailto:dave@wakala.com"}),
        ("Dave <dave+db@wakala.com>", "dave+db@wakala.com", {"dave+db@wakala.com": "mailto:dave+db@wakala.com"}),
        ("x?y@wakala.com", "x?y@wakala.com", {"x?y@wakala.com": "mailto:x%3Fy@wakala.com"}),
        ("x[y@wakala.com", "x[y@wakala.com", {}),
        ("the team", "the team", {}),
    ],
)
def test_the_owner_is_a_link_to_mail(
    settings: Settings, write: Write, author: str, owner: str, links: dict[str, str]
) -> None:
    write("001_one", author=author)
    dag = build(settings)
    assert (dag.owner, dag.owner_links) == (owner, links)


def test_a_worker_builds_one_and_reads_no_other(settings: Settings, write: Write) -> None:
    write("001_one")
    write("002_two", risk_level="no such risk")
    assert list(build_dags("migrate_001_one", settings=settings)) == ["migrate_001_one"]
    assert build_dags("missed_windows", settings=settings) == {}


@pytest.mark.parametrize("task_id", ["rollback", "outcome", "verify", "apply.expand", "apply.002_two"])
def test_a_worker_can_start_a_task_whose_files_were_broken_meanwhile(
    settings: Settings, write: Write, task_id: str
) -> None:
    write("002_two", risk_level="no such risk")
    for version in ("002_two", "999_gone"):
        dag = build_dags(f"migrate_{version}", task_id=task_id, settings=settings)[f"migrate_{version}"]
        assert task_id in dag.task_dict or (version, task_id) == ("999_gone", "apply.002_two")
    steps = build_dags("migrate_002_two", task_id="apply.expand", settings=settings)["migrate_002_two"]
    assert steps.task_dict["apply.expand"].step == "expand"
    whole = build_dags("migrate_002_two", task_id="apply.002_two", settings=settings)["migrate_002_two"]
    assert whole.task_dict["apply.002_two"].step is None


def test_a_broken_migration_hides_no_other(settings: Settings, write: Write) -> None:
    write("001_one")
    write("002_two", risk_levl="low")
    write("003_three", dependencies=["009_nine"])
    assert list(build_dags(None, settings=settings)) == ["migrate_001_one"]
    with pytest.raises(InvalidInput) as caught:
        raise_problems(settings=settings)
    text = str(caught.value)
    assert "002_two/migration-metadata.yaml" in text
    assert "risk_level" in text
    assert "003_three/migration-metadata.yaml" in text
    assert "009_nine" in text


def test_no_problem_raises_nothing(settings: Settings, write: Write) -> None:
    write("001_one")
    raise_problems(settings=settings)


PARSE = """
import sys
from airflow.dag_processing.dagbag import DagBag
before = set(sys.modules)
bag = DagBag({dags!r}, collect_dags=True)
assert not bag.import_errors, bag.import_errors
assert "migrate_001_one" in bag.dags, list(bag.dags)
heavy = {{"psycopg", "boto3", "botocore", "postgast", "rich"}}
heavy |= {{"migrator.parsing.statements", "migrator.database.session", "migrator.ledger"}}
print(sorted(heavy & (set(sys.modules) - before)))
"""


def test_parsing_imports_neither_driver_nor_parser_and_reads_no_database(
    settings: Settings, write: Write, repository: Any, tmp_path: Any
) -> None:
    write("001_one", schedule={"target": "production", "window_start": "2027-03-10 02:00 UTC", "duration": "1 hour"})
    env = {**os.environ, "MIGRATOR_MIGRATIONS": str(settings.migrations), "MIGRATOR_TARGETS": str(settings.targets)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PARSE.format(dags=str(repository / "dags" / "migrations.py"))],
        # A database that cannot be opened: whoever reads it at parse time fails here.
        env={
            **env,
            "AIRFLOW_HOME": str(tmp_path / "home"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/none/airflow.db",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_back_off_is_bounded(settings: Settings, write: Write) -> None:
    write("001_one")
    assert build(settings).task_dict["analyze"].max_retry_delay <= timedelta(minutes=10)
