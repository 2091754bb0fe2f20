"""The step kind `backfill` under torture: what it is made to do, and what it must have done."""

from __future__ import annotations

from dataclasses import replace

from migrator.plan import Plan
from tests.factories import plan_from_sql
from tests.integration.test_backfill import backfill
from tests.torture.case import Case

PLUS = 10**6

STATEMENTS = {
    "set": "UPDATE t SET b = a * 2 + 1 WHERE b IS NULL",
    "add": f"UPDATE t SET a = a + {PLUS}, b = 1 WHERE b IS NULL",
    "from": "UPDATE t SET b = u.c FROM refs AS u WHERE u.id = t.a % 50 AND t.b IS NULL",
    "delete": "DELETE FROM t WHERE b IS NULL",
}
"""Each fills the rows whose `b` is NULL. `add` would show by itself that it was done twice; `from` reads another
table."""
UNDO = {
    "set": "UPDATE t SET b = NULL WHERE b IS NOT NULL",
    "add": f"UPDATE t SET a = a - {PLUS}, b = NULL WHERE b = 1",
    "from": "UPDATE t SET b = NULL WHERE b IS NOT NULL",
}
FORMS = tuple(STATEMENTS)


def plan(case: Case) -> Plan:
    step = backfill(STATEMENTS[case.form], batch_ms=case.batch_ms, pause_ms=case.pause_ms)
    made = plan_from_sql("SELECT 1", UNDO.get(case.form), lock_timeout_ms=case.lock_timeout_ms)
    return replace(made, steps=(step,))


def done(form: str, a: int) -> tuple[int, int] | None:
    """A row's `a` and `b` once it is filled; None: it is gone."""
    if form == "delete":
        return None
    return {"set": (a, a * 2 + 1), "add": (a + PLUS, 1), "from": (a, a % 50 * 7 + 3)}[form]


def by_application(form: str, a: int) -> int:
    """What the new application writes into `b` itself."""
    found = done(form, a)
    return 1 if found is None else found[1]
