"""Case 13: gates between two steps. What opens them, and what does not, is tested without Airflow in
tests/integration/test_gate.py."""

from __future__ import annotations

from typing import Any

from tests.acceptance.case import Case, wait_until
from tests.acceptance.specs import Files, scenario

QUESTION = "Is the new application deployed everywhere?"
SECOND = "INSERT INTO signals (note) VALUES ('after the gate');\n"


def gated(*gates: dict[str, Any]) -> Files:
    steps = [{"name": "expand", "kind": "sql"}, *({"kind": "gate", **gate} for gate in gates)]
    steps.append({"name": "contract", "kind": "sql", "file": "contract.sql"})
    return Files(
        sql="CREATE TABLE signals (done boolean, note text);\n",
        rollback="DROP TABLE signals;\n",
        metadata={"steps": steps},
        more={"contract.sql": SECOND},
    )


def answers(case: Case) -> list[tuple[str, str]]:
    return [(one.actor, one.detail["decision"]) for one in case.events() if one.kind == "gate_answered"]


@scenario(
    slow=True,
    migrations={
        "": gated(
            {"name": "deployed", "question": QUESTION, "expires": "1 hour"},
            {"name": "drained", "condition": "SELECT EXISTS (SELECT FROM signals WHERE done)", "every": "5 seconds"},
        )
    },
)
def test_a_person_and_a_condition_open_gates_over_a_restart(case: Case) -> None:
    """Without a worker; the author's answer counts for nothing, and the question stays."""
    run = case.trigger()
    run.answer("apply.deployed", "dave", "Yes")
    wait_until(lambda: answers(case) == [("dave", "refused")], what="the ledger to refuse the author")
    asked = run.until("apply.deployed", "awaiting_input")
    card = run.admin.card(run.dag_id, run.run_id, "apply.deployed")
    assert QUESTION in card["body"]
    assert case.value("SELECT rests FROM migrator.schema_migrations WHERE version = %s", case.version())
    run.clear("apply.deployed")
    run.until("apply.deployed", "awaiting_input", after=asked["try_number"])
    run.answer("apply.deployed", "alice", "Yes", comment="as of noon")
    run.until("apply.drained", "deferred")
    assert answers(case) == [("dave", "refused"), ("alice", "yes")]
    case.laboratory.restart_triggerer()
    case.query("INSERT INTO signals VALUES (true)")
    assert run.wait() == "success"
    case.expect_applied()
    waited = [event.detail["reason"] for event in case.events() if event.kind == "waits"]
    assert [reason.split("'")[1] for reason in dict.fromkeys(waited)] == ["deployed", "drained"]
    found = {check["name"]: check["detail"] for check in run.document("dry_run")["checks"]}
    assert f"gate 'deployed': would ask: {QUESTION}" in found["apply"]
    assert "gate 'drained': its condition is false here" in found["apply"]


@scenario(migrations={"": gated({"name": "deployed", "question": QUESTION})})
def test_no_undoes_what_was_applied(case: Case) -> None:
    run = case.trigger()
    run.answer("apply.deployed", "alice", "No", comment="two pods are old")
    assert run.wait() == "failed"
    assert "two pods are old" in run.log("outcome")
    case.expect_rolled_back()


@scenario(migrations={"": gated({"name": "deployed", "question": QUESTION})})
def test_a_gate_that_is_marked_as_done_stays_shut(case: Case) -> None:
    run = case.trigger()
    run.until("apply.deployed", "awaiting_input")
    run.mark_task("apply.deployed", "success")
    assert run.wait() == "failed"
    assert answers(case) == []
    assert "comes after 'deployed', which the ledger does not have as done" in run.log("apply.contract")
    case.expect_rolled_back()


@scenario(slow=True, migrations={"": gated({"name": "deployed", "question": QUESTION, "expires": "1 minute"})})
def test_what_is_applied_stays_when_its_time_is_up_and_it_asks_anew(case: Case) -> None:
    run = case.trigger()
    assert run.wait() == "failed"
    assert "clear the apply task of 'deployed'" in run.log("apply.deployed")
    assert case.value("SELECT status FROM migrator.schema_migration_steps WHERE step = 'expand'") == "success"
    run.clear("apply.deployed", downstream=True)
    run.answer("apply.deployed", "alice", "Yes")
    assert run.wait() == "success"
    case.expect_applied()


@scenario(
    slow=True,
    own_server=True,
    migrations={"": gated({"name": "drained", "condition": "SELECT EXISTS (SELECT FROM signals WHERE done)"})},
)
def test_a_database_that_is_away_for_a_while_costs_no_try(case: Case) -> None:
    server = case.laboratory.server(case)
    run = case.trigger()
    run.until("apply.drained", "deferred")
    case.query("INSERT INTO signals VALUES (true)")
    server.stop("immediate")
    try:
        wait_until(lambda: "nobody could look" in run.log("apply.drained"), what="a look that fails", every=2.0)
    finally:
        server.start()
    assert run.wait() == "success"
    assert run.admin.task(run.dag_id, run.run_id, "apply.drained")["try_number"] == 1
    case.expect_applied()
