"""What a batch sends of an UPDATE or DELETE, and what cannot be done in batches."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from migrator.parsing.nodes import Node, assign, copy_of, find, name_of
from migrator.parsing.statements import ParsedStatement, deparse, parse
from migrator.steps.batch_sql import batch_sql, refusal

WRITTEN = [
    ("UPDATE t SET a = 1 WHERE b", "t", "SET a = 1", "b", ""),
    ("update only t set a = 1 where b", "t", "set a = 1", "b", ""),
    ("UPDATE ONLY (app.t) SET a = 1 WHERE b", "app.t", "SET a = 1", "b", ""),
    ('UPDATE "Odd"."Two words"* AS x SET a = 1 WHERE b OR c', '"Odd"."Two words"', "SET a = 1", "b OR c", ""),
    ("UPDATE t x SET a = (SELECT 1 FROM u WHERE u.a = x.b) WHERE b", "t", None, "b", ""),
    ("UPDATE set SET a = 1 WHERE b", "set", "SET a = 1", "b", ""),
    ("UPDATE t SET a = b IS DISTINCT FROM c WHERE b", "t", "SET a = b IS DISTINCT FROM c", "b", ""),
    ("UPDATE t SET a = u.a FROM u WHERE b -- why\nAND c", "t", "SET a = u.a FROM u", "b -- why\nAND c", ", u"),
    ("UPDATE t SET a = u.a FROM u JOIN v USING (id) WHERE b", "t", None, "b", ", u JOIN v USING (id)"),
    ("DELETE FROM t WHERE b", "t", "", "b", ""),
    ("DELETE FROM ONLY t AS x USING u WHERE u.id = x.id", "t", "USING u", "u.id = x.id", ", u"),
    ("UPDATE t SET a = 1 -- one\nWHERE b", "t", "SET a = 1 -- one", "b", ""),
    ("DELETE FROM t USING u -- two\n, v WHERE b", "t", "USING u -- two\n, v", "b", ", u -- two\n, v"),
    ("UPDATE t SET a = u.a FROM u -- three\nWHERE b", "t", "SET a = u.a FROM u -- three", "b", ", u -- three"),
    ("UPDATE t SET a = ' WHERE ' /* WHERE */ WHERE b", "t", "SET a = ' WHERE ' /* WHERE */", "b", ""),
    ("UPDATE t SET a = t.from WHERE b", "t", "SET a = t.from", "b", ""),
    ("UPDATE t SET a = t.where WHERE t.where AND t.from", "t", "SET a = t.where", "t.where AND t.from", ""),
    ("UPDATE t SET (a, b) = (t.set, 1) FROM u WHERE NOT (u.from)", "t", None, "NOT (u.from)", ", u"),
    ("UPDATE \"Ä\" SET a = 'é' FROM (SELECT FROM u) v WHERE b", '"Ä"', None, "b", ", (SELECT FROM u) v"),
    ("DELETE FROM t USING u JOIN v USING (id) WHERE u.using", "t", None, "u.using", ", u JOIN v USING (id)"),
    ("UPDATE t SET a = 1 FROM (SELECT) v WHERE (SELECT)", "t", None, "(SELECT)", ", (SELECT) v"),
    ("DELETE FROM t WHERE t.using IS DISTINCT FROM t.where", "t", "", "t.using IS DISTINCT FROM t.where", ""),
]

READING_ITSELF = [
    "DELETE FROM t WHERE a < (SELECT avg(a) FROM t)",
    "DELETE FROM t WHERE EXISTS (SELECT FROM t AS o WHERE o.k = t.k AND o.id <> t.id)",
    "DELETE FROM app.t USING app.t AS o WHERE o.k = t.k AND o.id < t.id",
    "DELETE FROM app.t WHERE id IN (TABLE t)",
    "UPDATE t SET b = 1 WHERE b IS NULL AND EXISTS (SELECT FROM t AS o WHERE o.xmin <> t.xmin)",
    "UPDATE t SET b = (SELECT min(ctid)::text FROM t AS o WHERE o.k = t.k) WHERE b IS NULL",
    "UPDATE t SET b = 1 WHERE id IN (SELECT x.id FROM t AS x WHERE x.b IS NULL)",
    "UPDATE t SET b = (SELECT max(b) + 1 FROM t) WHERE b IS NULL",
    "UPDATE t SET b = o.b FROM t AS o WHERE o.id = t.before AND t.b IS NULL",
    "UPDATE t SET b = 1 WHERE b IS NULL AND EXISTS (SELECT * FROM u JOIN t AS o USING (b))",
    "UPDATE t SET b = 1 WHERE b IS NULL AND EXISTS (SELECT FROM u NATURAL JOIN t AS o)",
    "UPDATE t SET b = 1 WHERE b IS NULL AND EXISTS (SELECT FROM t AS o WHERE f(o))",
    "UPDATE t SET b = 1 WHERE b IS NULL AND EXISTS (SELECT FROM t AS o (x) WHERE x > 1)",
    "UPDATE t SET b = 1 WHERE b IS NULL AND id IN (WITH s AS (SELECT * FROM t) SELECT id FROM s)",
]

NUMBERING = [
    "UPDATE t SET n = s.n FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM t WHERE n IS NULL) s"
    " WHERE s.id = t.id AND t.n IS NULL",
    "UPDATE t SET n = s.i FROM (SELECT id, row_number() OVER (ORDER BY id) AS i FROM u) s WHERE s.id = t.id AND n = 0",
    "UPDATE t SET n = u.v FROM (SELECT DISTINCT ON (k) k, v FROM u ORDER BY k, at) AS u WHERE u.k = t.k AND n = 0",
    "UPDATE t SET n = u.v FROM (SELECT k, v FROM u FETCH FIRST 10 ROWS ONLY) AS u WHERE u.k = t.k AND n = 0",
    "DELETE FROM t WHERE id IN (SELECT id FROM t WHERE done ORDER BY id LIMIT 100)",
    "DELETE FROM t WHERE id = ANY (SELECT id FROM u ORDER BY at LIMIT 10)",
]

READING_OTHERS = [
    "UPDATE t SET b = (SELECT u.name FROM u WHERE u.id = t.u ORDER BY at LIMIT 1) WHERE b IS NULL",
    "UPDATE t SET b = u.n FROM (SELECT DISTINCT k, n FROM u) AS u WHERE u.k = t.k AND b IS NULL",
    "UPDATE t SET b = u.n FROM u, LATERAL (SELECT n FROM v WHERE k = u.k LIMIT 1) w WHERE u.k = t.k AND b IS NULL",
    "UPDATE t SET b = (SELECT p.name FROM t AS p WHERE p.id = t.parent) WHERE b IS NULL",
    "UPDATE t SET b = 1 WHERE b IS NULL AND EXISTS (SELECT FROM t AS o WHERE o.k = t.k AND o.id <> t.id)",
    "UPDATE t SET b = p.name FROM t AS p WHERE p.id = t.parent AND t.b IS NULL",
    "UPDATE app.t SET b = 1 WHERE b IS NULL AND id IN (SELECT id FROM old.t WHERE b IS NULL)",
    "DELETE FROM app.t WHERE id IN (WITH t AS (SELECT id FROM u) SELECT id FROM t)",
]


def only(sql: str) -> ParsedStatement:
    parsed = parse(sql, file="fill.sql")
    assert not parsed.problems
    (statement,) = parsed.statements
    return statement


def _select(sources: Sequence[Node], condition: Node) -> Node:
    node = copy_of(only("SELECT WHERE true").node)
    node.select_stmt.from_clause.extend(sources)
    assign(node.select_stmt.where_clause, condition)
    return node


@pytest.mark.parametrize("sql, relation, middle, condition, others", WRITTEN)
def test_parts(sql: str, relation: str, middle: str | None, condition: str, others: str) -> None:
    parts = batch_sql(only(sql))
    assert (parts.relation, parts.condition, parts.others) == (relation, condition, others)
    assert middle is None or parts.middle == middle


@pytest.mark.parametrize("sql", [row[0] for row in WRITTEN])
def test_a_batch_is_the_statement_for_a_range(sql: str) -> None:
    """The change stands in it once, of the table that is meant alone, and its condition is what was written and the
    range."""
    statement = only(sql)
    sent = only(batch_sql(statement).batch("ONLY app.leaf", 10, 20))
    assert name_of(sent.node) == "select_stmt"
    (cte,) = sent.tree.with_clause.ctes
    change = getattr(cte.common_table_expr.ctequery, name_of(statement.node))
    assert (change.relation.schemaname, change.relation.relname, change.relation.inh) == ("app", "leaf", False)
    if name_of(statement.node) == "update_stmt":
        assert change.target_list[0].res_target.name == statement.tree.target_list[0].res_target.name
    assert "(10,0)" in {constant.sval.sval for constant in find(change.where_clause, "A_Const")}


@pytest.mark.parametrize("sql", [row[0] for row in WRITTEN])
def test_what_is_left_is_asked_in_one_query(sql: str) -> None:
    """Its condition is the statement's, and so are the tables after the first."""
    written, left = only(sql), only(batch_sql(only(sql)).left())
    asked = next(find(left.tree.target_list[0], "SelectStmt"))
    sources = written.tree.from_clause if written.name == "update_stmt" else written.tree.using_clause
    assert deparse(_select([asked.from_clause[0], *sources], written.tree.where_clause)) == deparse(
        _select(asked.from_clause, asked.where_clause)
    )


