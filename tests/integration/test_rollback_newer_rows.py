"""Rows that others write after a migration are not thrown away by its rollback unless a person says so."""

from __future__ import annotations

import pytest

from migrator.database.session import Endpoint
from migrator.ledger.ledger import Ledger
from migrator.plan import Plan
from migrator.stages.rollback import Action
from tests.factories import plan_from_sql
from tests.integration.stages import apply_all, outcome_of, query, roll_back

PRICES = """
CREATE TABLE prices (id int PRIMARY KEY, amount int);
INSERT INTO prices SELECT g, g FROM generate_series(1, 5) AS g;
CREATE TABLE days (day date) PARTITION BY RANGE (day);
"""
SWAP = plan_from_sql(
    "CREATE TABLE prices_new (LIKE prices INCLUDING ALL); INSERT INTO prices_new SELECT * FROM prices;"
    "ALTER TABLE prices RENAME TO prices_old; ALTER TABLE prices_new RENAME TO prices;",
    "DROP TABLE prices; ALTER TABLE prices_old RENAME TO prices;",
)
INSERTED = "INSERT INTO prices VALUES (100, 7)"
BACKUP = "CREATE TABLE bak AS TABLE prices; UPDATE prices SET amount = amount * 100;"
PARTITION = "CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');"
CAUGHT = (
    "CREATE TABLE made (id int); DO $$BEGIN BEGIN INSERT INTO made VALUES (1); EXCEPTION WHEN others THEN NULL; END;"
    " END$$;"
)


@pytest.mark.parametrize(
    "plan, since, said",
    [
        pytest.param(SWAP, INSERTED, "1 row of prices, which it drops", id="swapped"),
        pytest.param(SWAP, "UPDATE prices SET amount = 0", "5 rows of prices, which it drops", id="updated"),
        pytest.param(
            plan_from_sql(BACKUP, "TRUNCATE prices; INSERT INTO prices SELECT * FROM bak; DROP TABLE bak;"),
            INSERTED,
            "1 row of prices, which it empties",
            id="emptied",
        ),
        pytest.param(
            plan_from_sql(BACKUP, "DELETE FROM public.prices; INSERT INTO prices SELECT * FROM bak; DROP TABLE bak;"),
            INSERTED,
            "1 row of public.prices, which it empties",
            id="deleted",
        ),
        pytest.param(
            plan_from_sql(PARTITION, "DROP TABLE days_1;"),
            "INSERT INTO days VALUES ('2026-02-02')",
            "1 row of days_1, which it drops",
            id="partition",
        ),
        pytest.param(
            plan_from_sql("CREATE TABLE made (id int);", "DROP TABLE IF EXISTS made;"),
            "INSERT INTO made SELECT generate_series(1, 2000)",
            "more than 1,000 rows of made, which it drops",
            id="new table",
        ),
        pytest.param(
            plan_from_sql("CREATE TABLE made (id int);", "ALTER TABLE made RENAME TO gone; DROP TABLE gone;"),
            "INSERT INTO made VALUES (1)",
            "1 row of made, which it drops",
            id="under another name",
        ),
        pytest.param(
            plan_from_sql("CREATE SCHEMA s; CREATE TABLE s.made (id int);", "DROP SCHEMA s CASCADE;"),
            "INSERT INTO s.made VALUES (1)",
            "1 row of s, which it drops",
            id="schema",
        ),
        pytest.param(
            plan_from_sql("CREATE TABLE made (id int); VACUUM made;", "DROP TABLE made;"),
            "INSERT INTO made VALUES (1)",
            "1 row of made, which it drops",
            id="one by one",
        ),
    ],
)
def test_rows_written_since_are_not_lost(database: Endpoint, plan: Plan, since: str, said: str) -> None:
    query(database, PRICES)
    apply_all(plan, database)
    query(database, since)
    report = roll_back(plan, database)
    assert report.action is Action.HELD
    assert said in report.reason
    assert said in outcome_of(plan, database).text
    forced = roll_back(plan, database, force=True)
    assert (forced.action, forced.lost) == (Action.ROLLED_BACK, (said,))
    assert said in outcome_of(plan, database).text
    with Ledger(database) as ledger:
        assert "rollback_lost" in [event.kind for event in ledger.events()]


@pytest.mark.parametrize(
    "plan, since",
    [
        pytest.param(SWAP, "SELECT 1", id="nobody wrote"),
        pytest.param(SWAP, "INSERT INTO prices_old VALUES (100, 7)", id="another table"),
        pytest.param(plan_from_sql(CAUGHT, "DROP TABLE made;"), "SELECT 1", id="its own, in a part of the transaction"),
        pytest.param(plan_from_sql(CAUGHT + "VACUUM made;", "DROP TABLE made;"), "SELECT 1", id="its own, one by one"),
        pytest.param(
            plan_from_sql(
                "CREATE TABLE made AS TABLE prices; ALTER TABLE prices RENAME TO old;"
                "ALTER TABLE made RENAME TO prices;",
                "INSERT INTO old SELECT * FROM prices ON CONFLICT DO NOTHING; DROP TABLE prices;"
                "ALTER TABLE old RENAME TO prices;",
            ),
            INSERTED,
            id="taken along",
        ),
        pytest.param(
            plan_from_sql("ALTER TABLE prices ADD note text;", "ALTER TABLE prices DROP note;"), INSERTED, id="kept"
        ),
    ],
)
def test_an_honest_rollback_is_not_held(database: Endpoint, plan: Plan, since: str) -> None:
    query(database, PRICES)
    apply_all(plan, database)
    query(database, since)
    assert roll_back(plan, database).action is Action.ROLLED_BACK


def test_a_second_round_looks_from_its_own_end(database: Endpoint) -> None:
    plan = plan_from_sql("CREATE TABLE made AS TABLE prices;", "DROP TABLE made;")
    query(database, PRICES)
    for run in ("run-1", "run-2"):
        apply_all(plan, database, run_id=run)
        assert roll_back(plan, database, run_id=run).action is Action.ROLLED_BACK
