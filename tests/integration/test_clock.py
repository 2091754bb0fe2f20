"""This machine's clock and the database's, on a real server."""

from __future__ import annotations

from datetime import timedelta

import pytest

from migrator.database.session import Endpoint
from migrator.errors import ClocksDiffer
from migrator.gates import clock
from migrator.ledger.ledger import Ledger
from migrator.run import system_clock
from migrator.stages import preflight
from tests.evidence import make_bundle, read_schema
from tests.factories import make_plan
from tests.integration.stages import apply_all, make_target, query, run_of


@pytest.mark.parametrize("wrong", [timedelta(seconds=45), timedelta(seconds=-45), timedelta(hours=-1)])
def test_clocks_that_are_apart(database: Endpoint, wrong: timedelta) -> None:
    with Ledger(database) as ledger:
        assert "within 30 s" in clock.require(ledger)
        which = "behind" if wrong > timedelta(0) else "ahead of"
        with pytest.raises(ClocksDiffer, match=which):
            clock.require(ledger, now=lambda: system_clock() + wrong)


def test_preflight_and_apply_ask(database: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's clock is an hour late: its window would seem open, and reviews that have expired would count."""
    plan = make_plan()
    bundle = make_bundle(plan, before := read_schema(database), before)
    late = timedelta(hours=1)
    monkeypatch.setattr(clock.require, "__kwdefaults__", {"now": lambda: system_clock() - late})
    with pytest.raises(ClocksDiffer, match="ahead of"):
        apply_all(plan, database, bundle)
    assert query(database, "SELECT count(*) FROM migrator.schema_migrations") == [(0,)]
    with Ledger(database) as ledger, pytest.raises(ClocksDiffer):
        preflight.run_checks(
            plan,
            bundle,
            endpoint=database,
            ledger=ledger,
            target=make_target(),
            migration=None,
            run=run_of(plan),
        )
