"""Findings point at the subcommand or column that they are about."""

from __future__ import annotations

import pytest

from migrator.analysis.inspection import inspect
from migrator.analysis.known import Sources
from migrator.parsing.statements import ParsedStatement, parse
from migrator.reports.building import analysis_of
from tests.effects.corpus import load
from tests.rule_examples import examples


def statement(sql: str) -> ParsedStatement:
    return parse(sql, file="x.sql").statements[0]


@pytest.mark.parametrize(
    "sql, parts",
    [
        ("ALTER TABLE t ADD a int, DROP b", ["ADD a int", "DROP b"]),
        ('ALTER TABLE IF EXISTS ONLY "a, b".t ADD CHECK (x IN (1, 2)), DROP b', ["ADD CHECK (x IN (1, 2))", "DROP b"]),
        ("ALTER TABLE t * ADD a int[] DEFAULT '{1,2}', -- 1, 2\n  DROP b", ["ADD a int[] DEFAULT '{1,2}'", "DROP b"]),
        ("ALTER MATERIALIZED VIEW v SET (fillfactor = 70), CLUSTER ON i", ["SET (fillfactor = 70)", "CLUSTER ON i"]),
        ("ALTER TYPE s.t ADD ATTRIBUTE a int, DROP ATTRIBUTE b", ["ADD ATTRIBUTE a int", "DROP ATTRIBUTE b"]),
        ("CREATE TABLE t (a int, CHECK (a > 0), LIKE u) WITH (fillfactor = 70)", ["a int", "CHECK (a > 0)", "LIKE u"]),
        ("CREATE TABLE t PARTITION OF p FOR VALUES IN (1, 2)", []),
        ("CREATE INDEX ON t (a, b)", []),
    ],
)  # fmt: skip
def test_parts(sql: str, parts: list[str]) -> None:
    found = statement(sql)
    assert [found.sql[start:end] for start, end in found.parts] == parts


def test_none_is_missed() -> None:
    """Of the rules' examples and the corpus: as many parts as the parse tree has, wherever it has several."""
    texts = [example.text for example in examples()] + [case.sql for case in load()]
    several = missed = 0
    for item in (item for text in texts for item in parse(text, file="x.sql").statements):
        if item.name in ("alter_table_stmt", "create_stmt"):
            count = len(item.tree.cmds if item.name == "alter_table_stmt" else item.tree.table_elts)
            several += count > 1
            missed += count > 1 and len(item.parts) != count
    assert several > 30
    assert missed == 0


def test_a_finding_is_at_its_subcommand() -> None:
    sql = "ALTER TABLE t ADD COLUMN a int,\n  ALTER COLUMN b SET NOT NULL;\n"
    sql += "CREATE TABLE u (id bigint PRIMARY KEY,\n  c char(3));\n"
    analysis = analysis_of("x.sql", inspect(Sources((parse(sql, file="x.sql"),))))
    places = {entry.rule: entry.place for item in analysis.statements for entry in item.findings}
    first, second = places["set-not-null"], places["ban-char"]
    assert first is not None
    assert (first.line, first.column, first.end_line, first.end_column) == (2, 3, 2, 30)
    assert second is not None
    assert (second.line, second.column, second.end_line, second.end_column) == (4, 3, 4, 12)
    assert analysis.statements[0].line == 1


def test_an_allowance_still_covers_the_whole_statement() -> None:
    sql = "-- migrator: allow set-not-null because it is empty until 2099-01-01\n"
    sql += "ALTER TABLE t ADD COLUMN a int,\n  ALTER b SET NOT NULL;\n"
    findings = [item for item in inspect(Sources((parse(sql, file="x.sql"),))).findings if item.rule == "set-not-null"]
    assert [item.allowed_because for item in findings] == ["it is empty"]
