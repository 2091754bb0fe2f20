"""A statement without its literals, and where its words stand."""

from __future__ import annotations

import pytest

from migrator.analysis.server_check.literals import without_literals


@pytest.mark.parametrize(
    "sql, sent",
    [
        ("INSERT INTO t (tags) VALUES ('{a}', $$b$$, E'\\'', 1)", "INSERT INTO t (tags) VALUES (NULL, NULL, NULL, 1)"),
        ("SELECT 'ä' AS x, nope", "SELECT NULL AS x, nope"),
        ("SELECT '{a}'::tag[], nope", "SELECT NULL::tag[], nope"),
        ("SELECT DATE '2020-01-01', nope", "SELECT CAST(NULL AS DATE ), nope"),
        ("SELECT public.pair '(1)', nope", "SELECT CAST(NULL AS public.pair ), nope"),
        ("EXPLAIN DELETE FROM t WHERE tags = '{a}' AND nope", "EXPLAIN DELETE FROM t WHERE tags = NULL AND nope"),
        ("/* 'x' */ CALL p('{a}', nope)", "/* 'x' */ CALL p(NULL, nope)"),
        ("COMMENT ON TABLE t IS 'nope'", "COMMENT ON TABLE t IS 'nope'"),
    ],
)
def test_a_literal_is_null(sql: str, sent: str) -> None:
    text = without_literals(sql)
    assert text is not None
    assert text.sql == sent
    if "nope" in sent:
        assert text.place(sent.index("nope")) == sql.index("nope")


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT 1; SELECT 2", ""])
def test_what_is_no_statement_is_not_taken_apart(sql: str) -> None:
    assert without_literals(sql) is None
