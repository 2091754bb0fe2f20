"""What a batch sends of an UPDATE or DELETE, and what cannot be done in batches."""

from __future__ import annotations

import pytest

from migrator.parsing.nodes import find, name_of
from migrator.parsing.statements import ParsedStatement, parse
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
]


def only(sql: str) -> ParsedStatement:
    parsed = parse(sql, file="fill.sql")
    assert not parsed.problems
    (statement,) = parsed.statements
    return statement


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
    sent = only(batch_sql(statement).batch("app.leaf", 10, 20))
    assert name_of(sent.node) == "select_stmt"
    (cte,) = sent.tree.with_clause.ctes
    change = getattr(cte.common_table_expr.ctequery, name_of(statement.node))
    assert (change.relation.schemaname, change.relation.relname, change.relation.inh) == ("app", "leaf", False)
    if name_of(statement.node) == "update_stmt":
        assert change.target_list[0].res_target.name == statement.tree.target_list[0].res_target.name
    assert "(10,0)" in {constant.sval.sval for constant in find(change.where_clause, "A_Const")}


@pytest.mark.parametrize("sql", [row[0] for row in WRITTEN])
def test_what_is_left_is_asked_in_one_query(sql: str) -> None:
    left = only(batch_sql(only(sql)).left())
    assert name_of(left.node) == "select_stmt"


@pytest.mark.parametrize(
    "sql, reason",
    [
        ("INSERT INTO t SELECT 1", "INSERT cannot be done in batches"),
        ("CREATE TABLE t (a int)", "CREATE TABLE cannot be done in batches"),
        ("UPDATE t SET a = 1", "without WHERE"),
        ("DELETE FROM t", "without WHERE"),
        ("UPDATE t SET a = 1 WHERE b RETURNING a", "RETURNING has no meaning"),
        ("WITH u AS (SELECT 1) UPDATE t SET a = 1 WHERE b", "WITH cannot stand"),
        ("DELETE FROM t WHERE CURRENT OF c", "WHERE CURRENT OF"),
    ],
)
def test_what_cannot_be_done(sql: str, reason: str) -> None:
    refused = refusal(only(sql))
    assert refused is not None
    assert reason in refused[0]
    with pytest.raises(ValueError, match=reason[:10]):
        batch_sql(only(sql))


def test_what_can_is_not_refused() -> None:
    assert [refusal(only(row[0])) for row in WRITTEN] == [None] * len(WRITTEN)
