"""A long migration meets a writer in its dry run, which harms neither the migration nor what is compared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
import pytest

from migrator.database import session
from migrator.database.session import Endpoint
from migrator.evidence import TRAFFIC, DryRunEvidence, Verdict
from migrator.plan import Plan, PredictedLock, Step
from migrator.rehearsal import exercises
from migrator.rehearsal.exercises import REPLACE, TAKEN_BACK, UPDATE, Exercised
from migrator.rehearsal.traffic import AS_BEFORE, LEAST_WRITES
from migrator.steps.contract import Written
from migrator.steps.kinds import kind_named
from tests.factories import plan_from_sql, to_steps
from tests.integration.conftest import MakeDatabase
from tests.integration.copies import SHOP, check_of, make_copy, rehearse

STARS = "UPDATE messages SET stars = stars + 100 WHERE stars < 100"
BACK = "UPDATE messages SET stars = stars - 100 WHERE stars >= 100;"
HOLDS = (PredictedLock("public.messages", "ROW EXCLUSIVE"),)


def backfill(sql: str = STARS, *, start: int = 0) -> Step:
    parsed, made = to_steps(sql, "fill.sql", start=start)
    kind = kind_named("backfill")
    wanted = kind.PARAMETERS("fill.sql", batch_ms=20, pause_ms=0)
    step = kind.plan(Written("fill", parsed, made, vars(wanted)))
    return replace(step, statements=tuple(replace(one, locks=HOLDS) for one in step.statements))


def long_plan(first: str = "", back: str = "", *, fill: str = STARS, undo: str = BACK) -> Plan:
    """A backfill, after a step that changes the schema if there is one."""
    plan = plan_from_sql(first or "SELECT 1", undo + back)
    steps = (replace(plan.steps[0], name="first"),) if first else ()
    return replace(plan, steps=(*steps, backfill(fill, start=sum(len(one.statements) for one in steps))))


def traffic(evidence: DryRunEvidence) -> dict[str, Any]:
    found = evidence.extra[TRAFFIC]
    assert isinstance(found, dict)
    return found


def writes(part: dict[str, Any]) -> dict[tuple[str, str], int]:
    return {(table, kind): count for table, kind, count in part["writes"]}


def test_each_part_meets_writers_and_nothing_is_other_than_without(copies: Endpoint) -> None:
    evidence = rehearse(
        long_plan("CREATE INDEX messages_stars ON messages (stars);", "DROP INDEX messages_stars;"),
        copies,
        make_copy(copies),
    )
    assert evidence.verdict is Verdict.PASSED
    found = traffic(evidence)
    assert [part["step"] for part in found["parts"]] == ["first", "fill"]
    for part in found["parts"]:
        counted = writes(part)
        assert part["lacking"] == ""
        assert counted["public.messages", UPDATE] >= LEAST_WRITES
        assert counted["public.messages", REPLACE] >= LEAST_WRITES
    assert (found["refused"], found["spoiled"], found["trouble"], found["left_out"]) == ([], [], "", [])
    fill = next(trace for trace in evidence.statements if trace.step == "fill")
    assert (fill.rows, fill.writes) == (500, ("public.messages",))
    assert check_of(evidence, "rollback_data").verdict is Verdict.PASSED


def test_a_plan_for_a_window_meets_nobody(copies: Endpoint) -> None:
    evidence = rehearse(plan_from_sql("CREATE TABLE new (id int)", "DROP TABLE new"), copies, make_copy(copies))
    assert TRAFFIC not in evidence.extra


def test_what_the_old_application_can_do_no_more_is_told_and_fails_nothing(copies: Endpoint) -> None:
    first = (
        "ALTER TABLE messages ADD region text NOT NULL DEFAULT 'eu'; ALTER TABLE messages ALTER region DROP DEFAULT;"
    )
    evidence = rehearse(long_plan(first, "ALTER TABLE messages DROP region;"), copies, make_copy(copies))
    assert evidence.verdict is Verdict.PASSED
    refused = traffic(evidence)["refused"]
    assert {(table, sqlstate) for _, table, _, sqlstate, *_ in refused} == {("public.messages", "23502")}
    statement, _, message, count = next(one[2:] for one in refused if one[0] == "fill")
    assert statement.startswith(
        "WITH old AS (DELETE FROM public.messages WHERE id = $1 RETURNING id, tenant_id, body, stars)"
    )
    assert "region" in message
    assert count > 0
    assert writes(traffic(evidence)["parts"][1])["public.messages", REPLACE] >= LEAST_WRITES


@pytest.mark.thorough
def test_a_new_column_that_may_be_left_out_harms_nobody(copies: Endpoint) -> None:
    evidence = rehearse(
        long_plan("ALTER TABLE messages ADD region text;", "ALTER TABLE messages DROP region;"),
        copies,
        make_copy(copies),
    )
    found = traffic(evidence)
    assert found["refused"] == []
    assert writes(found["parts"][1])["public.messages", AS_BEFORE] > 0


@pytest.mark.thorough
def test_what_fails_by_the_writer_alone_is_judged_by_people(copies: Endpoint) -> None:
    """A trigger of the migration changes each row that is written: after the rollback they are others."""
    first = (
        "CREATE FUNCTION public.stamp() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.body := NEW.body || '!'; RETURN NEW; END $$;"
        " CREATE TRIGGER stamp BEFORE UPDATE ON messages FOR EACH ROW WHEN (OLD.stars = NEW.stars)"
        " EXECUTE FUNCTION public.stamp();"
    )
    back = "DROP TRIGGER stamp ON messages; DROP FUNCTION public.stamp();"
    plan = replace(long_plan(first, undo=back + BACK), assertions=())
    evidence = rehearse(plan, copies, make_copy(copies))
    assert evidence.verdict is Verdict.PASSED
    (spoiled,) = traffic(evidence)["spoiled"]
    assert spoiled.startswith("rollback_data: ")


EFFECTS = """
CREATE TABLE logged (id int PRIMARY KEY, a int);
CREATE TABLE log (what text);
CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO log VALUES (TG_OP); RETURN NULL; END $$;
CREATE TRIGGER log AFTER UPDATE ON logged FOR EACH ROW EXECUTE FUNCTION log();
CREATE TABLE numbered (id int PRIMARY KEY, a int);
CREATE SEQUENCE numbers;
SELECT nextval('numbers');
CREATE FUNCTION number() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM nextval('numbers'); RETURN NULL; END $$;
CREATE TRIGGER number AFTER UPDATE ON numbered FOR EACH ROW EXECUTE FUNCTION number();
CREATE TABLE stamped (id int PRIMARY KEY, at timestamptz);
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.at := clock_timestamp(); RETURN NEW; END $$;
CREATE TRIGGER stamp BEFORE UPDATE ON stamped FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE TABLE guarded (id int PRIMARY KEY, a int);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'never deleted'; END $$;
CREATE TRIGGER refuse BEFORE DELETE ON guarded FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TABLE parent (id int PRIMARY KEY, a int);
CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES parent ON DELETE CASCADE);
CREATE TABLE late (id int PRIMARY KEY, p int REFERENCES child DEFERRABLE);
CREATE TABLE keyless (a int);
CREATE TABLE secured (id int PRIMARY KEY);
ALTER TABLE secured ENABLE ROW LEVEL SECURITY; ALTER TABLE secured FORCE ROW LEVEL SECURITY;
CREATE TABLE "Odd %s" ("the Key%" int PRIMARY KEY, b int GENERATED ALWAYS AS ("the Key%" + 1) STORED,
    n bigint GENERATED ALWAYS AS IDENTITY);