@pytest.mark.parametrize(
    "sql, reason",
    [
        ("TRUNCATE t", "TRUNCATE cannot be done in batches"),
        ("CREATE TABLE t (a int)", "CREATE TABLE cannot be done in batches"),
        ("UPDATE t SET a = 1", "without WHERE"),
        ("DELETE FROM t", "without WHERE"),
        ("UPDATE t SET a = 1 WHERE b RETURNING a", "RETURNING has no meaning"),
        ("WITH u AS (SELECT 1) UPDATE t SET a = 1 WHERE b", "WITH cannot stand"),
        ("DELETE FROM t WHERE CURRENT OF c", "WHERE CURRENT OF"),
        ("UPDATE shop.public.t SET a = 1 WHERE b", "cannot have the database before it"),
        ("UPDATE t SET a = 1 WHERE b IN (SELECT b FROM u FOR UPDATE)", "cannot lock rows of other queries"),
        *((sql, "beside the row that it changes") for sql in READING_ITSELF),
        *((sql, "each batch would do that anew") for sql in NUMBERING),
    ],
)
def test_what_cannot_be_done(sql: str, reason: str) -> None:
    refused = refusal(only(sql))
    assert refused is not None
    assert reason in refused[0]
    with pytest.raises(ValueError, match=reason[:10]):
        batch_sql(only(sql))


def test_what_can_is_not_refused() -> None:
    texts = [*(row[0] for row in WRITTEN), *READING_OTHERS]
    assert [sql for sql in texts if refusal(only(sql))] == []
