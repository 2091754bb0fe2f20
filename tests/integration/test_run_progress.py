"""What a run's page tells of the step that runs, and what a person may ask there, on a real ledger."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_migrator.ui import run_progress
from airflow_migrator.ui.run_facts import RunFacts, TaskFacts
from migrator.database.session import Endpoint
from migrator.errors import UsageError
from migrator.ledger.ledger import Ledger
from migrator.steps import batch_size, batches
from tests.factories import NOW
from tests.integration.stages import query
from tests.integration.test_backfill import FILL, ROWS, TABLE, backfill, plan_of
from tests.integration.test_throttle import applying, before_the_third, wait_until

RUN = RunFacts("migrate_001_test", "run-1", "running", "carol", NOW, {}, (TaskFacts("apply.fill", "running"),))


def test_a_run_is_paused_and_goes_on(database: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_size, "FIRST_PAGES", 4)
    monkeypatch.setattr(batch_size, "MOST_PAGES", 8)
    monkeypatch.setattr(batches, "LOOK_SECONDS", 0.0)
    query(database, TABLE)
    plan = plan_of(backfill(FILL))

    def ledger_of(target: str, purpose: str) -> Ledger:
        assert target == plan.target
        return Ledger(database, purpose=purpose)

    def ask(kind: str, run: RunFacts = RUN) -> None:
        run_progress.ask(run, plan, kind, actor="carol", reason="a sale", ledger_of=ledger_of)

    before_the_third(monkeypatch, lambda work: ask("pause"))
    with applying(plan, database) as doing:
        wait_until(database, "paused", doing)
        found = run_progress.read(RUN, plan, ledger_of=ledger_of)
        assert found.asks == "resume"
        assert found.lines[0].startswith("fill: paused, ")
        assert "fill: paused" in found.markdown
        for other in (replace(RUN, run_id="run-2"), replace(RUN, dag_id="migrate_002_other"), replace(RUN, tasks=())):
            assert run_progress.read(other, plan, ledger_of=ledger_of) == run_progress.RunProgress()
            with pytest.raises(UsageError, match="there is nothing to resume now"):
                ask("resume", other)
        with pytest.raises(UsageError, match="there is nothing to pause now"):
            ask("pause")
        ask("resume")
        doing.result(timeout=60)
    assert query(database, "SELECT count(*) FROM t WHERE b = a * 2") == [(ROWS,)]
    assert run_progress.read(RUN, plan, ledger_of=ledger_of).asks == "", "nothing is left that could obey"


def test_a_ledger_that_cannot_be_reached_is_told_and_keeps_nothing_else_from_being_shown() -> None:
    def ledger_of(target: str, purpose: str) -> Any:
        raise OSError("password=secret")

    found = run_progress.read(RUN, plan_of(backfill(FILL)), ledger_of=ledger_of)
    assert (found.asks, found.problem) == ("", "the progress cannot be shown: OSError")