CREATE TABLE empty (id int PRIMARY KEY);
CREATE TABLE parted (id int, a int, PRIMARY KEY (id, a)) PARTITION BY LIST (a);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
INSERT INTO logged SELECT g, g FROM generate_series(1, 30) g; INSERT INTO numbered SELECT * FROM logged;
INSERT INTO stamped SELECT id FROM logged; INSERT INTO guarded SELECT * FROM logged;
INSERT INTO parent SELECT * FROM logged;
INSERT INTO child SELECT id, id FROM logged; INSERT INTO late SELECT id, id FROM logged; INSERT INTO keyless VALUES (1);
INSERT INTO "Odd %s" SELECT id FROM logged; INSERT INTO parted SELECT id, 1 FROM logged; TRUNCATE log;
"""


TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"


@pytest.fixture
def found(each_database: MakeDatabase) -> tuple[Endpoint, dict[str, Exercised]]:
    database = each_database(script=EFFECTS)
    with session.connect(database, purpose="dry_run") as conn:
        names = [f"public.{name}" for (name,) in conn.execute(TABLES).fetchall()]
        return database, {one.plain.removeprefix("public."): one for one in exercises.find(conn, names)}


def test_what_a_table_allows_is_tried_first(found: tuple[Endpoint, dict[str, Exercised]]) -> None:
    database, tables = found
    notes = {name: dict(table.notes) for name, table in tables.items()}
    assert notes["logged"] == {UPDATE: f"{TAKEN_BACK}its triggers write to public.log"}
    assert notes["numbered"] == {UPDATE: "its triggers take numbers of a sequence, which nobody gives back"}
    assert notes["stamped"] == {UPDATE: f"{TAKEN_BACK}its triggers leave another row"}
    assert notes["guarded"][REPLACE].startswith("the database refuses it without the migration, too")
    assert notes["parent"] == {REPLACE: "a DELETE would reach, or be refused by, what references it"}
    assert set(notes["child"]) == set(notes["late"]) == {REPLACE}
    assert set(notes["keyless"].values()) == {"has no primary key by which a row could be found again"}
    assert set(notes["secured"].values()) == {"shows its owner the rows that its policies allow"}
    assert set(notes["empty"].values()) == {"has no rows"}
    assert notes["Odd %s"] == notes["parted"] == {}
    assert "parted_1" not in tables
    with psycopg.connect(database.conninfo) as conn:
        assert conn.execute("SELECT last_value, is_called FROM numbers").fetchall() == [(1, True)]
        assert conn.execute("SELECT count(*) FROM log").fetchall() == [(0,)]
        assert conn.execute("SELECT count(at) FROM stamped").fetchall() == [(0,)]


def test_what_is_written_changes_nothing(found: tuple[Endpoint, dict[str, Exercised]]) -> None:
    database, tables = found
    with session.connect(database, purpose="dry_run") as conn:
        for name in ("Odd %s", "parted"):
            table = tables[name]
            rows = f"SELECT * FROM {table.name} ORDER BY 1"
            before = conn.execute(rows.encode()).fetchall()
            for key in table.keys:
                assert exercises.run(conn, table.update(), key) == 1
                assert exercises.run(conn, table.replacement(table.columns), key) == 1
            assert conn.execute(rows.encode()).fetchall() == before


def test_the_applications_triggers_cost_a_migration_nothing(copies: Endpoint) -> None:
    """They fire by what is written, too; but what they do is not the migration's."""
    audit = """
        CREATE TABLE audit (id bigserial, what text);
        CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO public.audit (what) VALUES (TG_OP); RETURN NULL; END $$;
        CREATE TRIGGER audit AFTER INSERT OR DELETE ON messages FOR EACH ROW EXECUTE FUNCTION audit();
    """
    evidence = rehearse(long_plan(), copies, make_copy(copies, SHOP + audit))
    assert evidence.verdict is Verdict.PASSED
    found = traffic(evidence)
    assert (found["spoiled"], found["trouble"]) == ([], "")
    assert [kind for _, kind, _ in found["left_out"]] == [REPLACE]
    assert "sequence" in found["left_out"][0][2]
