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
    "insert": "INSERT INTO copies (owner, n, v, token, by) SELECT t.owner, t.n, t.a * 2 + 1, t.token, 'batch' FROM t"
    " WHERE NOT EXISTS (SELECT FROM copies AS c WHERE c.owner = t.owner AND c.n = t.n)",
}
"""Each but the last fills the rows whose `b` is NULL. `add` would show by itself that it was done twice; `from` reads
another table, `insert` writes one."""
UNDO = {
    "set": "UPDATE t SET b = NULL WHERE b IS NOT NULL",
    "add": f"UPDATE t SET a = a - {PLUS}, b = NULL WHERE b = 1",
    "from": "UPDATE t SET b = NULL WHERE b IS NOT NULL",
    "insert": "DELETE FROM copies WHERE by = 'batch'",
}
QUARANTINE = 400
"""Rows that may be left out. About 20 fail, each of them several times: it moves when the application changes it."""


def plan(case: Case) -> Plan:
    more = {"quarantine": QUARANTINE} if case.kind == "quarantine" else {}
    pace = {"batch_ms": case.batch_ms, "pause_ms": case.pause_ms, "workers": 1 + case.seed % 3}
    step = backfill(STATEMENTS[case.form], **pace, **more)
    made = plan_from_sql("SELECT 1", UNDO.get(case.form), lock_timeout_ms=case.lock_timeout_ms)
    return replace(made, steps=(step,))


def done(form: str, a: int) -> tuple[int, int | None] | None:
    """A row's `a` and `b` once it is filled, `b` being its copy's `v` where one is made; None: it is gone. What fills
    nothing leaves it as it is."""
    if form == "delete":
        return None
    filled = {"set": (a, a * 2 + 1), "insert": (a, a * 2 + 1), "add": (a + PLUS, 1), "from": (a, a % 50 * 7 + 3)}
    return filled.get(form, (a, None))


def by_application(form: str, a: int) -> int | None:
    """What the new application writes into `b` itself."""
    found = done(form, a)
    return 1 if found is None else found[1]
