"""The page of a run: what it says first, how it shows what people wrote, and what it does not open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from airflow.models import DagModel

from airflow_migrator.settings import Settings
from airflow_migrator.storage.evidence_store import EvidenceStore, within
from airflow_migrator.ui.page import page
from airflow_migrator.ui.run_facts import RunFacts, TaskFacts, kept_back
from airflow_migrator.ui.run_report import report
from migrator import documents
from migrator.errors import NeedsHuman
from migrator.plan import Plan
from migrator.stages.outcome import Outcome
from tests.factories import NOW, make_plan

TASKS = ("analyze", "snapshot", "dry_run", "review.reviewer_1", "preflight", "apply.001_test", "verify", "outcome")


ENDED = Outcome("001_test", "production", "manual__1", True, "success", "applied and verified")


def run_of(states: Mapping[str, str], **over: Any) -> RunFacts:
    """A run whose tasks began one second after the other; those that are not named have not."""
    left = over.pop("left", {})
    tasks = tuple(
        TaskFacts(
            name,
            states.get(name),
            NOW + timedelta(seconds=number) if name in states else None,
            None,
            left.get(name, {}),
        )
        for number, name in enumerate(TASKS)
    )
    facts = RunFacts("migrate_001_test", "manual__1", "running", "carol", NOW, {"target": "production"}, tasks)
    return replace(facts, **over)


def shown(run: RunFacts, plan: Plan | None = None) -> str:
    def read(reference: Mapping[str, Any], cls: type[Any], stage: str) -> Any:
        if plan is None:
            raise NeedsHuman("it is gone")
        return plan

    return report(run, read, now=NOW + timedelta(minutes=1))


def test_waiting_says_for_what() -> None:
    done = {"analyze": "success", "snapshot": "success", "dry_run": "success"}
    text = shown(run_of({**done, "review.reviewer_1": "awaiting_input"}))
    assert text.startswith("# 001\\_test on production\n\n⏳ **waits for reviewer 1: see Required Actions**")
    left = {"preflight": {"window": "next window: 2025-01-16 02:00 UTC"}}
    text = shown(run_of({**done, "preflight": "deferred"}, left=left))
    assert "⏳ **waits for the maintenance window: next window: 2025-01-16 02:00 UTC**" in text
    asked = "step 'deployed' waits for an answer to \"Is *it*?\", until 2025-01-17; since 2025-01-16"
    text = shown(run_of({**done, "apply.001_test": "awaiting_input"}, left={"apply.001_test": {"window": asked}}))
    assert r'⏳ **step \'deployed\' waits for an answer to "Is \*it\*?", until'.replace("\\'", "'") in text
    assert "since 2025-01-16: see Required Actions**" in text


def test_failure_before_apply_says_that_nothing_was_applied_and_why() -> None:
    states = {"analyze": "success", "snapshot": "failed", "apply.001_test": "upstream_failed"}
    text = shown(run_of(states, state="failed", left={"snapshot": {"refusal": "no room\nleft on the disk"}}))
    assert "❌ **Nothing was applied**" in text
    assert "```text\nno room\nleft on the disk\n```" in text
    assert "**When snapshot is red**: the target or the storage could not be reached" in text
    assert "| snapshot | ❌\u00a0FAILED |" in text
    assert "| apply.001\\_test | –\u00a0not\u00a0reached |  |  |  |" in text


def test_failure_after_apply_does_not_claim_that() -> None:
    states = {name: "success" for name in TASKS[:6]}
    text = shown(run_of({**states, "verify": "failed"}, left={"verify": {"refusal": "not as promised"}}))
    assert "not as promised" in text
    assert "Nothing was applied" not in text


def test_what_was_begun_before_a_clear_is_not_forgotten() -> None:
    """Somebody clears everything after the first step was applied, and then the target cannot be reached."""
    run = run_of({"analyze": "failed"}, state="failed", left={"analyze": {"refusal": "no connection"}})
    tasks = tuple(replace(task, tries=1) if task.stage == "apply" else task for task in run.tasks)
    assert "Nothing was applied" in shown(run)
    assert "Nothing was applied" not in shown(replace(run, tasks=tasks))


def test_tasks_that_were_marked_are_told_with_who_did_it() -> None:
    """Green, applied and unverified: the page must not say that there was nothing to do."""
    states = dict.fromkeys(TASKS, "success")
    left: dict[str, Any] = {name: {"return_value": {"checks": 1, "asked": False}} for name in TASKS[:6]}
    run = run_of(states, state="success", left=left)
    tasks = tuple(replace(task, marked_by="carol" if task.stage == "verify" else "") for task in run.tasks)
    text = shown(replace(run, tasks=tasks))
    assert "⚠️ **Marked as done by hand: verify by carol, outcome**" in text
    assert "nothing was to be done" not in text
    assert "marked by hand, by carol |" in text


def test_the_end_is_told_in_the_outcomes_words() -> None:
    outcome = Outcome(
        "001_test", "production", "manual__1", False, "rolled_back", "rolled back\n- step sql: undone\nnext: mend it"
    )
    text = shown(run_of({}, state="failed", left={"outcome": {"outcome": documents.to_dict(outcome)}}))
    assert "❌ **rolled back**" in text
    assert "- step sql: undone\n\n**Next**: mend it" in text


def test_reason_and_person_are_named() -> None:
    text = shown(run_of({}, conf={"until": "dry_run", "reason": "ticket <4711>"}, state="success"))
    assert "Started by carol" in text
    assert "Reason: ticket &lt;4711>." in text
    assert "The rehearsal is over" in text


def test_shows_the_plan_as_soon_as_there_is_one() -> None:
    left = {"analyze": {"return_value": {"uri": "file:///x", "type": "schema_addition", "risk": "low", "findings": 2}}}
    text = shown(run_of({"analyze": "success"}, left=left), make_plan())
    assert "schema addition, risk low, 2 findings" in text
    assert "## Statements\n\n" in text
    assert "What was proved" not in text


def test_a_document_that_is_gone_is_no_error() -> None:
    left = {"analyze": {"return_value": {"uri": "file:///x", "digest": "sha256:0"}}}
    text = shown(run_of({"analyze": "success"}, left=left))
    assert "⚠️ the document of analyze cannot be shown: it is gone" in text


@pytest.mark.parametrize(
    "name, left",
    [
        ("outcome", {"outcome": {"x": 1}}),
        ("outcome", {"outcome": "all is well"}),
        ("outcome", {"outcome": {**documents.to_dict(ENDED), "text": 5}}),
        ("outcome", {"outcome": {**documents.to_dict(ENDED), "text": " "}}),
        ("analyze", {"return_value": {"findings": "many"}}),
        ("analyze", {"return_value": {"findings": None}}),
        ("snapshot", {"return_value": {"size_bytes": None}}),
        ("snapshot", {"return_value": {"size_bytes": "much", "seconds": []}}),
        ("snapshot", {"return_value": {"size_bytes": 1, "seconds": float("inf")}}),
        ("dry_run", {"return_value": {"seconds": {}}}),
        ("apply.001_test", {"return_value": {"steps": None}}),
        ("apply.001_test", {"return_value": {"steps": [{"seconds": "long"}]}}),
    ],
)
def test_what_somebody_has_written_into_xcom_is_noted(name: str, left: dict[str, Any]) -> None:
    text = shown(run_of(dict.fromkeys(TASKS, "success"), left={name: left}))
    assert f"⚠️ the XCom of {name.replace('_', chr(92) + '_')} cannot be shown: somebody has changed it" in text
    assert "## Stages" in text


def test_page_is_made_of_text_only() -> None:
    markdown = "# <script>alert(1)</script>\n\n[x](javascript:alert(1)) ![y](http://z/i.png)\n\n"
    markdown += "```diff\n+ <b>\n- b\n~ c\n```\n"
    html = page("<title>", markdown)
    for tag in ("<script", "<a ", "<img", "<b>", "<title><title>"):
        assert tag not in html
    for part in (
        '<span class="added">+ &lt;b&gt;</span>',
        '<span class="dropped">- b</span>',
        '<span class="changed">',
    ):
        assert part in html
    assert "refresh" not in html
    assert 'http-equiv="refresh"' in page("", "", refresh=True)


@pytest.mark.parametrize(
    "uri, root, inside",
    [
        ("file:///var/evidence/t/analyze.json", "/var/evidence", True),
        ("file:///var/evidence/t/analyze.json", "/var/evidence/", True),
        ("s3://bucket/evidence/t/a.json", "s3://bucket/evidence", True),
        ("file:///var/evidence-of-others/a.json", "/var/evidence", False),
        ("file:///var/evidence/../secrets.json", "/var/evidence", False),
        ("file:///etc/passwd", "/var/evidence", False),
        ("http://elsewhere/a.json", "/var/evidence", False),
    ],
)
def test_what_lies_in_an_evidence_folder(uri: str, root: str, inside: bool) -> None:
    assert within(uri, root) is inside


def test_only_documents_of_a_target_are_opened(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_migrator.ui.run_documents import read_document

    monkeypatch.setenv("MIGRATOR_HOME", str(tmp_path))
    monkeypatch.setenv("MIGRATOR_TARGETS", str(settings.targets))
    plan = make_plan()
    inside = EvidenceStore(str(tmp_path / "evidence"), "development", "001_test", "run-1").put("analyze", plan)
    assert read_document(inside, Plan, "analyze") == plan
    outside = EvidenceStore(str(tmp_path / "elsewhere"), "development", "001_test", "run-1").put("analyze", plan)
    with pytest.raises(NeedsHuman, match="does not lie in the evidence folder"):
        read_document(outside, Plan, "analyze")
    with pytest.raises(NeedsHuman, match="is not the document"):
        read_document({**inside, "digest": "sha256:0"}, Plan, "analyze")


def test_what_keeps_a_run_back_is_named() -> None:
    """Nobody should look for a fault where a switch is off."""
    done = {"analyze": "success", "snapshot": "success", "dry_run": "success"}
    text = shown(run_of(done, kept_back=kept_back("running", DagModel(is_paused=True, is_stale=False), None)))
    assert "⏸️ **Nothing of this run goes on: the DAG is paused" in text
    assert "`custodian`" in text
    working = {**done, "apply.001_test": "running"}
    assert "Nothing of this run" not in shown(run_of(working, kept_back="the DAG is paused"))


@pytest.mark.parametrize(
    "state, paused, stale, other, said",
    [
        ("running", False, False, None, ""),
        ("running", True, False, None, "is paused"),
        ("running", True, True, None, "not there any more"),
        ("queued", False, False, "manual__0", "manual__0: one is active at a time"),
        ("running", False, False, "manual__0", ""),
        ("success", True, True, None, ""),
    ],
)
def test_what_keeps_a_run_back(state: str, paused: bool, stale: bool, other: str | None, said: str) -> None:
    found = kept_back(state, DagModel(is_paused=paused, is_stale=stale), other)
    assert said in found
    assert bool(found) == bool(said)


def test_a_run_of_the_future_is_named() -> None:
    """Airflow's API takes one all the same when a data interval of now is given along."""
    dag = DagModel(is_paused=False, is_stale=False)
    assert "its logical date is 2130-01-01" in kept_back(
        "running", dag, None, datetime(2130, 1, 1, tzinfo=timezone.utc)
    )
    assert kept_back("running", dag, None, NOW) == ""
