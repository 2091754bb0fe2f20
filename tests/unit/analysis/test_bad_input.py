"""Whatever a file holds, there is an answer: never a traceback, never minutes, never gigabytes."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrator.analysis.effects import Assumed
from migrator.analysis.inspection import inspect
from migrator.analysis.known import Known, Sources
from migrator.analysis.rules import BY_ID
from migrator.analysis.rules.model import Hit
from migrator.parsing import lexer
from migrator.parsing.sql_text import read_sql
from migrator.parsing.statements import parse
from migrator.plan import Severity
from migrator.reports.building import analysis_of
from migrator.reports.document import Analysis
from migrator.reports.forms import FORMS
from migrator.reports.text import Look
from tests.effects.corpus import load

EXAMPLES = Path(__file__).parents[2] / "rules"
DEEP = 20_000
FRAGMENTS = (
    "create ", "or ", "replace ", "function ", "rule ", "copy ", "from ", "stdin", ";", "\n", "'", "''", "e'", "\\",
    "\\.", "\n\\.\n", "$$", "$a$", "$1", "a$b", "x1$", "--c\n", "/*", "*/", '"', "(", ")", "begin ", "end ", "case ",
    "select ", "1", "é", " ", "-", "/", "U&'", "\u00a0", "begin atomic ", "\\gexec\n", "do ", "alter table t ",
    "add column a int ", "default now()", "drop ", "table ", "truncate ", ",", "::", "text", "create index on t (a)",
    "update t set a = 1", "language plpgsql ", "-- migrator: allow truncate because x until 2030-01-01\n", "execute ",
)  # fmt: skip


def analysed(content: bytes | str) -> Analysis:
    parsed = parse(content, file="x.sql")
    analysis = analysis_of("x.sql", inspect(Sources((parsed,))))
    for form in FORMS:
        assert isinstance("".join(form.joined(form.pieces(analysis, Look()))), str)
    return analysis


def errors(analysis: Analysis) -> list[tuple[int, int, str]]:
    return [
        (entry.place.line, entry.place.column, entry.message)
        for entry in analysis.all_findings
        if entry.rule == "not-analysable" and entry.place
    ]


@pytest.mark.parametrize(
    "opening, inside, closing",
    [
        ("(", "1", ")"),
        ("1 + ", "1", ""),
        ("CASE WHEN true THEN ", "1", " END"),
        ("NOT ", "true", ""),
        ("ARRAY[", "1", "]"),
        ("(SELECT ", "1", ")"),
        ("f(", "1", ")"),
        ("1 UNION SELECT ", "1", ""),
        ("'a' || ", "'b'", ""),
    ],
)
def test_deep_nesting_is_refused_and_the_rest_analysed(opening: str, inside: str, closing: str) -> None:
    found = analysed(f"SELECT {opening * DEEP}{inside}{closing * DEEP};\nTRUNCATE a;")
    ((line, _, message),) = errors(found)
    assert line == 1
    assert "cannot be analysed" in message or "memory exhausted" in message
    assert [statement.kind for statement in found.statements] == ["TRUNCATE"]


@pytest.mark.parametrize("word", ["BEGIN {} END;", "IF true THEN {} END IF;", "LOOP {} END LOOP;"])
def test_deep_blocks(word: str) -> None:
    before, after = word.split("{}")
    found = analysed(f"DO $$ BEGIN {before * DEEP} NULL; {after * DEEP} END $$;\nTRUNCATE a;")
    assert found.statements[-1].kind == "TRUNCATE"
    assert found.summary.coverage.gaps


def test_a_long_list_is_not_deep() -> None:
    assert errors(analysed("SELECT 1 WHERE a = 1" + " AND a = 1" * DEEP + ";")) == []
    assert errors(analysed("INSERT INTO t VALUES (1)" + ", (-1 + 2)" * DEEP + ";")) == []


@pytest.mark.parametrize(
    "content, place, part",
    [
        (b"SELECT 1;\nSELECT\x002;", (2, 7), "NUL byte"),
        ("SELECT 1;\nSELECT 'größe';".encode("latin-1"), (2, 11), "0xf6 is not valid UTF-8"),
        ("SELECT 1;".encode("utf-16"), (1, 1), "UTF-16"),
        ("SELECT 1;".encode("utf-16-le"), (1, 2), "NUL byte"),
        ("SELECT 1;".encode("utf-32"), (1, 1), "UTF-16 or UTF-32"),
        (b"SELECT 1;\nDO $x$ BEGIN END $y$;", (2, 4), "dollar quote $x$"),
        (b"SELECT 1; /* SELECT 2;", (1, 11), "comment /*"),
        (b"SELECT 'a;\nSELECT 2;", (1, 8), "quoted string '"),
        (b'SELECT "a;\nSELECT 2;', (1, 8), 'quoted identifier "'),
        (b"\\set x 1\n", (1, 1), "\\set is a psql command"),
        (b"SELECT 1 \\gexec\n", (1, 10), "\\gexec is a psql command"),
        (b"\\copy t from 'x.csv'\n", (1, 1), "\\copy is a psql command"),
        (b"SELECT :'name';", (1, 8), 'syntax error at or near ":"'),
        (b"COPY t FROM STDIN;\n1\tTRUNCATE\n\\.\n", (1, 1), "with inline data"),
        (b"CREATE TABLE a (id int;", (1, 23), "syntax error at end of input"),
        (b"UPDATE t SET a = 1 LIMIT 5;", (1, 20), 'at or near "LIMIT"'),
    ],
)
def test_each_has_its_place(content: bytes, place: tuple[int, int], part: str) -> None:
    found = errors(analysed(content))
    assert found[0][:2] == place
    assert part in found[0][2]
    assert all(entry.help for entry in analysed(content).findings)


def test_the_rest_of_a_broken_file_is_analysed() -> None:
    found = analysed("TRUNCATE a;\nCREATE TABL b;\n\\i c.sql\nTRUNCATE d;\nALTER x;\nTRUNCATE 'e")
    assert [statement.line for statement in found.statements] == [1, 4]
    assert [(line, column) for line, column, _ in errors(found)] == [(2, 8), (3, 1), (5, 7), (6, 10)]
    assert len(found.summary.coverage.gaps) == 4


@pytest.mark.parametrize(
    "content", [b"SELECT '\xe9'; DROP TABLE a;", "DROP TABLE a;".encode("utf-16"), b"DROP TABL a;"]
)
def test_what_cannot_be_read_is_not_called_harmless(content: bytes) -> None:
    parsed = parse(content, file="x.sql")
    analysis = analysis_of("x.sql", inspect(Sources((parsed,)), Known(assumed=Assumed(server_version_num=150000))))
    assert analysis.summary.risk != "low"
    assert analysis.summary.reasons == ("1 part could not be read: what it does is not known",)
    assert analysis.summary.server_version == 15
    for name in ("text", "markdown"):
        form = next(form for form in FORMS if form.name == name)
        head = "".join(form.joined(form.pieces(analysis, Look())))
        assert "downtime unknown" in head
        assert "no downtime" not in head


def test_what_was_followed_only_in_part_is_not_called_free_of_downtime() -> None:
    analysis = analysed("DO $$ BEGIN EXECUTE (SELECT string_agg(x, '') FROM y); END $$")
    assert analysis.summary.coverage.gaps
    form = next(form for form in FORMS if form.name == "text")
    assert "downtime unknown" in "".join(form.joined(form.pieces(analysis, Look())))


@pytest.mark.skipif(sys.platform != "linux", reason="a file that can be opened and not be read")
def test_a_read_that_fails_says_of_what() -> None:
    with pytest.raises(OSError, match="/proc/self/mem"):
        read_sql(Path("/proc/self/mem"))


def test_so_many_statements_are_data() -> None:
    parsed = parse("SELECT 1;\n" * (lexer.MAX_STATEMENTS + 5), file="x.sql")
    assert len(parsed.statements) == lexer.MAX_STATEMENTS
    (problem,) = parsed.problems
    assert "more than 20,000 statements" in problem.message
    other = parse("SELECT 1;\n" * (lexer.MAX_STATEMENTS + 4) + "SELECT 2;\n", file="x.sql")
    assert parsed.unparsed != other.unparsed


SIZES = {
    "rows": b"INSERT INTO t VALUES (1)" + b",('0123456789012345678901234567890')\n" * 20_000 + b";",
    "string": b"SELECT '" + b"x" * 15_000_000 + b"'; TRUNCATE a;",
    "statements": b"INSERT INTO t VALUES (1);\n" * 600_000,
    "too large": b"SELECT 1;\n" * 5_000_000,
    "comments": b"-- x\n" * 1_000_000 + b"TRUNCATE a;",
}


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak")
@pytest.mark.parametrize("name", SIZES)
def test_memory_is_bounded(name: str, tmp_path: Path) -> None:
    """In a process of its own: the command prints its answer, and its largest resident size stays below 300 MB."""
    file = tmp_path / "x.sql"
    file.write_bytes(SIZES[name])
    code = (
        "import sys; from migrator.cli import main; code = main(sys.argv[1:]);"
        "print(open('/proc/self/status').read(), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "analyze", str(file), "--format", "json"],
        capture_output=True,
        check=False,
        timeout=170,
    )
    assert done.returncode in (0, 1), done.stderr
    assert json.loads(done.stdout)["name"] == str(file)
    peak = re.search(rb"VmHWM:\s+(\d+) kB", done.stderr)
    assert peak is not None
    assert int(peak[1]) < 300 * 1024


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join)))
def test_nothing_raises(content: bytes | str) -> None:
    analysed(content)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join))
def test_skimming_finds_what_reading_every_token_finds(text: str) -> None:
    assert lexer.scan(text) == lexer.scan(text, skimming=False)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE t OF ty (a WITH OPTIONS DEFAULT 1);",
        "CREATE TABLE c PARTITION OF p (a NOT NULL, CONSTRAINT x CHECK (a > 0)) FOR VALUES IN (1);",
        "CREATE DOMAIN d AS int; DROP DOMAIN d; DROP VIEW v;",
        "CREATE VIEW v AS SELECT 1; CREATE FUNCTION d() RETURNS int LANGUAGE sql AS 'SELECT 1'; DROP VIEW other;",
    ],
)
def test_statements_without_what_most_have(sql: str) -> None:
    assert errors(analysed(sql)) == []


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_part_of_the_analyser_fails(seed: int) -> None:
    """All statements of the effects' corpus and of the rules' examples in one file, in an order that makes no sense."""
    texts = [case.sql for case in load()] + [path.read_text() for path in sorted(EXAMPLES.rglob("*.sql"))]
    statements = [item.sql for text in texts for item in parse(text, file="").statements]
    random.Random(seed).shuffle(statements)
    found = analysed(";\n".join(statements))
    assert [entry.message for entry in found.all_findings if entry.rule == "rule-failed"] == []
    assert [gap for gap in found.summary.coverage.gaps if "analyser failed" in gap.why] == []


def test_a_failing_rule_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(subject: object) -> Iterator[Hit]:
        yield from {}["nothing"]

    broken = replace(BY_ID["truncate"], statement=fails)
    monkeypatch.setattr("migrator.analysis.inspection.checks_on", lambda name, subtypes, rollback: ((broken, fails),))
    (entry,) = [entry for entry in analysed("TRUNCATE a;").all_findings if entry.rule == "rule-failed"]
    assert "rule truncate failed here: KeyError" in entry.message
    assert entry.severity is Severity.WARNING


def test_a_table_that_is_to_be_its_own_partition() -> None:
    """Circular inheritance: the server refuses it, and the analyser does not walk in circles."""
    found = analysed(
        "CREATE TABLE a (x int) PARTITION BY LIST (x); CREATE TABLE b PARTITION OF a FOR VALUES IN (1) PARTITION BY"
        " LIST (x); ALTER TABLE a ATTACH PARTITION a FOR VALUES IN (1); ALTER TABLE b ATTACH PARTITION a FOR VALUES IN"
        " (1); ALTER TABLE c ATTACH PARTITION d FOR VALUES IN (1); ALTER TABLE d ATTACH PARTITION c FOR VALUES IN (1);"
        " CREATE TABLE e () INHERITS (e); ALTER TABLE a INHERIT b; ALTER TABLE b DETACH PARTITION a; DROP TABLE a;"
    )
    assert len(found.statements) == 10


def test_triggers_that_fire_triggers_come_to_an_end() -> None:
    """Eight tables whose triggers write to all of the others: 8! ways through."""
    tables = [f"t{number}" for number in range(8)]
    sql = ""
    for table in tables:
        body = " ".join(f"INSERT INTO {other} VALUES (1);" for other in tables if other != table)
        sql += f"CREATE FUNCTION f_{table}() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {body} RETURN NEW; END$$;\n"
        sql += f"CREATE TRIGGER g BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION f_{table}();\n"
    found = analysed(sql + "INSERT INTO t0 VALUES (1);")
    assert any("more statements run inside of it than are followed" in gap.why for gap in found.summary.coverage.gaps)


def test_statement_with_too_many_values_is_refused_and_the_rest_is_read() -> None:
    rows = ",".join(["(1)"] * 250_002)
    parsed = parse(f"INSERT INTO t VALUES {rows};\nALTER TABLE t ADD c int;\n", file="x.sql")
    (problem,) = parsed.problems
    assert "more than 250,000 values" in problem.message
    assert [item.kind for item in parsed.statements] == ["ALTER TABLE"]
