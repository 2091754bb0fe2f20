"""What people see and click in Airflow's UI, and what becomes of it in the ledger."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from sandbox.rest import wait_until
from tests.acceptance.case import Case, Gate, Holder, Run
from tests.acceptance.laboratory import Laboratory
from tests.acceptance.specs import ADD_TABLE, SABOTEUR
from tests.browser.cases import BROKEN
from tests.browser.conftest import SignIn
from tests.browser.ui import Ui

FILLS = "SELECT 1 FROM migrator.schema_migration_steps WHERE step = 'fill' AND rows_done > 0"
WAITS = "SELECT cursor -> 'waiting' ->> 'name' FROM migrator.schema_migration_steps WHERE step = 'fill'"


@pytest.fixture(scope="module", autouse=True)
def saboteur(laboratory: Laboratory, runs: dict[str, Run]) -> object:
    """Connected to the target of `undone` while it runs, so that its assertion fails there and not on the copy."""
    with laboratory.cases["undone"].connect(application_name=SABOTEUR) as connection:
        yield connection


def test_list_shows_what_a_migration_is(sign_in: SignIn, rehearsed: Case) -> None:
    ui = sign_in("carol")
    ui.open("/dags")
    link = ui.page.get_by_role("link", name=rehearsed.dag())
    expect(link).to_be_visible()
    for tag in ("migration", "risk:medium", "year:2025"):
        expect(ui.page.get_by_text(tag).first).to_be_visible()
    link.hover()
    expect(ui.page.get_by_role("tooltip")).to_have_text("Add tables for message analytics feature")


def test_broken_migration_is_an_import_error_and_the_others_stay(sign_in: SignIn, laboratory: Laboratory) -> None:
    ui = sign_in("carol")
    ui.open("/dags")
    ui.page.get_by_role("button", name="Dag Import Error").click()
    dialog = ui.page.get_by_role("dialog")
    dialog.get_by_text("broken_migrations.py").first.click()
    expect(dialog.get_by_text("risk_levl: unknown key (did you mean 'risk_level'?)")).to_be_visible()
    expect(dialog.get_by_text(f"{BROKEN}/migration-metadata.yaml:4:1")).to_be_visible()
    ui.page.keyboard.press("Escape")
    for case in laboratory.cases.values():
        expect(ui.page.get_by_role("link", name=case.dag())).to_be_visible()
    expect(ui.page.get_by_role("link", name=f"migrate_{BROKEN}")).to_have_count(0)


def test_docs_show_text_plan_sql_and_rollback(sign_in: SignIn, rehearsed: Case) -> None:
    ui = sign_in("carol")
    ui.open_dag(rehearsed.dag())
    ui.button("Dag Docs").click()
    docs = ui.page.get_by_role("dialog")
    for heading in ("Plan", f"Forward: {rehearsed.version()}.sql", "Expected changes"):
        expect(docs.get_by_role("heading", name=heading, exact=True)).to_be_attached()
    expect(docs.get_by_role("listitem").filter(has_text="Creates indexes for query optimization")).to_be_attached()
    expect(docs.get_by_role("row").filter(has_text="executes the file")).to_be_attached()
    for code in ("CREATE TABLE message_analytics (", "DROP TABLE IF EXISTS analytics_summary;"):
        expect(docs).to_contain_text(code)
    for markup in ("| --- |", "```", "**"):
        expect(docs).not_to_contain_text(markup)


def test_each_stage_tells_what_to_do_when_it_is_red(sign_in: SignIn, rehearsed: Case) -> None:
    ui = sign_in("carol")
    ui.open(f"/dags/{rehearsed.dag()}/tasks/dry_run")
    ui.button("Documentation").click()
    docs = ui.page.get_by_role("dialog")
    expect(docs).to_contain_text("Applies the plan on the restored copy")
    expect(docs).to_contain_text("Red: it would have failed in production, too")


def test_graph_reads_like_the_runbook(sign_in: SignIn, rehearsed: Case) -> None:
    ui = sign_in("carol")
    ui.open_dag(rehearsed.dag())
    ui.button("Show Graph (Press g)").click()
    graph = ui.page.locator(".react-flow")
    for stage in ("analyze", "snapshot", "restore_test", "dry_run", "review", "preflight", "apply", "verify"):
        expect(graph.get_by_text(stage, exact=True).first).to_be_visible()
    for label in ("plan", "proven copy", "evidence", "approved", "in the window", "applied"):
        expect(graph.get_by_text(label, exact=True).first).to_be_visible()


def test_form_starts_a_rehearsal(sign_in: SignIn, rehearsed: Case) -> None:
    ui = sign_in("carol")
    ui.open_dag(rehearsed.dag())
    ui.button("Trigger Dag").click()
    ui.choose("Target", f"{rehearsed.target} (development, no review)")
    ui.choose("How far", "rehearsal")
    form = ui.page.get_by_role("dialog")
    form.locator("[id=element_reason]").fill("before release 4.2")
    form.get_by_role("button", name="Trigger", exact=True).click()
    expect(form).to_be_hidden()

    admin = rehearsed.as_("admin")
    wait_until(lambda: bool(admin.runs(rehearsed.dag())), timeout_seconds=60, what="the run of the form")
    (begun,) = admin.runs(rehearsed.dag())
    asked = {"target": rehearsed.target, "until": "dry_run", "reason": "before release 4.2", "emergency": False}
    assert begun["conf"] == asked
    run = Run(rehearsed, "", begun["dag_run_id"])
    assert run.wait() == "success"
    assert run.states()[rehearsed.step()] == "skipped"
    rehearsed.expect_not_applied()

    report = ui.report(run)
    expect(report.get_by_text("The rehearsal is over")).to_be_visible()
    expect(report.get_by_text("Started by carol")).to_contain_text("Reason: before release 4.2.")
    expect(report.get_by_role("row").filter(has_text="dry_run").first).to_contain_text("applied to the copy in")
    expect(report.locator("span.added").filter(has_text="+ table public.message_analytics").first).to_be_attached()


def test_failed_run_says_why_and_what_to_do(sign_in: SignIn, laboratory: Laboratory, runs: dict[str, Run]) -> None:
    run = runs["undone"]
    assert run.wait() == "failed"
    laboratory.cases["undone"].expect_rolled_back()
    ui = sign_in("carol")

    report = ui.report(run)
    expect(report.get_by_text("not applied: it failed and was rolled back")).to_be_visible()
    expect(report.get_by_role("listitem").filter(has_text="verify failed at")).to_contain_text("gave false, not true")
    expect(report.get_by_text("Next: the database is as before. mend the cause")).to_be_visible()
    expect(report.get_by_role("row").filter(has_text="rollback").first).to_contain_text("rolled back")
    shows_all_of_it(ui.page)

    ui.open_task(run, "outcome")
    log = ui.page.get_by_text("it failed and was rolled back").first
    expect(log).to_be_visible()
    expect(ui.page.get_by_text("next: the database is as before. mend the cause").first).to_be_visible()


def test_reviewers_decide_on_evidence(sign_in: SignIn, laboratory: Laboratory, runs: dict[str, Run]) -> None:
    run, case = runs["reviewed"], laboratory.cases["reviewed"]
    run.until("review.reviewer_1", "awaiting_input")
    alice = sign_in("alice")
    card = shows_the_evidence(alice, run, 1)
    expect(card.get_by_role("heading", name="Answered already")).to_have_count(0)
    card.locator("[id=element_comment]").fill("small enough for the night")
    answer(alice, run, case, 1, "Approve")
    assert reviews(case) == [("alice", "approved", "small enough for the night")]

    run.until("review.reviewer_2", "awaiting_input")
    bob = sign_in("bob")
    card = shows_the_evidence(bob, run, 2)
    expect(card.get_by_role("heading", name="Answered already")).to_be_attached()
    expect(card.get_by_role("listitem").filter(has_text="small enough for the night")).to_contain_text("alice")
    card.locator("[id=element_comment]").fill("wait for the new disks")
    answer(bob, run, case, 2, "Reject")
    assert reviews(case)[1:] == [("bob", "rejected", "wait for the new disks")]
    assert run.wait() == "failed"
    case.expect_not_applied()
    expect(bob.report(run).get_by_text("'bob' rejected the migration: wait for the new disks").first).to_be_visible()


def test_card_that_was_overtaken_is_asked_again(sign_in: SignIn, laboratory: Laboratory) -> None:
    """Somebody edits the files and clears the analysis while alice reads: her click counts for nothing."""
    case = laboratory.cases["overtaken"]
    case.rewrite(sql=ADD_TABLE.replace("name text", "title text"))
    run, task = case.trigger(user="carol"), "review.reviewer_1"
    run.until(task, "awaiting_input")
    alice = sign_in("alice")
    alice.open_task(run, task, "required_actions")
    expect(alice.page.locator("code.language-sql").first).to_contain_text("title text")
    expect(alice.page.get_by_role("row").filter(has_text="Author")).to_contain_text("carol (started the run; none of")
    case.rewrite()
    run.clear("analyze", "snapshot", "restore_test", "dry_run")
    run.until("dry_run", "success", after=1)
    case.laboratory.airflow.wait_until_parked(run.dag_id, run.run_id, task)
    alice.button("Approve").click()

    run.until(task, "awaiting_input", after=1)
    assert reviews(case) == []
    alice.open_task(run, task, "required_actions")
    expect(alice.page.get_by_role("heading", name="Asked again")).to_be_visible()
    expect(alice.page.get_by_text("That answer counts for nothing")).to_be_visible()
    expect(alice.page.locator("code.language-sql").first).to_contain_text("name text")
    expect(alice.page.locator("code.language-sql").first).not_to_contain_text("title text")
    alice.page.locator("[id=element_comment]").fill("read once more")
    case.laboratory.airflow.wait_until_parked(run.dag_id, run.run_id, task, try_number=2)
    alice.button("Approve").click()
    wait_until(lambda: bool(reviews(case)), timeout_seconds=90, what="the answer in the ledger")
    assert reviews(case) == [("alice", "approved", "read once more")]


def test_report_wants_a_session(laboratory: Laboratory, sign_in: SignIn, runs: dict[str, Run]) -> None:
    ui, path = sign_in("carol"), f"/migrator{Ui.path(runs['undone'])}"
    assert ui.page.request.get(ui.url + path).status == 200
    assert "is not a migration" in ui.page.request.get(f"{ui.url}/migrator/dags/missed_windows/runs/x").text()
    assert ui.page.request.get(f"{ui.url}/migrator/dags/{runs['undone'].dag_id}/runs/no_such_run").status == 404
    ui.page.context.clear_cookies()
    assert ui.page.request.get(ui.url + path).status == 401


def shows_the_evidence(ui: Ui, run: Run, number: int) -> Page:
    ui.open_task(run, f"review.reviewer_{number}", "required_actions")
    page = ui.page
    expect(page.get_by_text(f"review {number} of 2 (risk high)")).to_be_visible()
    for heading in ("What was proved", "Findings", "Statements: predicted and observed"):
        expect(page.get_by_role("heading", name=heading)).to_be_attached()
    for proof in ("Snapshot", "Restore", "Dry run", "Rollback", "Apply again"):
        proved = page.get_by_role("row").filter(has=page.get_by_role("cell", name=proof, exact=True))
        expect(proved).to_contain_text("passed")
    statement = page.get_by_role("row").filter(has_text="1: ALTER TABLE")
    expect(statement).to_contain_text("ACCESS EXCLUSIVE on public.messages")
    expect(statement.get_by_role("cell").nth(4)).to_contain_text("confirmed")
    expect(statement.get_by_role("cell").nth(5)).to_have_text("public.messages")
    expect(page.get_by_text("rewritten, and locked meanwhile: public.messages")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="create-index")).to_contain_text("messages is small here")
    expect(page.locator("code.language-diff")).to_contain_text("~ column public.messages.body: text")
    return page


def test_pause_and_resume_a_backfill(sign_in: SignIn, laboratory: Laboratory) -> None:
    """A batch waits for a row meanwhile, so that there is time to look."""
    case, ui = laboratory.cases["filled"], sign_in("carol")
    run = case.trigger(user="carol")
    with Gate(case) as gate:
        gate.wait_for_waiter()
        with Holder(case, "SELECT FROM numbers WHERE id = 15000 FOR UPDATE"):
            gate.open()
            wait_until(lambda: case.query(FILLS) != [], timeout_seconds=90, what="a batch that has committed")
            frame = ui.report(run)
            expect(frame.get_by_role("listitem").filter(has_text="fill: running")).to_contain_text("rows")
            frame.get_by_role("link", name="Pause").click()
            frame.get_by_label("Reason").fill("a <b>sale</b>")
            frame.get_by_role("button", name="Pause").click()
            paused = frame.get_by_role("listitem").filter(has_text="fill: paused")
            expect(paused).to_contain_text("by carol: a <b>sale</b> since")
    wait_until(lambda: case.query(WAITS) == [("paused",)], timeout_seconds=90, what="the step to be paused")
    frame = ui.report(run)
    frame.get_by_role("link", name="Resume").click()
    frame.get_by_label("Reason").fill("it is over")
    frame.get_by_role("button", name="Resume").click()
    assert run.wait() == "success"
    case.expect_applied()
    asked = case.query(
        "SELECT kind, actor, detail ->> 'reason' FROM migrator.schema_migration_events"
        " WHERE kind IN ('pause', 'resume') ORDER BY id"
    )
    assert asked == [("pause", "carol", "a <b>sale</b>"), ("resume", "carol", "it is over")]
    ui.open_run(run)
    expect(ui.report(run).get_by_role("link", name="Pause")).to_have_count(0)


def test_answer_at_a_gate(sign_in: SignIn, laboratory: Laboratory) -> None:
    """What it waits for stands on the run's page; the question is its author's text, and nothing more."""
    case, ui = laboratory.cases["asking"], sign_in("alice")
    run = case.trigger(user="carol")
    run.until("apply.deployed", "awaiting_input")
    waits = ui.report(run).get_by_role("listitem").filter(has_text="deployed: ")
    expect(waits).to_contain_text("Is **every** pod <b>new</b>?")
    expect(waits).to_contain_text("until ")
    ui.open_task(run, "apply.deployed", "required_actions")
    expect(ui.page.get_by_text("Is **every** pod <b>new</b>?").first).to_be_visible()
    case.laboratory.airflow.wait_until_parked(run.dag_id, run.run_id, "apply.deployed")
    ui.button("Yes").click()
    assert run.wait() == "success"
    case.expect_applied()
    told = [(one.actor, one.detail["decision"]) for one in case.events() if one.kind == "gate_answered"]
    assert told == [("alice", "yes")]


def answer(ui: Ui, run: Run, case: Case, number: int, choice: str) -> None:
    """Click, as slowly as a person: see `AirflowProcesses.wait_until_parked`."""
    task = f"review.reviewer_{number}"
    before = len(reviews(case))
    case.laboratory.airflow.wait_until_parked(run.dag_id, run.run_id, task)
    ui.button(choice).click()
    wait_until(lambda: len(reviews(case)) > before, timeout_seconds=90, what=f"the answer to {task} in the ledger")


def reviews(case: Case) -> list[tuple[str, str, str]]:
    if case.value("SELECT to_regclass('migrator.schema_migration_reviews')") is None:
        return []
    return case.query("SELECT reviewer, decision, reason FROM migrator.schema_migration_reviews ORDER BY id")


def shows_all_of_it(page: Page) -> None:
    """Nothing of the report is cut off at its side."""
    frame = page.frame_locator("iframe[title=Migration]").locator("body")
    assert frame.evaluate("body => document.documentElement.scrollWidth <= document.documentElement.clientWidth")
