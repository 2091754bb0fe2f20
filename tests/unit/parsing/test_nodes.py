"""Which of the names in a statement mean relations."""

from __future__ import annotations

import pytest

from migrator.parsing.nodes import relations
from migrator.parsing.statements import parse


@pytest.mark.parametrize(
    "sql, names",
    [
        ("SELECT FROM a AS a JOIN b ON true", ["a", "b"]),
        ("WITH a AS (SELECT FROM a) SELECT FROM a", ["a"]),
        ("WITH a AS (SELECT FROM b) SELECT FROM a, s.a", ["s.a", "b"]),
        ("WITH RECURSIVE a AS (SELECT FROM a) SELECT FROM a", []),
        ("WITH a AS (SELECT), b AS (SELECT FROM a, b) SELECT FROM b", ["b"]),
        ("WITH b AS (SELECT FROM a), a AS (SELECT) SELECT FROM a, b", ["a"]),
        ("WITH a AS (SELECT) SELECT FROM b WHERE EXISTS (SELECT FROM a UNION SELECT FROM a)", ["b"]),
        ("SELECT FROM (WITH a AS (SELECT) SELECT FROM a) AS x, a", ["a"]),
        ("WITH a AS (SELECT) INSERT INTO a SELECT FROM a", ["a"]),
        ("WITH a AS (SELECT) UPDATE a SET x = 1 FROM a AS b", ["a"]),
        ("WITH a AS (SELECT), d AS (DELETE FROM a USING a AS b) SELECT FROM d", ["a"]),
        ("WITH a AS (SELECT) MERGE INTO a USING a AS b ON true WHEN MATCHED THEN DELETE", ["a"]),
        ("SELECT FROM a AS b FOR UPDATE OF b", ["a"]),
        ("SELECT FROM b WHERE EXISTS (SELECT FROM a AS b FOR UPDATE OF b) FOR SHARE OF b", ["b", "a"]),
    ],
)
def test_relations_by_scope(sql: str, names: list[str]) -> None:
    (statement,) = parse(sql, file="x.sql").statements
    found = relations(statement.node)
    assert [f"{one.schemaname}.{one.relname}".removeprefix(".") for one in found] == names
