"""An index on a partitioned table, built on one partition after the other while others read and write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from migrator.database.schema_diff import diff
from migrator.database.session import Endpoint
from migrator.errors import StatementFailed
from migrator.steps import concurrent_index
from migrator.steps.partitioned_index import part_name
from tests.evidence import read_schema
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, query, roll_back, verify_it
from tests.integration.test_apply import wait_for
from tests.integration.test_crash import GONE
from tests.integration.test_create_index import indexed
from tests.integration.worker import working

TABLE = """
CREATE TABLE p (id int, "when" date, v int) PARTITION BY RANGE ("when");
CREATE TABLE "p 2024" PARTITION OF p FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE p_sub PARTITION OF p FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY LIST (v);
CREATE TABLE p_sub_1 PARTITION OF p_sub FOR VALUES IN (1);
CREATE TABLE p_sub_rest PARTITION OF p_sub DEFAULT;
CREATE TABLE p_rest PARTITION OF p DEFAULT;
INSERT INTO p SELECT g, date '2023-06-01' + g, g % 3 FROM generate_series(1, 1000) AS g;
"""
SQL = "CREATE INDEX CONCURRENTLY t_v ON p (v, lower(id::text))"
INDEXES = """
SELECT i.indrelid::regclass::text, i.indisvalid, EXISTS (SELECT FROM pg_inherits WHERE inhrelid = i.indexrelid)
FROM pg_index AS i JOIN pg_class AS t ON i.indrelid = t.oid WHERE t.relname ~ '^p' AND t.relnamespace = 2200 ORDER BY 1
"""
ALL = [
    *[('"p 2024"', True, True), ("p", True, False), ("p_rest", True, True)],
    *[("p_sub", True, True), ("p_sub_1", True, True), ("p_sub_rest", True, True)],
]


def test_all_partitions_get_it_and_the_rollback_takes_it(each_database: MakeDatabase) -> None:
    database, plan = each_database(script=TABLE), indexed(SQL, rollback="DROP INDEX IF EXISTS t_v")
    before = read_schema(database)
    apply_all(plan, database)
    assert query(database, INDEXES) == ALL
    verify_it(plan, database)
    assert roll_back(plan, database, force=True).action == "rolled_back"
    assert not diff(before, read_schema(database)).changes


def test_killed_on_a_partition_it_goes_on_there(database: Endpoint, tmp_path: Path) -> None:
    query(database, TABLE)
    plan = indexed(SQL)
    with psycopg.connect(database.conninfo) as writer:
        writer.execute("UPDATE p_sub_1 SET id = -1")
        with working(plan, database, tmp_path) as worker:
            wait_for(database, "to_regclass('p_sub_1_t_v') IS NOT NULL")
            worker.kill()
            wait_for(database, GONE, seconds=5)
    query(database, "CREATE TABLE public.p_2030 PARTITION OF p FOR VALUES FROM ('2030-01-01') TO ('2031-01-01')")
    apply_all(plan, database)
    assert query(database, INDEXES) == sorted([*ALL, ("p_2030", True, True)])


def test_it_dies_between_any_two_statements(database: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    query(database, TABLE)
    plan, real, seen = indexed(SQL), concurrent_index.build, set()

    def dying(statement: Any, *args: Any, **over: Any) -> Any:
        result = real(statement, *args, **over)
        seen.add(statement.sql)
        raise KeyboardInterrupt
        return result

    monkeypatch.setattr(concurrent_index, "build", dying)
    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            apply_all(plan, database)
    assert len(seen) == 4, "none is built twice"
    apply_all(plan, database)
    assert query(database, INDEXES) == ALL


@pytest.mark.parametrize(
    "script, sql, told",
    [
        ("", "CREATE UNIQUE INDEX CONCURRENTLY t_v ON p (v)", "unique .* must include all partitioning columns"),
        ("CREATE INDEX t_v ON p (id)", SQL, "is there and is another one than the partition needs: it differs in"),
        ("CREATE INDEX t_v ON p (v, lower(id::text))", SQL, "is there already"),
        ("CREATE INDEX p_rest_t_v ON p_rest (id)", SQL, '"p_rest_t_v" is there and is another one'),
    ],
)
def test_what_is_in_the_way_is_told(database: Endpoint, script: str, sql: str, told: str) -> None:
    query(database, TABLE + script)
    with pytest.raises(StatementFailed, match=told):
        apply_all(indexed(sql), database)


def test_a_foreign_partition_is_refused(database: Endpoint, superuser: str) -> None:
    with psycopg.connect(superuser) as conn:
        conn.execute("CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w")
        conn.execute("GRANT USAGE ON FOREIGN SERVER s TO migrator")
    query(database, TABLE)
    query(
        database,
        "CREATE FOREIGN TABLE p_far PARTITION OF p FOR VALUES FROM ('2040-01-01') TO ('2041-01-01') SERVER s",
    )
    with pytest.raises(StatementFailed, match='"p_far" is a foreign table, which can have no part of an index'):
        apply_all(indexed(SQL), database)
    assert query(database, "SELECT to_regclass('t_v')") == [(None,)]


def test_names_of_parts() -> None:
    assert part_name("i", "t") == "t_i"
    long = part_name("i" * 40, "é" * 30)
    assert len(long.encode()) <= 63
    assert long != part_name("i" * 41, "é" * 30)
    assert long == part_name("i" * 40, "é" * 30)
