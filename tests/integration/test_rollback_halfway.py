"""The rollback from where a failure stops the migration: rehearsed from there, or left to a person."""

from __future__ import annotations

from dataclasses import replace

import pytest

from migrator.database.session import Endpoint
from migrator.errors import StatementFailed
from migrator.evidence import HALFWAY, DryRunEvidence, EvidenceBundle, Verdict
from migrator.plan import OnFailure, Plan
from migrator.rehearsal import halfway
from migrator.steps.undo_decision import Action
from tests import evidence
from tests.evidence import make_bundle, read_schema
from tests.factories import plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.copies import check_of, failed, make_copy, rehearse
from tests.integration.stages import apply_all, outcome_of, query, roll_back, row_of

ORDERS = """
CREATE TABLE orders (id int PRIMARY KEY, status text);
INSERT INTO orders SELECT g, 's' || g FROM generate_series(1, 3) AS g;
CREATE TABLE backup (id int PRIMARY KEY, status text);
CREATE PROCEDURE moved() LANGUAGE plpgsql AS $$BEGIN
    INSERT INTO backup SELECT * FROM orders; COMMIT; UPDATE orders SET status = 'S' || status;
    PERFORM 1 / (4 - count(*)) FROM orders;
END$$;
"""
COLUMN = "ALTER TABLE orders ADD COLUMN kept text;"
MOVED = (
    "UPDATE orders SET kept = status, status = 'S:' || status;"
    "ALTER TABLE orders ADD CONSTRAINT ok CHECK (length(status) < 8); ALTER TABLE orders DROP CONSTRAINT ok;"
)
BACK = "UPDATE orders SET status = kept; ALTER TABLE orders DROP COLUMN kept;"
ANYWHERE = (
    "DO $$BEGIN IF EXISTS (SELECT FROM orders WHERE kept IS NOT NULL) THEN UPDATE orders SET status = kept; END IF;"
    "END$$; ALTER TABLE orders DROP CONSTRAINT IF EXISTS ok; ALTER TABLE orders DROP COLUMN kept;"
)
LONG = "INSERT INTO orders VALUES (4, 'a very long status')"


def in_steps(*texts: str, down: str) -> Plan:
    """A step for each text: s0, s1."""
    plan = plan_from_sql("".join(texts), down)
    parts = [plan_from_sql(text).steps[0] for text in texts]
    return replace(plan, steps=tuple(replace(part, name=f"s{number}") for number, part in enumerate(parts)))


def bundle_of(evidence: DryRunEvidence, plan: Plan, database: Endpoint) -> EvidenceBundle:
    before = read_schema(database)
    return make_bundle(plan, before, before, extra=evidence.extra)


@pytest.mark.parametrize(
    "plan, stops",
    [
        pytest.param(in_steps(COLUMN, MOVED, down=BACK), "s0", id="steps"),
        pytest.param(plan_from_sql(COLUMN + MOVED, BACK, transaction=False), "sql_1", id="statements"),
        pytest.param(
            in_steps(
                "DELETE FROM backup;",
                "INSERT INTO backup SELECT * FROM orders; UPDATE orders SET status = '';",
                down="TRUNCATE orders; INSERT INTO orders SELECT * FROM backup; TRUNCATE backup;",
            ),
            "s0",
            id="emptied and filled",
        ),
        pytest.param(
            in_steps(
                "CREATE TABLE more (id int);",
                "ALTER TABLE orders RENAME TO sold; ALTER TABLE more RENAME TO orders;",
                down="DROP TABLE orders; ALTER TABLE IF EXISTS sold RENAME TO orders; DROP TABLE IF EXISTS more;",
            ),
            "s0",
            id="swapped",
        ),
    ],
)
def test_a_rollback_that_loses_rows_from_there_fails(copies: Endpoint, plan: Plan, stops: str) -> None:
    check = check_of(failed(plan, copies, make_copy(copies, ORDERS)).evidence, f"rollback_from_{stops}")
    assert check.verdict is Verdict.FAILED
    assert "public.orders" in check.detail
    assert "right from there, too" in check.detail


@pytest.mark.thorough
def test_another_schema_from_there_fails(copies: Endpoint) -> None:
    plan = in_steps(
        COLUMN, "CREATE TABLE new (id int);", down="DROP TABLE IF EXISTS new; ALTER TABLE orders DROP kept;"
    )
    evidence = rehearse(plan, copies, make_copy(copies, ORDERS))
    assert check_of(evidence, "rollback_halfway").detail == "right after step 's0'"
    assert evidence.extra[HALFWAY] == {"s0": ["passed", ""]}
    forgets = (
        "DO $$BEGIN IF to_regclass('new') IS NOT NULL THEN DROP TABLE new; ALTER TABLE orders DROP kept; END IF;END$$;"
    )
    plan = in_steps(COLUMN, "CREATE TABLE new (id int);", down=forgets)
    check = check_of(failed(plan, copies, make_copy(copies, ORDERS)).evidence, "rollback_from_s0")
    assert "+ column public.orders.kept" in check.detail


