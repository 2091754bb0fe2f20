"""`migrator pause`, `resume`, `tune` and `status VERSION`, beside a backfill that runs."""

from __future__ import annotations

import io
import json
from concurrent.futures import Future
from typing import Any

import pytest

from migrator import cli
from migrator.cli import watch
from migrator.cli.output import Output
from migrator.database.session import Endpoint
from migrator.ledger.ledger import Ledger
from migrator.steps import batch_size, batches
from tests.factories import plan_from_sql
from tests.integration.stages import apply_all, query, verify_it
from tests.integration.test_backfill import FILL, ROWS, TABLE, backfill, filled, plan_of
from tests.integration.test_throttle import applying, before_the_third, events_of, wait_until


def migrator(database: Endpoint, command: str, *arguments: str) -> int:
    person = () if command == "status" else ("--reason", "a sale", "--actor", "ada")
    return cli.main([command, *arguments, "--dsn", database.conninfo, *person])


@pytest.fixture(autouse=True)
def many_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_size, "FIRST_PAGES", 4)
    monkeypatch.setattr(batch_size, "MOST_PAGES", 8)
    monkeypatch.setattr(batches, "LOOK_SECONDS", 0.0)


def test_from_pause_to_the_end(
    database: Endpoint, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    query(database, TABLE + "; ANALYZE t")
    plan = plan_of(backfill(FILL))
    before_the_third(monkeypatch, lambda work: assert_zero(migrator(database, "pause", plan.version)))
    with applying(plan, database) as doing:
        wait_until(database, "paused", doing)
        assert migrator(database, "pause", plan.version) == 2
        assert "is paused already, by ada" in capsys.readouterr().err
        assert migrator(database, "status", plan.version) == 0
        shown = capsys.readouterr().out
        assert "001_test: running" in shown
        assert "fill: paused, " in shown
        assert f"of about {ROWS:,}" in shown
        assert "by ada: a sale since 20" in shown
        assert migrator(database, "status", plan.version, "--format", "json") == 0
        (step,) = json.loads(capsys.readouterr().out)["steps"]
        assert 0 < step["percent"] < 100
        assert (step["status"], step["rows_total"]) == ("paused", ROWS)
        assert_zero(migrator(database, "tune", plan.version, "--batch-ms", "50"))
        assert_zero(migrator(database, "resume", plan.version))
        doing.result(timeout=60)
    assert filled(database) == [(ROWS, 1, 1)]
    verify_it(plan, database)
    capsys.readouterr()
    assert migrator(database, "status", plan.version, "--watch") == 0
    assert "fill: success, 100 %" in capsys.readouterr().out
    assert [event["batch_ms"] for event in events_of(database, "tune")] == [50]
    with Ledger(database) as ledger:
        terminal = Terminal()
        assert watch.watch(ledger, plan.version, Output(stdout=terminal)) == 0
    assert "━" in terminal.getvalue(), "bars"
    assert f"{ROWS:,} rows" in terminal.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def assert_zero(code: int) -> None:
    assert code == 0


def test_it_is_watched_until_it_is_over(
    database: Endpoint, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    query(database, TABLE)
    plan = plan_of(backfill(FILL))
    before_the_third(monkeypatch, lambda work: assert_zero(migrator(database, "pause", plan.version)))
    with applying(plan, database) as doing:
        wait_until(database, "paused", doing)
        looks = _then(lambda: assert_zero(migrator(database, "resume", plan.version)), doing, plan, database)
        real = watch.watch
        monkeypatch.setattr(watch, "watch", lambda *given: real(*given, sleep=looks))
        assert migrator(database, "status", plan.version, "--watch") == 0
    shown = capsys.readouterr().out
    assert shown.index("fill: paused") < shown.index("fill: success") < shown.index("001_test: success")


def _then(resume: Any, doing: Future[Any], plan: Any, database: Endpoint) -> Any:
    """Between two looks of the watcher: let it go on, wait for its end, verify it."""
    done: list[bool] = []

    def between(seconds: float) -> None:
        if not done:
            done.append(True)
            resume()
            doing.result(timeout=60)
            verify_it(plan, database)

    return between


def test_what_makes_no_sense_is_said(database: Endpoint, capsys: pytest.CaptureFixture[str]) -> None:
    query(database, TABLE)
    plan = plan_of(backfill(FILL))
    query(database, "ALTER TABLE t RENAME TO u")
    with pytest.raises(Exception, match="does not exist"):
        apply_all(plan, database)
    for command, arguments, told in (
        ("tune", ("--batch-ms", "5"), "--batch-ms 5 is not between 10 milliseconds and a minute"),
        ("tune", ("--pause-ms", "-1"), "--pause-ms -1 is not between nothing and ten minutes"),
        ("tune", (), "give --batch-ms MS, --pause-ms MS, or both"),
        ("resume", (), "'001_test' is not paused"),
    ):
        assert migrator(database, command, plan.version, *arguments) == 2
        assert told in capsys.readouterr().err
    assert migrator(database, "pause", "002_other") == 2
    assert "the ledger has no migration '002_other'; it has: 001_test" in capsys.readouterr().err
    assert migrator(database, "status", "--watch") == 2
    assert "give its VERSION with --watch" in capsys.readouterr().err
    assert events_of(database, "tune") == []


def test_a_migration_without_batches_could_not_obey(database: Endpoint, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Exception, match="nonsense"):
        apply_all(plan_from_sql("SELECT nonsense"), database)
    assert migrator(database, "pause", "001_test") == 2
    assert "no step of '001_test' that is still to be done works in batches" in capsys.readouterr().err
