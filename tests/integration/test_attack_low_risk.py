"""What deletes other tables' rows is called a schema addition of low risk: no review at all on staging as shipped, one
on production instead of two. Analysis and dry run have nothing to say against it."""

from __future__ import annotations

import pytest

from migrator.database.session import Endpoint
from migrator.evidence import Verdict
from migrator.plan import Risk, Severity
from tests.evidence import rehearse as rehearsed
from tests.factories import plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.copies import make_copy, rehearse
from tests.integration.stages import apply_all, make_target, query, verify_it
from tests.integration.test_apply import REVIEWED

SCRIPT = "CREATE TABLE salaries (id bigint PRIMARY KEY, v int); INSERT INTO salaries VALUES (1, 1), (2, 2);"
BACK = "INSERT INTO salaries VALUES (1, 1), (2, 2) ON CONFLICT DO NOTHING;"
DELETES = "EXECUTE replace('DE*LETE FROM public.sal*aries', '*', '')"
FUNCTION = (
    "CREATE FUNCTION f(int) RETURNS boolean LANGUAGE plpgsql AS"
    " $$BEGIN IF current_user NOT LIKE 'copy%' AND current_database() NOT LIKE 'twin%' THEN {}; END IF;"
    " RETURN true; END$$;"
).format(DELETES)
LOW = {
    "EXPLAIN ANALYZE": ("EXPLAIN ANALYZE DELETE FROM salaries;", BACK),
    "a rule": (
        "CREATE TABLE n (id bigint PRIMARY KEY);"
        " CREATE RULE r AS ON INSERT TO n DO ALSO DELETE FROM public.salaries; INSERT INTO n VALUES (1);",
        "DROP TABLE n;" + BACK,
    ),
    "a domain's check that knows where it is": (
        FUNCTION + " CREATE DOMAIN d AS int CHECK (f(value)); CREATE TABLE n (a d); INSERT INTO n VALUES (1);",
        "DROP TABLE n; DROP DOMAIN d; DROP FUNCTION f;",
    ),
}


def test_the_same_without_a_cloak() -> None:
    assert plan_from_sql("DELETE FROM salaries;", BACK).risk is not Risk.LOW


@pytest.mark.parametrize("name", LOW)
def test_nobody_is_asked(name: str, database: Endpoint, make_database: MakeDatabase, copies: Endpoint) -> None:
    plan = plan_from_sql(*LOW[name])
    assert plan.risk is Risk.LOW
    assert [one for one in plan.findings if one.severity is not Severity.INFO] == []
    assert rehearse(plan, copies, make_copy(copies, SCRIPT)).verdict is Verdict.PASSED
    with_rows = make_database("twin", script=SCRIPT)
    for sql in SCRIPT.split(";")[:-1]:
        query(database, sql)
    bundle = rehearsed(plan, database, with_rows)
    staging = make_target(**{**REVIEWED, "reviews": {Risk.LOW: 0, Risk.MEDIUM: 1, Risk.HIGH: 1}})
    apply_all(plan, database, bundle, target=staging)
    verify_it(plan, database, bundle)
    assert query(database, "SELECT count(*) FROM salaries") == [(0,)]
