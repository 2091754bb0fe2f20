"""A backfill does what its one statement would have done, or refuses before the first row is changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from migrator.catalogue.catalogue import load_one
from migrator.database.session import Endpoint
from migrator.errors import StatementFailed
from migrator.plan import Plan, Severity
from migrator.run import RunContext
from migrator.stages.analyze import run_analyze
from migrator.steps import batch_promises, batch_readings, batch_size
from migrator.steps.batches import Progress, Work
from tests.factories import NOW, plan_from_sql
from tests.integration.stages import apply_all, query
from tests.integration.test_backfill import backfill
from tests.integration.test_backfill_beside_others import meet
from tests.unit.steps.test_kinds import folder

TABLE = """
CREATE TABLE whole (id int, v int, w int, filler text) PARTITION BY RANGE (id);
CREATE TABLE t PARTITION OF whole FOR VALUES FROM (0) TO (10000);
CREATE TABLE later PARTITION OF whole FOR VALUES FROM (10000) TO (20000);
INSERT INTO whole SELECT g, NULL, 0, repeat('x', 300) FROM generate_series(1, 500) AS g;
CREATE TABLE u AS SELECT 1 AS id, 7 AS w;
"""
COPIED = """
CREATE TABLE s (id int PRIMARY KEY, k int, big bigint, filler text);
INSERT INTO s SELECT g, g % 250, 9007199254740992 + g, repeat('x', 200) FROM generate_series(1, 500) AS g;
CREATE TABLE t (id int PRIMARY KEY, v int);
CREATE TABLE rough (id double precision PRIMARY KEY);
CREATE TABLE twice AS SELECT id, n FROM s, generate_series(1, 2) AS n;
"""
READS = "it reads t beside the row that it writes, by "


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_size, "FIRST_PAGES", 4)
    monkeypatch.setattr(batch_size, "MOST_PAGES", 8)


def plan_of(sql: str) -> Plan:
    return replace(plan_from_sql("SELECT 1", "SELECT 1"), steps=(backfill(sql),))


def fill(value: str) -> Plan:
    return plan_of(f"UPDATE t SET v = {value} WHERE v IS NULL")


def function(body: str, *, name: str = "known", kind: str = "STABLE LANGUAGE sql") -> str:
    return f"CREATE FUNCTION public.{name}() RETURNS bigint {kind} AS $${body}$$;"


NUMBER = "SELECT count(v) FROM public.t"
PLPGSQL = "STABLE LANGUAGE plpgsql"


@pytest.mark.parametrize(
    "made, value, name",
    [
        ("", "(SELECT count(v) FROM whole)", "table whole"),
        ("CREATE VIEW seen AS SELECT v FROM t;", "(SELECT count(v) FROM seen)", "view seen"),
        ("CREATE VIEW seen AS SELECT v FROM whole;", "(SELECT count(v) FROM seen)", "view seen"),
        (
            "CREATE VIEW seen AS SELECT v FROM t; CREATE VIEW again AS SELECT v FROM seen;",
            "(SELECT count(v) FROM again)",
            "view again",
        ),
        ("CREATE VIEW seen AS SELECT t AS one FROM t;", "(SELECT count(one::text) FROM seen)", "view seen"),
        (
            "ALTER TABLE whole ADD g int GENERATED ALWAYS AS (v + 1) STORED; CREATE VIEW seen AS SELECT g FROM t;",
            "(SELECT count(g) FROM seen)",
            "view seen",
        ),
        (function(NUMBER), "known()", r"function known\(\)"),
        (function(f"BEGIN RETURN ({NUMBER}); END", kind=PLPGSQL), "public.known()", r"function known\(\)"),
        (function(NUMBER) + function("SELECT known()", name="outer"), "outer()", r"function \"outer\"\(\)"),
        (function(NUMBER) + "CREATE VIEW seen AS SELECT known();", "(SELECT known FROM seen)", "view seen"),
        ("CREATE VIEW seen AS SELECT v FROM t;" + function("SELECT count(v) FROM seen"), "known()", "function"),
        (
            "CREATE FUNCTION public.known() RETURNS bigint STABLE BEGIN ATOMIC SELECT count(v) FROM t; END;",
            "known()",
            "function",
        ),
    ],
)
def test_what_it_writes_is_read_by_no_other_name(database: Endpoint, made: str, value: str, name: str) -> None:
    query(database, TABLE + made)
    with pytest.raises(StatementFailed, match=f"{READS}{name}"):
        apply_all(fill(value), database)
    assert query(database, "SELECT count(v) FROM t") == [(0,)]


def test_a_partition_of_what_it_writes_is_not_read(database: Endpoint) -> None:
    query(database, TABLE)
    with pytest.raises(StatementFailed, match="reads whole beside the row that it writes, by table t"):
        apply_all(plan_of("UPDATE whole SET v = (SELECT count(v) FROM t) WHERE v IS NULL"), database)


@pytest.mark.parametrize(
    "made, value, name",
    [
        (function("BEGIN EXECUTE 'SELECT 1'; RETURN 1; END", kind=PLPGSQL), "known()", r"known\(\)"),
        ("", "length(query_to_xml('SELECT v FROM t', true, true, '')::text)", "query_to_xml"),
    ],
)
def test_what_nobody_can_tell_is_refused(database: Endpoint, made: str, value: str, name: str) -> None:
    query(database, TABLE + made)
    with pytest.raises(StatementFailed, match=f"nobody can tell whether function {name}.* reads t"):
        apply_all(fill(value), database)


@pytest.mark.parametrize(
    "made, value",
    [
        ("", "length(lower(filler)) > 0"),
        ("", "(SELECT count(v) FROM later) = 0"),
        ("CREATE VIEW seen AS SELECT w FROM u;", "(SELECT w FROM seen) = 7"),
        ("CREATE VIEW seen AS SELECT id, sum(w) AS w FROM t GROUP BY id;", "(SELECT w FROM seen WHERE id = t.id) = 0"),
        ("CREATE VIEW seen AS SELECT count(*) AS n FROM whole;", "(SELECT n FROM seen) = 500"),
        ("CREATE MATERIALIZED VIEW seen AS SELECT count(v) AS n FROM t;", "(SELECT n FROM seen) = 0"),
        (function("SELECT w FROM u"), "known() = 7"),
        (function("BEGIN RETURN 7; END", kind="LANGUAGE plpgsql"), "known() = 7"),
        (function("BEGIN EXECUTE 'SELECT 1'; RETURN 7; END", kind="IMMUTABLE LANGUAGE plpgsql"), "known() = 7"),
        ("", "(SELECT o.w FROM t AS o WHERE o.id = t.id) = 0"),
    ],
)
def test_what_ordinary_statements_read_is_read(database: Endpoint, made: str, value: str) -> None:
    """Other partitions, other tables, what is stored, what is not written."""
    query(database, TABLE + made)
    apply_all(fill(f"CASE WHEN {value} THEN 1 END"), database)
    assert query(database, "SELECT count(v) FROM t") == [(500,)]


def test_a_row_that_was_waited_for_is_given_to_functions_as_it_is_then(database: Endpoint) -> None:
    """What they read is as new as the row."""
    query(database, TABLE + "CREATE TABLE x AS SELECT 0 AS n;" + function("SELECT n FROM public.x"))
    meet(database, fill("known()"), "UPDATE t SET w = 1 WHERE id = 5", "UPDATE x SET n = 1")
    assert query(database, "SELECT v FROM t WHERE id = 5") == [(1,)]


HIDDEN = "CREATE POLICY half ON {0} USING (id % 2 = 0);"
ALL = "CREATE POLICY everything ON {0} USING (true);"
FORCED = "ALTER TABLE {0} ENABLE ROW LEVEL SECURITY; ALTER TABLE {0} FORCE ROW LEVEL SECURITY;"


@pytest.mark.parametrize(
    "policies, table",
    [
        (HIDDEN.format("t"), "t"),
        ("", "t"),
        ("CREATE POLICY part ON t FOR UPDATE USING (true);", "t"),
        (ALL.format("t") + "CREATE POLICY less ON t AS RESTRICTIVE USING (id > 5);", "t"),
        (HIDDEN.format("u"), "u"),
    ],
)
def test_rows_that_a_policy_hides_do_not_pass_for_done(database: Endpoint, policies: str, table: str) -> None:
    query(database, TABLE + policies + FORCED.format(table))
    with pytest.raises(StatementFailed, match=f"a policy may hide rows of {table}:"):
        apply_all(plan_of("UPDATE t SET v = 1 FROM u WHERE u.id > 0 AND v IS NULL"), database)


def test_a_policy_that_hides_nothing_is_none(database: Endpoint) -> None:
    query(database, TABLE + ALL.format("t") + HIDDEN.format("t") + FORCED.format("t"))
    apply_all(fill("1"), database)
    assert query(database, "SELECT count(v) FROM t") == [(500,)]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t (id, v) SELECT s.k, s.id FROM s WHERE NOT EXISTS (SELECT FROM t WHERE t.id = s.k)",
        "INSERT INTO rough (id) SELECT s.big FROM s WHERE NOT EXISTS (SELECT FROM rough WHERE rough.id = s.big)",
        "INSERT INTO t (id, v) SELECT o.id, o.n FROM twice AS o WHERE NOT EXISTS (SELECT FROM t WHERE t.id = o.id)",
        "INSERT INTO t (id, v) SELECT s.id, w.n FROM s JOIN twice AS w ON w.id = s.id"
        " WHERE NOT EXISTS (SELECT FROM t WHERE t.id = s.id)",
    ],
    ids=["no key", "equal where they are copied", "another table", "two partners"],
)
def test_keys_that_are_equal_fail_as_they_do_in_one_statement(database: Endpoint, sql: str) -> None:
    query(database, COPIED)
    with pytest.raises(psycopg.errors.UniqueViolation):
        query(database, sql)
    with pytest.raises(StatementFailed, match=r"rows that it would insert have the same \(id\)"):
        apply_all(plan_of(sql), database)
    assert query(database, "SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM rough)") == [(0, 0)]


def test_keys_that_are_equal_are_enough_where_it_says_so(database: Endpoint) -> None:
    query(database, COPIED)
    sql = "INSERT INTO t (id, v) SELECT s.k, s.id FROM s WHERE NOT EXISTS (SELECT FROM t WHERE t.id = s.k)"
    apply_all(plan_of(f"{sql} ON CONFLICT DO NOTHING"), database)
    assert query(database, "SELECT count(*), max(v) FROM t") == [(250, 250)]


@pytest.mark.parametrize("key, looked", [("id", []), ("abs(s.id)", ["repeated"])])
def test_a_copied_key_is_not_looked_through(
    database: Endpoint, monkeypatch: pytest.MonkeyPatch, key: str, looked: list[str]
) -> None:
    """A large table has not to be sorted for what its index says."""
    query(database, COPIED)
    asked: list[str] = []
    real = batch_promises.Looks.ask

    def ask(looks: batch_promises.Looks, text: str) -> object:
        asked.extend(["repeated"] if "HAVING" in text else [])
        return real(looks, text)

    monkeypatch.setattr(batch_promises.Looks, "ask", ask)
    value = "s.id" if key == "id" else "s.id + 0"
    sql = f"INSERT INTO t (id) SELECT {value} FROM s WHERE NOT EXISTS (SELECT FROM t WHERE t.id = {value})"
    apply_all(plan_of(sql), database)
    assert asked == looked
    assert query(database, "SELECT count(*) FROM t") == [(500,)]


COPY = "INSERT INTO t (id, v) SELECT s.id, s.k FROM s WHERE NOT EXISTS (SELECT FROM t WHERE t.id = s.id)"


def test_what_a_trigger_copies_meanwhile_passes_for_copied(database: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the README has it: a step before has made it, and somebody writes during the rehearsal, too."""
    monkeypatch.setattr(batch_promises, "REHEARSAL", "apply")
    query(
        database,
        COPIED
        + """CREATE FUNCTION public.kept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.t
            VALUES (NEW.id, NEW.k) ON CONFLICT (id) DO UPDATE SET v = excluded.v; RETURN NULL; END $$;
        CREATE TRIGGER kept AFTER UPDATE ON s FOR EACH ROW EXECUTE FUNCTION kept();""",
    )
    real = Work._batch

    def batch(work: Work, table: Any, then: Progress, first: int) -> Progress:
        query(database, "UPDATE s SET k = -k WHERE id = 499")
        return real(work, table, then, first)

    monkeypatch.setattr(Work, "_batch", batch)
    apply_all(plan_of(COPY), database)
    assert query(database, "SELECT count(*) FROM s JOIN t USING (id) WHERE s.k = t.v") == [(500,)]


