"""What a batch sends of an INSERT ... SELECT, and which of them are not exact in batches."""

from __future__ import annotations

import pytest

from migrator.parsing.nodes import find, name_of
from migrator.parsing.statements import parse
from migrator.steps.batch_insert import InsertSql
from migrator.steps.batch_sql import batch_sql, refusal
from tests.unit.steps.test_batch_sql import only

THERE = "NOT EXISTS (SELECT FROM t WHERE t.id = s.id)"
WRITTEN = [
    (f"INSERT INTO t (id, v) SELECT s.id, s.v FROM s WHERE {THERE}", "s", "s", ("id",), ""),
    (f"INSERT INTO t (id, v) SELECT id, v FROM s WHERE v > 0 AND {THERE}", "s", "s", ("id",), ""),
    (f"INSERT INTO t (id) SELECT s.id FROM s WHERE {THERE} ON CONFLICT DO NOTHING", "s", "s", ("id",), "ON CONFLICT"),
    (
        'INSERT INTO app.t AS x (a, "B") SELECT o.k + 1, \'x\' FROM app."Old" AS o JOIN u USING (k) -- why\nWHERE'
        " NOT EXISTS (SELECT 1 FROM app.t AS y WHERE o.k + 1 = y.a AND y.\"B\" = 'x') AND u.from IS DISTINCT FROM 1",
        'app."Old"',
        'app."Old" AS o JOIN u USING (k) -- why',
        ("a", "B"),
        "",
    ),
    (
        "INSERT INTO t (id, v) SELECT s.id, (SELECT max(w) FROM u WHERE u.id = s.id) FROM ONLY s LEFT JOIN u x ON true"
        " WHERE NOT EXISTS (SELECT FROM t WHERE id = s.id)",
        "s",
        "ONLY s LEFT JOIN u x ON true",
        ("id",),
        "",
    ),
]
NOT_EXACT = "nobody could tell which rows are left"
REFUSED = [
    ("INSERT INTO t (id) VALUES (1)", "INSERT of single rows"),
    ("INSERT INTO t DEFAULT VALUES", "INSERT of single rows"),
    (f"WITH s AS (SELECT 1 AS id) INSERT INTO t (id) SELECT s.id FROM s WHERE {THERE}", "WITH cannot stand"),
    (f"INSERT INTO t (id) SELECT s.id FROM s WHERE {THERE} UNION ALL SELECT 1", "UNION"),
    (f"INSERT INTO t (id) SELECT DISTINCT s.id FROM s WHERE {THERE}", "DISTINCT is of all rows"),
    (f"INSERT INTO t (id) SELECT s.id FROM s WHERE {THERE} GROUP BY s.id", "GROUP BY is of all rows"),
    (f"INSERT INTO t (id) SELECT s.id FROM s WHERE {THERE} ORDER BY 1", "ORDER BY is of all rows"),
    (f"INSERT INTO t (id) SELECT s.id FROM s WHERE {THERE} LIMIT 5", "LIMIT is of all rows"),
    (f"INSERT INTO t (id) SELECT s.id FROM s WHERE {THERE} FOR SHARE", "FOR UPDATE and its like"),
    (f"INSERT INTO t (id, n) SELECT s.id, row_number() OVER () FROM s WHERE {THERE}", "window function"),
    (f"INSERT INTO t (id) SELECT s.id FROM s WHERE {THERE} RETURNING id", "RETURNING"),
    (f"INSERT INTO t (id) SELECT s.id FROM s WHERE {THERE} ON CONFLICT (id) DO UPDATE SET v = 1", "DO UPDATE"),
    (f"INSERT INTO t SELECT s.id FROM s WHERE {THERE}", "does not name the columns"),
    (f"INSERT INTO shop.public.t (id) SELECT s.id FROM s WHERE {THERE}", "the database before it"),
    (f"INSERT INTO t (id) SELECT s.id FROM u RIGHT JOIN s USING (id) WHERE {THERE}", "goes through one table"),
    (f"INSERT INTO t (id) SELECT s.id FROM (SELECT 1 AS id) AS s WHERE {THERE}", "goes through one table"),
    (f"INSERT INTO t (id) OVERRIDING USER VALUE SELECT s.id FROM s WHERE {THERE}", "inserts other values than"),
    ("INSERT INTO t (id) SELECT s.id FROM s", NOT_EXACT),
    ("INSERT INTO t (id) SELECT s.id FROM s ON CONFLICT (id) DO NOTHING", NOT_EXACT),
    ("INSERT INTO t (id) SELECT s.id FROM s WHERE s.id > 5", NOT_EXACT),
    ("INSERT INTO t (id) SELECT id FROM s WHERE NOT EXISTS (SELECT FROM t WHERE t.id = id)", NOT_EXACT),
    ("INSERT INTO t (id) SELECT s.id FROM s WHERE NOT EXISTS (SELECT FROM t WHERE t.id = s.k)", NOT_EXACT),
    ("INSERT INTO t (id) SELECT s.id FROM s WHERE NOT EXISTS (SELECT FROM t WHERE t.k = s.id)", NOT_EXACT),
    ("INSERT INTO t (id) SELECT s.id FROM s WHERE NOT EXISTS (SELECT FROM t WHERE t.id >= s.id)", NOT_EXACT),
    ("INSERT INTO t (id) SELECT s.id FROM s WHERE NOT EXISTS (SELECT FROM t WHERE t.id = s.id AND t.live)", NOT_EXACT),
    (f"INSERT INTO t (id) SELECT s.id FROM s WHERE {THERE} OR s.v", NOT_EXACT),
    ("INSERT INTO t (id) SELECT f(s.id) FROM s WHERE NOT EXISTS (SELECT FROM t WHERE t.id = f(s.id))", NOT_EXACT),
    ("INSERT INTO t (d) SELECT current_date FROM s WHERE NOT EXISTS (SELECT FROM t WHERE d = current_date)", NOT_EXACT),
    ("INSERT INTO t (id) SELECT s.id FROM s WHERE NOT EXISTS (SELECT FROM u WHERE u.id = s.id)", NOT_EXACT),
    (f"INSERT INTO t (id, n) SELECT s.id, (SELECT max(n) FROM t) FROM s WHERE {THERE}", "reads t beside the row"),
    ("INSERT INTO t (id) SELECT t.id FROM t WHERE NOT EXISTS (SELECT FROM t x WHERE x.id = t.id)", "reads t beside"),
]


