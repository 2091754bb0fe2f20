"""What is left when a run's rollback never gets to run: the housekeeping finds it."""

from __future__ import annotations

from typing import Any

from migrator.ledger.ledger import Ledger
from migrator.ledger.rows import Helper, ObjectClass
from migrator.run import RunContext
from migrator.steps.names import helper_name
from sandbox.rest import RUN_ENDED
from tests.acceptance.case import Case, Gate, Run, wait_until
from tests.acceptance.specs import ADD_TABLE, DROP_TABLE, GATE, PATIENT, Files, scenario

STEPS = [{"name": "first", "kind": "sql"}, {"name": "second", "kind": "sql", "file": "second.sql"}]


def abandon(run: Run, step: str) -> None:
    """Somebody marks the rollback as done and then fails the step: nothing ends what was begun."""
    run.mark_task("rollback", "success")
    run.mark_task(step, "failed")
    assert run.wait_for_state(*RUN_ENDED) == "failed"
    wait_until(lambda: not run.case.backends(), what="the session of the failed step to end")


def tidy(case: Case, **conf: Any) -> tuple[str, dict[str, str | None]]:
    """Somebody triggers the housekeeping for this target alone: the run's state, and its tasks'."""
    admin = case.as_("admin")
    run = admin.trigger("housekeeping", {"targets": [case.target], **conf})
    wait_until(
        lambda: admin.run_state("housekeeping", run) in RUN_ENDED,
        what="the housekeeping's end",
    )
    return admin.run_state("housekeeping", run), admin.states("housekeeping", run)


@scenario(migrations={"": Files(sql=ADD_TABLE + GATE, metadata=PATIENT)})
def test_run_is_abandoned_and_deleted(case: Case) -> None:
    """Nothing took effect, so the row is closed, by whoever comes first, and the next run finds the way free."""
    run = case.trigger()
    with Gate(case) as gate:
        gate.wait_for_waiter()
        abandon(run, case.step())
    run.admin.delete_run(run.dag_id, run.run_id)
    case.runs.remove(run)
    row = case.row()
    assert row is not None
    assert row.status == "running"

    state, tasks = tidy(case)
    assert (state, tasks["ledger"]) == ("success", "success")
    case.expect_not_applied(status=("failed",))
    assert case.trigger().wait() == "success"
    case.expect_applied()


@scenario(
    slow=True,
    migrations={
        "": Files(
            rollback="DROP TABLE IF EXISTS marks;\n" + DROP_TABLE,
            metadata={**PATIENT, "steps": STEPS},
            more={"second.sql": GATE + "CREATE TABLE marks (id bigint PRIMARY KEY);\n"},
        )
    },
)
def test_run_is_abandoned_half_way(case: Case) -> None:
    """The first step is applied, and what its run has kept is gone: that is for a person, and the housekeeping is red
    until one has decided. With the plan at hand the custodian would have undone it, see case 11."""
    run = case.trigger()
    with Gate(case) as gate:
        gate.wait_for_waiter()
        plans = list((case.laboratory.evidence / case.target).rglob("plan-*.json"))
        assert plans
        for plan in plans:
            plan.unlink()
        abandon(run, "apply.second")

    state, tasks = tidy(case)
    assert (state, tasks["ledger"], tasks["copies"], tasks["snapshots"]) == ("failed", "failed", "success", "success")
    row = case.row()
    assert row is not None
    assert row.status == "running", "nothing is decided for a person"
    assert [event.kind for event in case.events()].count("reconcile") == 1

    case.repair("failed", reason="looked: the first step is there")
    assert case.trigger().wait() == "success", "it goes on where it stopped"
    row = case.row()
    assert row is not None
    assert row.status == "success"
    assert case.value("SELECT to_regclass('labels') IS NOT NULL AND to_regclass('marks') IS NOT NULL")


@scenario(migrations={"": Files(sql=ADD_TABLE)})
def test_trigger_is_left_behind(case: Case) -> None:
    """By a migration that is applied: told when nobody wants it dropped, else gone within the hour."""
    run = case.trigger()
    assert run.wait() == "success"
    (row,) = [one for one in (case.row(),) if one is not None]
    name = helper_name(row.version, "copy", "capture")
    case.query(
        f"CREATE FUNCTION public.{name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;"
        f" CREATE TRIGGER {name} BEFORE INSERT ON public.labels FOR EACH ROW EXECUTE FUNCTION public.{name}()"
    )
    left = [Helper(ObjectClass.TRIGGER, "public", name, "labels"), Helper(ObjectClass.FUNCTION, "public", name)]
    with Ledger(case.endpoint) as ledger:
        whose = RunContext(run_id=row.run_id, version=row.version, target=case.target, actor="tester")
        ledger.register(left, version=row.version, step="copy", run=whose)

    there = "SELECT tgenabled::text FROM pg_trigger WHERE tgname = %s"
    assert tidy(case, drop=False)[1]["janitor"] == "success"
    assert case.value(there, name) == "O"
    assert tidy(case)[1]["janitor"] == "success"
    assert case.query(there, name) == []
    kinds = [event.kind for event in case.events() if event.kind.startswith("janitor")]
    assert kinds == ["janitor_disabled", "janitor_dropped", "janitor_dropped"]
    case.expect_applied()


@scenario(migrations={"": Files(sql=ADD_TABLE)})
def test_ledger_is_changed_while_nothing_runs(case: Case) -> None:
    """Whoever migrates next would be the first to notice; people are told within the hour."""
    assert case.trigger().wait() == "success"
    assert tidy(case)[1]["ledger"] == "success"
    case.query("ALTER TABLE migrator.schema_migration_events DISABLE TRIGGER append_only")
    case.query("UPDATE migrator.schema_migration_events SET actor = 'somebody else' WHERE kind = 'verified'")
    case.query("ALTER TABLE migrator.schema_migration_events ENABLE ALWAYS TRIGGER append_only")
    admin = case.as_("admin")
    run = admin.trigger("housekeeping", {"targets": [case.target]})
    wait_until(lambda: admin.run_state("housekeeping", run) in RUN_ENDED, what="the housekeeping's end")
    assert admin.states("housekeeping", run)["ledger"] == "failed"
    log = admin.log("housekeeping", run, "ledger", map_index=0)
    assert f"{case.target}: somebody has changed the ledger" in log
    assert "nothing is migrated there" in log
