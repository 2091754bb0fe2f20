"""By which documents what is applied is verified and undone: those that it was applied by, and no others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_migrator.hooks.pg_migration import PgMigrationHook
from airflow_migrator.operators.base import PgMigrationOperator
from airflow_migrator.operators.rollback import PgMigrationRollbackOperator
from airflow_migrator.operators.verify import PgMigrationVerifyOperator
from airflow_migrator.storage.evidence_store import EvidenceStore
from migrator.database.session import Endpoint
from migrator.evidence import EvidenceBundle
from migrator.plan import Plan
from migrator.steps.undo_decision import Action
from tests.evidence import make_bundle, read_schema, rehearse
from tests.factories import plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, query, roll_back, row_of

UP, DOWN = "UPDATE t SET b = a; CREATE TABLE more (id int);", "UPDATE t SET b = NULL; DROP TABLE IF EXISTS more;"
TABLE = "CREATE TABLE t (a int, b int); INSERT INTO t VALUES (1); CREATE TABLE fired (a int);"
TRAP = """
CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO fired VALUES (1); RETURN NULL; END $$;
CREATE TRIGGER trap AFTER UPDATE ON t FOR EACH STATEMENT EXECUTE FUNCTION trap();
"""
Left = dict[str, Any]


@pytest.fixture
def applied(
    make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Plan, Endpoint, Callable[[type[PgMigrationOperator]], Any], Callable[[EvidenceBundle], None], Left]:
    """What makes a task do its work, and what puts the documents of a dry run where it looks for them."""
    targets = tmp_path / "targets.yaml"
    targets.write_text("targets:\n  test: {environment: development, connection: one, copies_connection: two}\n")
    monkeypatch.setenv("MIGRATOR_HOME", str(tmp_path))
    monkeypatch.setenv("MIGRATOR_TARGETS", str(targets))
    database, twin = make_database("documents", script=TABLE), make_database("twin", script=TABLE)
    monkeypatch.setattr(PgMigrationHook, "endpoint", lambda self: database)
    monkeypatch.setattr(PgMigrationHook, "sealing_key", lambda self: b"key")
    plan, left = plan_from_sql(UP, DOWN, assertions=("SELECT false",)), Left()
    store = EvidenceStore(str(tmp_path / ".evidence"), "test", plan.version, "run-1", b"key")

    def put(bundle: EvidenceBundle) -> None:
        for name, document in (
            ("snapshot", bundle.snapshot),
            ("restore_test", bundle.restore),
            ("dry_run", bundle.dry_run),
        ):
            left[name] = store.put(name, document)

    def task(operator: type[PgMigrationOperator]) -> Any:
        made = operator(task_id="task", version=plan.version, target="test")
        monkeypatch.setattr(made, "store", lambda context: store)
        xcom = SimpleNamespace(try_number=1, task_id="task", xcom_push=lambda **value: None, xcom_pull=xcom_pull)
        run = SimpleNamespace(run_id="run-1", dag_id="dag", triggering_user_name="ann")
        return made.execute({"dag_run": run, "ti": xcom, "params": {}})  # type: ignore[typeddict-item]

    def xcom_pull(task_ids: str) -> Any:
        return left.get(task_ids)

    left["analyze"] = store.put("analyze", plan)
    store.keep_plan(plan)
    bundle = rehearse(plan, database, twin)
    put(bundle)
    apply_all(plan, database, bundle)
    return plan, database, task, put, left


def test_documents_that_are_there(applied: Any) -> None:
    _, database, task, _, left = applied
    del left["dry_run"]  # somebody has deleted the XCom
    assert task(PgMigrationRollbackOperator)["action"] == Action.ROLLED_BACK
    assert query(database, "SELECT b FROM t") == [(None,)]


@pytest.mark.parametrize("name", ["dry_run", "snapshot", "restore_test"])
def test_a_document_that_is_gone(applied: Any, name: str) -> None:
    plan, database, task, _, left = applied
    query(database, TRAP)
    Path(left[name]["uri"].removeprefix("file://")).unlink()
    assert task(PgMigrationRollbackOperator)["action"] == Action.HELD
    assert query(database, "SELECT * FROM fired") == []
    row = row_of(plan, database)
    assert row is not None
    assert row.status == "failed"


def test_documents_that_were_made_again_after_it_was_applied(applied: Any) -> None:
    """Nobody has reviewed them, also where nobody was asked."""
    plan, database, task, put, _ = applied
    query(database, TRAP)
    now = read_schema(database)
    put(make_bundle(plan, now, now))
    with pytest.raises(Exception, match="what it was applied by"):
        task(PgMigrationVerifyOperator)
    assert task(PgMigrationRollbackOperator)["action"] == Action.HELD
    assert query(database, "SELECT * FROM fired") == []


def test_a_rollback_that_nobody_asked_for_needs_evidence(applied: Any) -> None:
    plan, database, *_ = applied
    assert roll_back(plan, database, start=None).action is Action.HELD
    assert roll_back(plan, database, start=None, force=True).action is Action.ROLLED_BACK
