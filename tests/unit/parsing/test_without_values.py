"""Other people's SQL, told without what may be a row's."""

from __future__ import annotations

import pytest

from migrator.parsing.without_values import without_values


@pytest.mark.parametrize(
    "sql, told",
    [
        ("SELECT * FROM t\n WHERE id = $1  AND n>$2", "SELECT * FROM t WHERE id = $1 AND n>$2"),
        ("UPDATE t SET a = 'can''ary', b = 4711 -- canary", "UPDATE t SET a = ?, b = ?"),
        (
            "/* canary */ COPY (SELECT E'can\\'ary', $x$canary$x$, 1e5, 0xFF) TO STDOUT",
            "COPY (SELECT ?, ?, ?, ?) TO STDOUT",
        ),
        ('SELECT "a b" FROM t1 WHERE c = \'can', 'SELECT "a b" FROM t1 WHERE c = ?'),
        ("", ""),
    ],
)
def test_constants_and_comments_are_left_out(sql: str, told: str) -> None:
    assert without_values(sql) == told
