"""What is exchanged while a gate waits, or while it looks, is found before anything of it runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from migrator.database.session import Endpoint
from migrator.errors import DriftDetected, TransientError
from migrator.evidence import Check
from migrator.gates import assertions
from migrator.stages import verify
from tests.evidence import rehearse
from tests.factories import plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, query, verify_it
from tests.integration.test_calendar import sql_step
from tests.integration.test_gate import CONDITION, gate, plan_with, shut, steps_of

SCRIPT = """
CREATE TABLE flags (done boolean); CREATE TABLE t (id int); CREATE TABLE secret (id int); INSERT INTO secret VALUES (7);
CREATE VIEW public.feed{0} AS SELECT 1 AS id WHERE false;
CREATE TABLE public.goods{0} (id int); INSERT INTO public.goods{0} VALUES (1);
CREATE FUNCTION public.pays() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO public.secret VALUES (8); RETURN new; END';
"""
OTHERS = {
    "INSERT INTO t (id) SELECT id FROM public.feed{0}": (
        "CREATE OR REPLACE VIEW public.feed{0} AS SELECT id FROM secret"
    ),
    "UPDATE public.goods{0} SET id = id + 1": (
        "CREATE TRIGGER pays BEFORE UPDATE ON public.goods{0} FOR EACH ROW EXECUTE FUNCTION public.pays()"
    ),
}


@pytest.mark.parametrize("sql", OTHERS, ids=["a view", "a trigger"])
@pytest.mark.parametrize(
    "mark", ["", "★", "e\u0301", "\u00a0x"], ids=["plain", "a sign", "a combining accent", "a space"]
)
def test_what_the_next_step_would_run(mark: str, sql: str, database: Endpoint, make_database: MakeDatabase) -> None:
    """PostgreSQL takes each character beyond ASCII for a part of a bare name; so `feed★` is one word."""
    script = SCRIPT.format(mark)
    query(database, script)
    steps = (
        sql_step("ALTER TABLE t ADD COLUMN b int", "expand", 0),
        gate(condition=CONDITION),
        sql_step(sql.format(mark), "fill", 2),
    )
    plan = replace(plan_from_sql("SELECT 1", "ALTER TABLE t DROP COLUMN IF EXISTS b"), steps=steps)
    bundle = rehearse(plan, database, make_database("twin", script=script))
    shut(plan, database, bundle)
    query(database, f"{OTHERS[sql].format(mark)}; INSERT INTO flags VALUES (true)")
    with pytest.raises(DriftDetected):
        apply_all(plan, database, bundle)
    assert (query(database, "SELECT id FROM t"), query(database, "SELECT id FROM secret")) == ([], [(7,)])


LOOKS = """
CREATE TABLE t (id int); CREATE TABLE flags (done boolean); CREATE TABLE plain (id int);
CREATE FUNCTION public.spy() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'spied'; END $$;
CREATE FUNCTION public.asks() RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE VIEW public.ready AS SELECT done FROM public.flags;
CREATE VIEW public.behind AS SELECT done FROM public.ready;
"""
VIEW = "CREATE OR REPLACE VIEW public.ready AS SELECT {} AS done"
FUNCTION = "CREATE OR REPLACE FUNCTION public.asks() RETURNS boolean LANGUAGE sql AS 'SELECT {}'"
LOCK = "LOCK TABLE public.plain IN ACCESS EXCLUSIVE MODE;"
EXCHANGED = {
    "SELECT EXISTS (SELECT FROM public.ready WHERE done)": VIEW.format("public.spy()"),
    "SELECT EXISTS (SELECT FROM public.behind WHERE done)": VIEW.format("public.spy()"),
    "SELECT public.asks() FROM (SELECT count(*) FROM public.plain) AS f": LOCK + FUNCTION.format("public.spy()"),
}
IDS = ["a view", "a view behind one", "a function"]


@contextmanager
def exchanged_while_it_waits(database: Endpoint, sql: str) -> Iterator[None]:
    """By somebody who has begun before, and commits as soon as he keeps it waiting."""
    blocked = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid)))"

    def commit(conn: psycopg.Connection) -> None:
        with psycopg.connect(database.conninfo, autocommit=True) as looking:
            deadline = time.monotonic() + 30
            while looking.execute(blocked.encode(), (conn.info.backend_pid,)).fetchone() == (False,):
                assert time.monotonic() < deadline
                time.sleep(0.01)
        conn.commit()

    with psycopg.connect(database.conninfo) as conn, ThreadPoolExecutor(1) as pool:
        conn.execute(sql.encode())
        done = pool.submit(commit, conn)
        yield
        done.result()


@pytest.mark.parametrize("condition", EXCHANGED, ids=IDS)
def test_what_a_look_would_run(condition: str, database: Endpoint, make_database: MakeDatabase) -> None:
    """A look waits for a lock as long as a step does, and its session has the migration's rights: what is exchanged
    meanwhile is not run, and is told."""
    query(database, LOOKS)
    plan = plan_with(gate(condition=condition))
    bundle = rehearse(plan, database, make_database("twin", script=LOOKS))
    shut(plan, database, bundle)
    with (
        pytest.raises(DriftDetected, match=r"somebody else has changed what it may run.* public\.(asks|ready)"),
        exchanged_while_it_waits(database, EXCHANGED[condition]),
    ):
        apply_all(plan, database, bundle)
    query(database, VIEW.format("done") + " FROM public.flags")
    query(database, FUNCTION.format("false"))
    shut(plan, database, bundle)
    assert steps_of(database)["gate"] == "running", "it was put back, so it goes on waiting"


@pytest.mark.parametrize("condition", EXCHANGED, ids=IDS)
def test_what_an_assertion_would_run(
    condition: str, database: Endpoint, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Check] = []

    def asked(*given: Any, **more: Any) -> Check:
        made.append(assertions.assertion(*given, **more))
        return made[-1]

    monkeypatch.setattr(verify, "assertion", asked)
    query(database, LOOKS)
    plan = replace(
        plan_from_sql("ALTER TABLE t ADD COLUMN b int"), assertions=(condition.replace("SELECT", "SELECT NOT", 1),)
    )
    bundle = rehearse(plan, database, make_database("twin", script=LOOKS))
    apply_all(plan, database, bundle)
    with pytest.raises(TransientError, match="changed"), exchanged_while_it_waits(database, EXCHANGED[condition]):
        verify_it(plan, database, bundle)
    assert made == [], "it has run"


def test_what_others_change_elsewhere_shuts_no_gate(database: Endpoint, make_database: MakeDatabase) -> None:
    query(database, LOOKS)
    plan = plan_with(gate(condition="SELECT EXISTS (SELECT FROM public.plain)"))
    bundle = rehearse(plan, database, make_database("twin", script=LOOKS))
    shut(plan, database, bundle)
    with exchanged_while_it_waits(database, f"{LOCK} CREATE TABLE public.elsewhere (id int)"):
        shut(plan, database, bundle)