def test_what_is_right_from_everywhere_passes(copies: Endpoint) -> None:
    plan = plan_from_sql(COLUMN + MOVED, ANYWHERE, transaction=False)
    evidence = rehearse(plan, copies, make_copy(copies, ORDERS))
    assert evidence.verdict is Verdict.PASSED
    assert [verdict for verdict, _ in evidence.extra[HALFWAY].values()] == ["passed"] * 3


@pytest.mark.thorough
def test_each_state_begins_on_what_was_there(copies: Endpoint) -> None:
    """A column that was dropped comes back empty: the next state is not tried on that."""
    drops = ["ALTER TABLE orders DROP COLUMN status;", "CREATE TABLE new (id int);", "UPDATE orders SET id = id + 10;"]
    down = (
        "UPDATE orders SET id = id - 10 WHERE id > 10; DROP TABLE IF EXISTS new;"
        " ALTER TABLE orders ADD COLUMN IF NOT EXISTS status text;"
    )
    evidence = rehearse(in_steps(*drops, down=down), copies, make_copy(copies, ORDERS))
    assert evidence.verdict is Verdict.PASSED
    assert check_of(evidence, "rollback_halfway").detail == "right after step 's0', after step 's1'"


@pytest.mark.thorough
def test_no_more_than_so_many_are_tried(copies: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halfway, "MOST", 1)
    plan = in_steps(COLUMN, "SELECT 1;", "SELECT 2;", down="ALTER TABLE orders DROP kept;")
    evidence = rehearse(plan, copies, make_copy(copies, ORDERS))
    detail = check_of(evidence, "rollback_halfway").detail
    assert detail == "right after step 's0'; held for a person after step 's1': not tried"


@pytest.mark.parametrize("over", [{"on_failure": OnFailure.HOLD}, {"rollback_steps": ()}], ids=["hold", "no script"])
def test_where_nothing_is_undone_by_itself_nothing_is_tried(copies: Endpoint, over: dict[str, object]) -> None:
    plan = replace(in_steps(COLUMN, MOVED, down=BACK), **over)
    assert HALFWAY not in rehearse(plan, copies, make_copy(copies, ORDERS)).extra


def test_a_script_that_fails_from_there_is_held_in_production(copies: Endpoint, database: Endpoint) -> None:
    plan = in_steps(
        COLUMN,
        "CREATE TABLE new (id int); SELECT 1 / (4 - count(*)) FROM orders;",
        down="DROP TABLE new; ALTER TABLE orders DROP kept;",
    )
    evidence = rehearse(plan, copies, make_copy(copies, ORDERS))
    assert "after step 's0': the script fails there" in check_of(evidence, "rollback_halfway").detail
    query(database, ORDERS + LONG)
    bundle = bundle_of(evidence, plan, database)
    with pytest.raises(StatementFailed):
        apply_all(plan, database)
    report = roll_back(plan, database, bundle)
    assert report.action is Action.HELD
    assert "stopped after step 's0'" in report.reason
    assert "stopped after step 's0'" in outcome_of(plan, database).text
    row = row_of(plan, database)
    assert row is not None
    assert row.status == "failed", "the database is not held by this run any more"


@pytest.mark.parametrize(
    "extra, action",
    [({HALFWAY: {}}, Action.HELD), ({HALFWAY: {"s0": ["passed", ""]}}, Action.ROLLED_BACK), ({}, Action.ROLLED_BACK)],
    ids=["not rehearsed", "rehearsed", "older evidence"],
)
def test_only_from_where_it_was_rehearsed(
    database: Endpoint, make_database: MakeDatabase, extra: dict[str, object], action: Action
) -> None:
    query(database, ORDERS + LONG)
    plan = in_steps(COLUMN, MOVED, down=BACK)
    bundle = evidence.rehearse(plan, database, make_database("twin", script=ORDERS), extra=extra)
    with pytest.raises(StatementFailed):
        apply_all(plan, database)
    assert roll_back(plan, database, bundle).action is action
    if action is Action.HELD:
        assert query(database, "SELECT count(status) FROM orders") == [(4,)]
        assert roll_back(plan, database, bundle, force=True).action is Action.ROLLED_BACK


def test_what_commits_by_itself_may_have_stopped_anywhere(database: Endpoint) -> None:
    query(database, ORDERS + LONG)
    plan = plan_from_sql(
        "CALL moved();", "TRUNCATE orders; INSERT INTO orders SELECT * FROM backup;", transaction=False
    )
    before = read_schema(database)
    with pytest.raises(StatementFailed):
        apply_all(plan, database)
    report = roll_back(plan, database, make_bundle(plan, before, before, extra={HALFWAY: {}}))
    assert report.action is Action.HELD
    assert "within statement 1 of step" in report.reason
