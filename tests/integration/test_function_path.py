"""Names in a body mean what the function's own search_path makes them mean, and what set_config() has set counts."""

from __future__ import annotations

import psycopg
import pytest

from migrator.database.session import Endpoint
from migrator.evidence import Match
from migrator.plan import MAY_FAIL
from migrator.rehearsal.comparison import unpredicted_writes
from tests.integration.test_made_before import observed, plan_of

SCHEMA = """
CREATE SCHEMA app;
CREATE TABLE app.audit (x bigint);
CREATE TABLE app.things (id int);
CREATE TABLE t (id bigint PRIMARY KEY, v text);
INSERT INTO t VALUES (1, 'a');
"""
TWIN = "CREATE TABLE audit (x bigint);"
PATH = "SET search_path = pg_catalog, app, pg_temp"
TRIGGER = "CREATE TRIGGER log AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION app.log();"


def log(path: str) -> str:
    return (
        f"CREATE FUNCTION app.log() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER {path}"
        " AS 'BEGIN INSERT INTO audit VALUES (NEW.id); RETURN NEW; END';"
    )


NOTE = f"CREATE FUNCTION app.note(i bigint) RETURNS void LANGUAGE sql {PATH} AS 'INSERT INTO audit VALUES (i)';"
OUTER = (
    "CREATE FUNCTION outer_one() RETURNS void LANGUAGE plpgsql AS 'BEGIN PERFORM app.note(1); DELETE FROM audit; END';"
)
UPDATE = "UPDATE t SET v = 'b' WHERE id = 1;"


@pytest.mark.parametrize(
    "there, files, written",
    [
        (log(PATH) + TRIGGER, (UPDATE,), {"app.audit", "public.t"}),
        (TWIN + log(PATH) + TRIGGER, (UPDATE,), {"app.audit", "public.t"}),
        (TWIN, (log(PATH) + TRIGGER + UPDATE,), {"app.audit", "public.t"}),
        (TWIN, (log(PATH) + TRIGGER, UPDATE), {"app.audit", "public.t"}),
        (TWIN + log("") + TRIGGER, (f"ALTER FUNCTION app.log() {PATH}; {UPDATE}",), {"app.audit", "public.t"}),
        (TWIN, (log("") + TRIGGER + f"ALTER FUNCTION app.log() {PATH}; {UPDATE}",), {"app.audit", "public.t"}),
        (TWIN + log(PATH) + TRIGGER, (f"ALTER FUNCTION app.log() RESET ALL; {UPDATE}",), {"public.audit", "public.t"}),
        (
            TWIN + log(PATH) + TRIGGER,
            (log("").replace("CREATE", "CREATE OR REPLACE"), UPDATE),
            {"public.audit", "public.t"},
        ),
        (TWIN + NOTE, ("SELECT app.note(1);",), {"app.audit"}),
        (TWIN + NOTE, ("SELECT app.note(1); INSERT INTO audit VALUES (2);",), {"app.audit", "public.audit"}),
        (TWIN + NOTE + OUTER, ("INSERT INTO audit VALUES (1);SELECT outer_one();",), {"app.audit", "public.audit"}),
        (
            "",
            ("SELECT set_config('search_path', 'app, public', true); INSERT INTO things VALUES (1);",),
            {"app.things"},
        ),
        (
            TWIN,
            ("SELECT pg_catalog.set_config('search_path', 'app,public', false); INSERT INTO audit VALUES (1);",),
            {"app.audit"},
        ),
        (
            "",
            ("DO $$ BEGIN PERFORM set_config('search_path', '\"app\"', true); END $$; INSERT INTO things VALUES (1);",),
            {"app.things"},
        ),
        (
            TWIN + "INSERT INTO audit VALUES (9);",
            ("SET search_path TO app, public; INSERT INTO audit VALUES (1);", "DELETE FROM audit;"),
            {"app.audit", "public.audit"},
        ),
        (
            TWIN + "INSERT INTO audit VALUES (9);",
            ("CREATE TEMP TABLE audit AS SELECT 1 AS x; DELETE FROM audit;", "DELETE FROM audit;"),
            {"public.audit"},
        ),
    ],
    ids=lambda value: " ".join(sorted(value)) if isinstance(value, set) else str(value)[-50:],
)
def test_the_right_table_is_predicted(
    database: Endpoint, there: str, files: tuple[str, ...], written: set[str]
) -> None:
    with psycopg.connect(database.conninfo) as conn:
        conn.execute((SCHEMA + there).encode())
    plan = plan_of(files, "SELECT 1;", database, None)
    traces, _ = observed(plan, database)
    assert {name for trace in traces for name in trace.writes} == written
    assert {trace.sql: unpredicted_writes(trace) for trace in traces if unpredicted_writes(trace)} == {}
    assert {trace.sql: trace.differences for trace in traces if trace.differences} == {}
    assert {trace.match for trace in traces} == {Match.CONFIRMED}
    assert [item.message for item in plan.findings if item.rule == MAY_FAIL] == []
