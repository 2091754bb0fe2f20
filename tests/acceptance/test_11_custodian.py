"""Case 11: what no task of the run ends any more is ended from outside: verified, or undone as the policy says."""

from __future__ import annotations

from sandbox.rest import RUN_ENDED
from tests.acceptance.case import Brake, Case, Gate, wait_until
from tests.acceptance.specs import ADD_TABLE, DROP_TABLE, GATE, PATIENT, Files, braked, scenario

STEPS = [{"name": "first", "kind": "sql"}, {"name": "second", "kind": "sql", "file": "second.sql"}]
MARKS = "CREATE TABLE marks (id bigint PRIMARY KEY);\n"
TWO = Files(
    rollback="DROP TABLE IF EXISTS marks;\n" + DROP_TABLE,
    metadata={**PATIENT, "steps": STEPS},
    more={"second.sql": GATE + MARKS},
)
GATED = Files(sql=ADD_TABLE + GATE, metadata=PATIENT)


def ended(case: Case, ending: str, *, name: str = "") -> None:
    """The custodian has written down how it ended, by itself."""
    wait_until(lambda: "finished" in [event.kind for event in case.events(name)], what="the custodian to end it")
    (event,) = [event for event in case.events(name) if event.kind == "finished"]
    assert (event.detail["ending"], event.actor) == (ending, "custodian"), event.detail


@scenario(migrations={"": TWO})
def test_a_step_is_marked_failed_while_the_next_one_runs(case: Case) -> None:
    """Airflow says "Task deadlock" and runs no teardown: the first step would stay applied."""
    run = case.trigger()
    with Gate(case) as gate:
        gate.wait_for_waiter()
        run.mark_task("apply.first", "failed")
        assert run.wait_for_state(*RUN_ENDED) == "failed"
        ended(case, "rolled_back")
    assert run.states()["rollback"] is None
    case.expect_rolled_back()


@scenario(migrations={"": GATED})
def test_begin_is_marked_failed_while_applying(case: Case) -> None:
    run = case.trigger()
    with Gate(case) as gate:
        gate.wait_for_waiter()
        run.mark_task("begin", "failed")
    run.wait_for_state(*RUN_ENDED)
    wait_until(lambda: bool((row := case.row()) and row.status != "running"), what="whoever is first to end it")
    row = case.row()
    assert row is not None
    assert row.status in ("success", "rolled_back", "failed")
    if row.status == "success":
        case.expect_applied()
    else:
        case.expect_not_applied(status=("failed", "rolled_back"))


@scenario(migrations={"": GATED})
def test_paused_while_applying(case: Case) -> None:
    """What runs when a DAG is paused goes on to its end; what comes after it does not begin."""
    run = case.trigger()
    with Gate(case) as gate:
        gate.wait_for_waiter()
        case.as_("admin").pause(case.dag())
    ended(case, "verified")
    case.expect_applied()
    assert "Nothing of this run goes on: the DAG is paused" in case.as_("admin").page(run.dag_id, run.run_id)
    case.as_("admin").pause(case.dag(), paused=False)
    assert run.wait() == "success"


@scenario(migrations={"": GATED})
def test_run_is_deleted_after_its_tasks_were_marked(case: Case) -> None:
    """Green, applied and unverified: somebody marked what would have ended it, then tidied the list of runs."""
    run = case.trigger()
    with Gate(case) as gate:
        gate.wait_for_waiter()
        for task in ("outcome", "rollback", "verify"):
            run.mark_task(task, "success")
    assert run.wait_for_state(*RUN_ENDED) == "success"
    run.admin.delete_run(run.dag_id, run.run_id)
    case.runs.remove(run)
    ended(case, "verified")
    case.expect_applied()


@scenario(
    migrations={
        "": Files(
            metadata={**PATIENT, "on_failure": "hold", "steps": STEPS},
            more={"second.sql": GATE + MARKS},
            rollback="DROP TABLE IF EXISTS marks;\n" + DROP_TABLE,
        )
    }
)
def test_held_as_the_metadata_says(case: Case) -> None:
    run = case.trigger()
    with Gate(case) as gate:
        gate.wait_for_waiter()
        run.mark_task("apply.first", "failed")
        run.wait_for_state(*RUN_ENDED)
        ended(case, "held")
    row = case.row()
    assert row is not None
    assert row.status == "failed"
    assert case.value("SELECT to_regclass('labels') IS NOT NULL AND to_regclass('marks') IS NULL")


@scenario(migrations={"": Files(sql=ADD_TABLE + braked("folder_gone"), metadata={**PATIENT})})
def test_its_folder_goes_while_it_is_applied(case: Case) -> None:
    """Another branch is deployed: the DAG goes stale, and Airflow schedules nothing more of the run."""
    run = case.trigger()
    with Brake(case, "folder_gone"):
        run.until("apply." + case.version())
        wait_until(lambda: case.row() is not None, what="the migration to have begun")
        folder = case.folder()
        folder.rename(folder.with_name("." + folder.name))
        wait_until(lambda: bool(run.admin.dag_details(run.dag_id)["is_stale"]), what="the DAG to be stale")
    ended(case, "verified")
    case.expect_applied()
    folder.with_name("." + folder.name).rename(folder)
