"""The content of tables in a few numbers: equal when the rows are, different when one value is."""

from __future__ import annotations

import psycopg
import pytest

from migrator.database import fingerprint, row_hash
from migrator.database.session import Endpoint
from migrator.errors import EnvironmentFault
from migrator.evidence import TableFingerprint
from tests.integration.conftest import MakeDatabase

ROWS = """
CREATE TABLE t (id int, name text, at timestamptz, much double precision, raw bytea, price numeric, span interval);
INSERT INTO t SELECT g, 'n' || g, '2025-01-01'::timestamptz + g * interval '1 day', 1.0 / g, int4send(g), g / 3.0,
    g * interval '1 hour' FROM generate_series(1, 100) AS g;
"""


def tables(endpoint: Endpoint, **over: object) -> dict[str, TableFingerprint]:
    with psycopg.connect(endpoint.conninfo, autocommit=True) as conn:
        return {one.table: one for one in fingerprint.tables(conn, **over)}  # type: ignore[arg-type]


def test_the_order_of_rows_does_not_matter(make_database: MakeDatabase) -> None:
    one = make_database("one", script=ROWS)
    other = make_database("other", script=ROWS + "CREATE TABLE u AS SELECT * FROM t ORDER BY id DESC; DROP TABLE t;"
                          "ALTER TABLE u RENAME TO t;")  # fmt: skip
    assert tables(one) == tables(other)
    assert tables(one)["public.t"].rows == 100


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE t SET name = 'x' WHERE id = 50",
        "UPDATE t SET name = NULL WHERE id = 50",
        "UPDATE t SET at = at + interval '1 microsecond' WHERE id = 1",
        "UPDATE t SET much = much + 1e-12 WHERE id = 1",
        "DELETE FROM t WHERE id = 1",
        "INSERT INTO t SELECT * FROM t WHERE id = 1",
        "UPDATE t SET id = CASE id WHEN 1 THEN 2 ELSE 1 END WHERE id IN (1, 2)",
    ],
)
def test_a_change_shows(make_database: MakeDatabase, sql: str) -> None:
    endpoint = make_database(script=ROWS)
    before = tables(endpoint)
    with psycopg.connect(endpoint.conninfo) as conn:
        conn.execute(sql.encode())
    assert tables(endpoint)["public.t"].hash != before["public.t"].hash


def test_two_rows_added_twice_do_not_cancel(make_database: MakeDatabase) -> None:
    """An exclusive or would: that is why it is a sum."""
    endpoint = make_database(script="CREATE TABLE t (id int)")
    before = tables(endpoint)["public.t"].hash
    with psycopg.connect(endpoint.conninfo) as conn:
        conn.execute("INSERT INTO t VALUES (1), (1)")
    assert tables(endpoint)["public.t"].hash != before


def test_the_settings_of_the_session_do_not_matter(make_database: MakeDatabase) -> None:
    endpoint = make_database(script=ROWS)
    options = "-c TimeZone=Asia/Tokyo -c DateStyle=German -c IntervalStyle=iso_8601 -c extra_float_digits=0"
    with psycopg.connect(endpoint.conninfo, options=f"{options} -c bytea_output=escape") as conn:
        found = {one.table: one for one in fingerprint.tables(conn)}
        assert conn.execute("SHOW TimeZone").fetchone() == ("Asia/Tokyo",)
    assert found == tables(endpoint)


def test_partitions_count_once_and_views_not_at_all(make_database: MakeDatabase) -> None:
    endpoint = make_database(
        script="CREATE TABLE p (id int) PARTITION BY RANGE (id);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (10); INSERT INTO p VALUES (1), (2);"
        "CREATE MATERIALIZED VIEW m AS SELECT * FROM p; CREATE VIEW v AS SELECT * FROM p;"
        "CREATE SCHEMA apart; CREATE TABLE apart.x (id int);"
    )
    assert {name: one.rows for name, one in tables(endpoint).items()} == {"public.p1": 2, "apart.x": 0}
    assert set(tables(endpoint, exclude=("apart",))) == {"public.p1"}
    assert set(tables(endpoint, only={"apart.x"})) == {"apart.x"}
    assert tables(endpoint, only=()) == {}


def test_by_name_is_blind_to_the_order_of_columns_only(make_database: MakeDatabase) -> None:
    one = make_database("one", script='CREATE TABLE t (b int, "A" text); INSERT INTO t VALUES (1, $$x$$)')
    other = make_database("other", script='CREATE TABLE t ("A" text, b int); INSERT INTO t VALUES ($$x$$, 1)')
    assert tables(one) != tables(other)
    assert tables(one, by_name=True) == tables(other, by_name=True)
    with psycopg.connect(other.conninfo) as conn:
        conn.execute("UPDATE t SET b = 2")
    assert tables(one, by_name=True) != tables(other, by_name=True)


def test_row_security_is_refused_rather_than_believed(make_database: MakeDatabase) -> None:
    endpoint = make_database(
        script="CREATE TABLE t (id int); ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"
    )
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        tables(endpoint)


def test_sequences_have_a_position_only_when_used(make_database: MakeDatabase) -> None:
    endpoint = make_database(script="CREATE SEQUENCE a; CREATE SEQUENCE b; SELECT setval('b', 41); SELECT nextval('b')")
    with psycopg.connect(endpoint.conninfo) as conn:
        assert fingerprint.sequences(conn) == {"public.a": None, "public.b": 42}


def test_a_sequence_that_nobody_may_read_is_no_proof(make_database: MakeDatabase, superuser: str) -> None:
    endpoint = make_database()
    name = psycopg.conninfo.conninfo_to_dict(endpoint.conninfo)["dbname"]
    with psycopg.connect(superuser, dbname=name) as admin:
        admin.execute("CREATE SEQUENCE public.hidden")
    with psycopg.connect(endpoint.conninfo) as conn, pytest.raises(EnvironmentFault, match="hidden"):
        fingerprint.sequences(conn)


def test_the_hash_of_copied_rows_is_the_servers(database: Endpoint) -> None:
    """Of each length up to several blocks of twelve bytes."""
    texts = ["x" * length for length in range(60)] + ["\u00f6\u20ac" * length for length in range(20)]
    with psycopg.connect(database.conninfo) as conn:
        query = "SELECT t, hashtextextended(t, 0) FROM unnest(%s::text[]) AS t"
        for text, wanted in conn.execute(query, (texts,)).fetchall():
            assert row_hash.hash_of(text.encode()) == wanted