def test_a_row_that_a_trigger_puts_into_a_child_has_no_key(database: Endpoint) -> None:
    """The unique index is of the parent alone: the application inserts the same row beside it."""
    query(
        database,
        COPIED
        + """CREATE TABLE t_2026 () INHERITS (t);
        CREATE FUNCTION public.route() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN INSERT INTO public.t_2026 VALUES (NEW.id, NEW.v); RETURN NULL; END';
        CREATE TRIGGER route BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION public.route();""",
    )
    with pytest.raises(StatementFailed, match="t has no unique index, of all its rows"):
        apply_all(plan_of(COPY), database)


def test_rows_that_are_deleted_count_of_whatever_column(database: Endpoint) -> None:
    query(database, TABLE + "CREATE VIEW seen AS SELECT max(id) AS id FROM t;")
    with pytest.raises(StatementFailed, match=f"{READS}view seen"):
        apply_all(plan_of("DELETE FROM t WHERE id < (SELECT id FROM seen)"), database)


BY_KEY = "INSERT INTO t (id, v) SELECT s.k, s.id FROM s WHERE NOT EXISTS (SELECT FROM t WHERE t.id = s.k)"
DOUBLED = COPY.replace("s.id, s.k FROM s", "s.id, w.n FROM s JOIN twice AS w USING (id)")


