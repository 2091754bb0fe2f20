"""Step kind `backfill` on partitioned tables and on parents: it does what the one statement does."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from migrator.database.session import Endpoint
from migrator.errors import StatementFailed
from migrator.parsing import statements
from migrator.steps import batch_size, batch_tables
from migrator.steps.batch_progress import Progress
from migrator.steps.batch_sql import batch_sql
from migrator.steps.batch_statement import BatchSql
from migrator.steps.batches import Work
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, query
from tests.integration.test_backfill import backfill, plan_of

TABLES = """
CREATE TABLE p (id int, k int, b int) PARTITION BY RANGE (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (1000);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (1000) TO (100000);
INSERT INTO p SELECT g, g FROM generate_series(1, 5000) AS g;
"""
FILL = "UPDATE p SET b = 1 WHERE b IS NULL"
HALF = "CREATE POLICY half ON p USING (id % 2 = 0)"


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_size, "FIRST_PAGES", 4)
    monkeypatch.setattr(batch_size, "MOST_PAGES", 8)


def forced(table: str) -> str:
    return f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY;"


def test_what_a_policy_of_the_parent_hides_is_not_passed_over(database: Endpoint) -> None:
    query(database, f"{TABLES} {forced('p')} {HALF}")
    with pytest.raises(StatementFailed, match="a policy may hide rows of p: they would be left"):
        apply_all(plan_of(backfill(FILL)), database)


def test_policies_of_the_parent_hold(database: Endpoint) -> None:
    """Of all that it may see."""
    query(database, f"{TABLES} {forced('p')} CREATE POLICY everything ON p USING (true) WITH CHECK (id < 4000)")
    with pytest.raises(StatementFailed, match="row-level security"):
        apply_all(plan_of(backfill(FILL)), database)
    query(database, "ALTER TABLE p DISABLE ROW LEVEL SECURITY")
    assert query(database, "SELECT count(*) FROM p WHERE b = 1 AND id >= 4000") == [(0,)]


def test_policies_of_a_parent_hold_for_its_children(database: Endpoint) -> None:
    query(
        database,
        "CREATE TABLE p (id int); CREATE TABLE c (x text) INHERITS (p); INSERT INTO p SELECT generate_series(1, 100);"
        f"INSERT INTO c SELECT generate_series(1, 100); {forced('p')} CREATE POLICY everything ON p USING (true);"
        f"{forced('c')}",
    )
    apply_all(plan_of(backfill("DELETE FROM p WHERE id > 0")), database)
    query(database, "ALTER TABLE c DISABLE ROW LEVEL SECURITY")
    assert query(database, "SELECT count(*) FROM p") == [(0,)]


def test_policies_of_a_partition_do_not_count(database: Endpoint) -> None:
    query(database, f"{TABLES} {forced('p2')}")
    apply_all(plan_of(backfill(FILL)), database)
    assert query(database, "SELECT count(*) FROM p WHERE b IS NULL") == [(0,)]


def test_statement_triggers_of_the_parent_fire(database: Endpoint) -> None:
    query(
        database,
        f"""{TABLES} CREATE TABLE audit (n bigint); CREATE FUNCTION public.audit() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN INSERT INTO public.audit SELECT count(*) FROM fresh; RETURN NULL; END'; CREATE TRIGGER audit
        AFTER UPDATE ON p REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION public.audit()""",
    )
    apply_all(plan_of(backfill(FILL)), database)
    assert query(database, "SELECT sum(n)::int FROM audit") == [(5000,)]


def test_rows_go_to_another_partition(database: Endpoint) -> None:
    query(database, TABLES)
    apply_all(plan_of(backfill("UPDATE p SET k = k + 1000 WHERE k < 1000")), database)
    assert query(database, "SELECT count(*), min(k) FROM p") == [(5000, 1000)]


def test_rights_on_the_parent_are_enough(database: Endpoint, superuser: str) -> None:
    query(database, TABLES)
    with psycopg.connect(superuser, autocommit=True) as conn:
        conn.execute("CREATE ROLE of_the_partitions")
        conn.execute("ALTER TABLE p1 OWNER TO of_the_partitions")
        try:
            apply_all(plan_of(backfill(FILL)), database)
        finally:
            conn.execute("REASSIGN OWNED BY of_the_partitions TO CURRENT_USER; DROP ROLE of_the_partitions")
        assert conn.execute("SELECT count(*) FROM p WHERE b = 1").fetchall() == [(5000,)]


def test_the_same_pages_of_all_partitions_are_read_by_their_numbers(each_database: MakeDatabase) -> None:
    """Whatever the server's version is: a range of pages of each, and no more of them."""
    database = each_database("ranges", script=TABLES + HALF)
    sql = batch_sql(statements.parse("UPDATE p SET b = 1 WHERE b IS NULL", file="fill.sql").statements[0])
    plan = "\n".join(row[0] for row in query(database, f"EXPLAIN {sql.batch('p', 0, 2)}"))
    assert plan.count("Tid Range Scan") == 2
    assert "Seq Scan" not in plan


def test_partitions_are_done_one_by_one_where_it_makes_no_difference(database: Endpoint) -> None:
    query(database, TABLES)
    sql = batch_sql(statements.parse(FILL, file="fill.sql").statements[0])
    with psycopg.connect(database.conninfo, autocommit=True) as conn:
        assert [table.target for table in batch_tables.tables(conn, sql)] == ["ONLY public.p1", "ONLY public.p2"]


def test_without_partitions_nothing_is_to_do(database: Endpoint) -> None:
    query(database, "CREATE TABLE p (id int, b int) PARTITION BY RANGE (id)")
    (result,) = apply_all(plan_of(backfill(FILL)), database)
    assert result.statements[0].rows == 0


def test_a_partition_that_is_dropped_is_done(database: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    query(database, TABLES)
    real, count = Work._batch, [0]

    def dropped(work: Work, table: Any, then: Progress, first: int) -> Progress:
        count[0] += 1
        if count[0] == 2:
            query(database, "DROP TABLE p2")
        return real(work, table, then, first)

    monkeypatch.setattr(Work, "_batch", dropped)
    apply_all(plan_of(backfill(FILL)), database)
    assert query(database, "SELECT count(*), count(b) FROM p") == [(999, 999)]


def test_a_partition_that_goes_while_the_tables_are_listed(database: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalog still has it, but it has no size any more."""
    query(database, TABLES)
    real = batch_tables.tables

    def listed(conn: Any, sql: BatchSql) -> list[batch_tables.Table]:
        monkeypatch.setattr(batch_tables, "tables", real)
        with psycopg.connect(database.conninfo) as before:
            before.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            before.execute("SELECT count(*) FROM pg_class")
            query(database, "DROP TABLE p2")
            return real(before, sql)

    monkeypatch.setattr(batch_tables, "tables", listed)
    apply_all(plan_of(backfill(FILL)), database)
    assert query(database, "SELECT count(*), count(b) FROM p") == [(999, 999)]


COPY = "INSERT INTO n (id) SELECT p.id FROM p WHERE NOT EXISTS (SELECT FROM n WHERE n.id = p.id)"
OTHER_ORDER = """
CREATE TABLE p (id int, k int, b text) PARTITION BY RANGE (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (1000);
CREATE TABLE p2 (b text, k int, id int);
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (1000) TO (100000);
INSERT INTO p SELECT g, g FROM generate_series(1, 3000) AS g;
CREATE TABLE n (id int PRIMARY KEY, b text);
"""


@pytest.mark.parametrize("more", ["", "CREATE TRIGGER c AFTER UPDATE ON p EXECUTE FUNCTION public.c();"])
def test_what_is_copied_from_partitions_is_copied_one_by_one(database: Endpoint, more: str) -> None:
    """A batch that took the same pages of all would lock hundreds of times as many rows."""
    query(
        database,
        f"{TABLES} CREATE TABLE n (id int PRIMARY KEY); CREATE FUNCTION public.c() RETURNS trigger LANGUAGE plpgsql"
        f" AS 'BEGIN RETURN NULL; END'; {more}",
    )
    sql = batch_sql(statements.parse(COPY, file="fill.sql").statements[0])
    with psycopg.connect(database.conninfo, autocommit=True) as conn:
        assert [table.target for table in batch_tables.tables(conn, sql)] == ["ONLY public.p1", "ONLY public.p2"]
    apply_all(plan_of(backfill(COPY)), database)
    assert query(database, "SELECT count(*) FROM n") == [(5000,)]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO n (id, b) SELECT x.id, x::text FROM p AS x WHERE NOT EXISTS (SELECT FROM n WHERE n.id = x.id)",
        "INSERT INTO n (id, b) SELECT p.id, ROW(p.*)::text FROM p WHERE NOT EXISTS (SELECT FROM n WHERE n.id = p.id)",
        "INSERT INTO n (id, b) SELECT y.id, ROW(y.id, y.k, y.b)::text FROM p * AS y"
        " WHERE NOT EXISTS (SELECT FROM n WHERE n.id = y.id)",
        "INSERT INTO n (id, b) SELECT p.id, ROW(public.p.id, p.k, p.b)::text FROM public . p"
        " WHERE NOT EXISTS (SELECT FROM n WHERE n.id = p.id)",
        "INSERT INTO n (id, b) SELECT x.i, ROW(x.i, x.j, x.l)::text FROM p AS x (i, j, l)"
        " WHERE NOT EXISTS (SELECT FROM n WHERE n.id = x.i)",
    ],
)
def test_a_row_is_copied_as_the_parent_has_it(database: Endpoint, sql: str) -> None:
    """A partition may have its columns in another order."""
    query(database, OTHER_ORDER)
    apply_all(plan_of(backfill(sql)), database)
    assert query(database, "SELECT count(*) FROM n WHERE b = format('(%s,%s,)', id, id)") == [(3000,)]


@pytest.mark.parametrize("value", ["p::text", "ROW(p.*)::text", "ROW(public.p.id, p.k, p.b)::text"])
def test_a_row_is_changed_as_the_parent_has_it(database: Endpoint, value: str) -> None:
    query(database, OTHER_ORDER)
    apply_all(plan_of(backfill(f"UPDATE p SET b = {value} WHERE b IS NULL")), database)
    assert query(database, "SELECT count(*) FROM p WHERE b = format('(%s,%s,)', id, id)") == [(3000,)]


def test_nobody_waits_for_a_page_of_every_partition(database: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of the application's is locked about as long as a batch should take, however many partitions there are."""
    monkeypatch.setattr(batch_size, "FIRST_PAGES", 1)
    monkeypatch.setattr(batch_size, "MOST_PAGES", 8192)
    query(
        database,
        """CREATE TABLE p (id int PRIMARY KEY, v int) PARTITION BY HASH (id);
        DO $$ BEGIN FOR i IN 0..99 LOOP
            EXECUTE format('CREATE TABLE p_%s PARTITION OF p FOR VALUES WITH (MODULUS 100, REMAINDER %s)', i, i);
        END LOOP; END $$;
        INSERT INTO p SELECT g, g FROM generate_series(1, 10000) AS g; CREATE TABLE n (id int PRIMARY KEY);
        CREATE FUNCTION public.works() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM md5(repeat(NEW.id::text, 20000)); RETURN NEW; END $$;
        CREATE TRIGGER works BEFORE INSERT ON n FOR EACH ROW EXECUTE FUNCTION works();""",
    )
    rows: list[int] = []
    real = Work._batch

    def batch(work: Work, table: Any, then: Progress, first: int) -> Progress:
        done = real(work, table, then, first)
        rows.append(done.rows - then.rows)
        return done

    monkeypatch.setattr(Work, "_batch", batch)
    apply_all(plan_of(backfill(COPY)), database)
    assert sum(rows) == 10_000
    assert max(rows) < 300, "of one partition"
