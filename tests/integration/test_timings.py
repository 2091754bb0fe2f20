"""Estimate, dry run and production beside each other in the ledger."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from migrator.cli import main
from migrator.database.session import Endpoint
from migrator.ledger.ledger import Ledger
from migrator.plan import Plan
from migrator.steps import timings
from tests.evidence import rehearse
from tests.factories import plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all

pytestmark = pytest.mark.integration


def with_estimate(plan: Plan, seconds: float) -> Plan:
    (step,) = plan.steps
    first = replace(step.statements[0], estimated_seconds=seconds)
    return replace(plan, steps=(replace(step, statements=(first, *step.statements[1:])),))


def test_what_took_time_is_kept_once(
    database: Endpoint, make_database: MakeDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = with_estimate(plan_from_sql("SELECT pg_sleep(0.2); CREATE TABLE t (id int)", "DROP TABLE t"), 0.1)
    bundle = rehearse(plan, database, make_database("twin"))
    apply_all(plan, database, bundle)
    apply_all(plan, database, bundle)  # executes nothing: there is nothing to tell
    with Ledger(database) as ledger:
        (found,) = (item for item in timings.read(ledger.events()) if item.statement == 1)  # a busy server: 2, too
        assert ledger.verify_chain() == ()
    assert (found.version, found.statement, found.kind, found.estimated) == ("001_test", 1, "SELECT", 0.1)
    assert found.actual >= 0.2
    assert found.rehearsed is not None
    assert found.rehearsed >= 0.2
    assert found.error is not None
    assert found.error >= 0.9  # twice as long as the estimate, or more
    assert main(["ledger", "timings", "--dsn", database.conninfo, "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [item["actual"] for item in document["timings"] if item["statement"] == 1] == [found.actual]
    assert document["median_error"] == pytest.approx(found.error)  # the other has no estimate
    assert main(["ledger", "timings", "--dsn", database.conninfo]) == 0
    assert "half of the estimates were off by less than a factor of" in capsys.readouterr().out