@pytest.mark.parametrize(
    "script, sql, told",
    [
        (
            TABLE,
            "UPDATE t SET v = (SELECT count(v) FROM whole) WHERE v IS NULL",
            [(Severity.WARNING, "by table whole")],
        ),
        (TABLE + FORCED.format("t"), "UPDATE t SET v = 1 WHERE v IS NULL", [(Severity.WARNING, "may hide rows of t")]),
        (COPIED, BY_KEY, [(Severity.WARNING, "no index says that no two rows")]),
        (COPIED, DOUBLED, [(Severity.INFO, "no index says that no two rows")]),
        (COPIED, COPY, []),
        (TABLE, "UPDATE t SET v = 1 WHERE v IS NULL", []),
        ("SELECT 1", "UPDATE t SET v = 1 WHERE v IS NULL", []),
    ],
)
def test_the_analysis_foretells_it(
    database: Endpoint, tmp_path: Path, script: str, sql: str, told: list[tuple[Severity, str]]
) -> None:
    query(database, script)
    step = {"name": "fill", "kind": "backfill", "file": "fill.sql"}
    migration = load_one(folder(tmp_path, [step], {"fill.sql": f"{sql};\n"}, risk_level="high"), "001_one")
    run = RunContext(run_id="run-1", version="001_test", target="test", actor="tester", clock=lambda: NOW)
    plan = run_analyze(migration, target=None, catalogue=None, endpoint=database, ledger=None, run=run)
    found = [one for one in plan.findings if one.rule == batch_readings.NOT_IN_BATCHES]
    assert [one.severity for one in found] == [severity for severity, _ in told]
    assert all(words in one.message for one, (_, words) in zip(found, told, strict=True))
    assert all(one.file == "fill.sql" and one.line == 1 and one.help for one in found)
