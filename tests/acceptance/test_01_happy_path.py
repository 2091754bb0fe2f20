"""Case 1: a migration is applied and verified, and running it again changes nothing."""

from __future__ import annotations

from tests.acceptance.case import Case
from tests.acceptance.specs import scenario

WRITES = """
SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_all_tables
WHERE schemaname NOT IN ('pg_catalog', 'pg_toast', 'information_schema')
"""


@scenario()
def test_happy_path_then_no_op(case: Case) -> None:
    first = case.trigger()
    assert first.wait() == "success"
    states = first.states()
    assert states.pop("rollback") == "skipped"
    assert set(states.values()) == {"success"}, states
    case.expect_applied()

    before = (case.row(), len(case.events()), case.value(WRITES))
    again = case.trigger()
    assert again.wait() == "success"
    assert (case.row(), len(case.events()), case.value(WRITES)) == before
    assert again.states()[case.step()] == "skipped"