@pytest.mark.parametrize("sql, relation, sources, found_by, conflict", WRITTEN)
def test_parts(sql: str, relation: str, sources: str, found_by: tuple[str, ...], conflict: str) -> None:
    assert refusal(only(sql)) is None
    parts = batch_sql(only(sql))
    assert isinstance(parts, InsertSql)
    assert (parts.relation, parts.sources, parts.found_by) == (relation, sources, found_by)
    assert parts.conflict.startswith(conflict)
    assert bool(parts.conflict) is bool(conflict)


@pytest.mark.parametrize("sql", [row[0] for row in WRITTEN])
def test_what_is_sent_is_the_statement_for_a_range(sql: str) -> None:
    parts = batch_sql(only(sql))
    sent = only(parts.batch("s", 10, 20, parts.without([])))
    (cte,) = sent.tree.with_clause.ctes
    change = cte.common_table_expr.ctequery
    assert name_of(change) == "insert_stmt"
    query = change.insert_stmt.select_stmt.select_stmt
    assert "(10,0)" in {constant.sval.sval for constant in find(query.where_clause, "A_Const")}
    assert [lock.locking_clause.locked_rels[0].range_var.relname for lock in query.locking_clause] == [
        parts.alias.strip('"')
    ]
    for text in (parts.left(), parts.count(), parts.found("s", 0, 1, 9), parts.rows("s", 0), parts.still("s", 0, 1)):
        assert not parse(text, file="asked.sql").problems


@pytest.mark.parametrize("sql, reason", REFUSED)
def test_what_cannot_be_exact(sql: str, reason: str) -> None:
    refused = refusal(only(sql))
    assert refused is not None
    assert reason in refused[0]
