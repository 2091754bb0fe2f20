"""A rollback that sets a sequence back before what production has used meanwhile says so."""

from __future__ import annotations

import pytest

from migrator.database.session import Endpoint
from migrator.steps.undo_decision import Action
from tests.factories import plan_from_sql
from tests.integration.stages import apply_all, outcome_of, query, roll_back

ORDERS = """
CREATE TABLE orders (id bigserial PRIMARY KEY, n int);
INSERT INTO orders (n) SELECT generate_series(1, 10);
CREATE SEQUENCE loose;
SELECT nextval('loose') FROM generate_series(1, 10);
"""
USED = "INSERT INTO orders (n) SELECT generate_series(1, 5)"


@pytest.mark.parametrize(
    "up, down, said",
    [
        (
            "ALTER SEQUENCE orders_id_seq INCREMENT BY 10;",
            "ALTER SEQUENCE orders_id_seq INCREMENT BY 1 RESTART WITH 11;",
            "its next value is not free",
        ),
        (
            "SELECT setval('orders_id_seq', 5000);",
            "SELECT setval('orders_id_seq', 10);",
            "its next value is not free",
        ),
        ("SELECT 1;", "DO $$BEGIN PERFORM setval('orders_id_seq', 10); END$$;", "its next value is not free"),
        (
            "SELECT 1;",
            "ALTER SEQUENCE loose RESTART WITH 3;",
            "sequence public.loose gives values again that it had given",
        ),
    ],
)
def test_it_is_told_with_what_mends_it(database: Endpoint, up: str, down: str, said: str) -> None:
    query(database, ORDERS)
    plan = plan_from_sql(up, down)
    apply_all(plan, database)
    query(database, USED)
    report = roll_back(plan, database)
    assert report.action is Action.ROLLED_BACK
    (told,) = report.set_back
    assert said in told
    assert ("SELECT setval('public." in told) is ("loose" not in told)  # of that one the number may be a row's
    assert told in outcome_of(plan, database).text


def test_a_sequence_that_is_far_enough_is_not_told(database: Endpoint) -> None:
    query(database, ORDERS)
    plan = plan_from_sql(
        "ALTER SEQUENCE orders_id_seq INCREMENT BY 10;",
        "ALTER SEQUENCE orders_id_seq INCREMENT BY 1; SELECT setval('orders_id_seq', max(id)) FROM orders;",
    )
    apply_all(plan, database)
    query(database, USED)
    assert roll_back(plan, database).set_back == ()
