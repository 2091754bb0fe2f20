"""SQL files as people write them: read right, or refused with the place and what to write instead."""

from __future__ import annotations

import codecs

import pytest

from migrator.parsing import sql_text
from migrator.parsing.statements import parse


def texts(sql: str | bytes) -> list[str]:
    parsed = parse(sql, file="x.sql")
    assert parsed.problems == ()
    return [one.sql for one in parsed.statements]


def problem(sql: str | bytes) -> tuple[int | None, int | None, str, str]:
    """The only problem: line, column, message, hint."""
    (found,) = parse(sql, file="x.sql").problems
    return found.line, found.column, found.message, found.hint or ""


@pytest.mark.parametrize(
    "sql", ["", " \n\t", ";", ";;\n;", "-- only a comment", "/* a; */ -- b;", "\ufeff", b"\xef\xbb\xbf"]
)
def test_nothing_to_execute(sql: str | bytes) -> None:
    assert texts(sql) == []


@pytest.mark.parametrize(
    "sql", ["SELECT 1", "SELECT 1;", "SELECT 1;;", ";;SELECT 1;;", "SELECT 1 -- the end", "SELECT 1;\n"]
)
def test_the_last_semicolon_is_optional(sql: str) -> None:
    assert texts(sql) == ["SELECT 1"]


COPY = "COPY t (a) FROM STDIN;\n1;\t'it''s\n\\N\t$$\n-- no comment\n\\.\nSELECT 2;"


def test_inline_copy_data() -> None:
    """Refused as a whole; what stands in the data is not taken for SQL, and the rest of the file is read."""
    parsed = parse(COPY, file="x.sql")
    assert [one.sql for one in parsed.statements] == ["COPY t (a) FROM STDIN", "SELECT 2"]
    assert parsed.statements[1].line == 6
    (found,) = parsed.problems
    assert (found.line, found.message) == (1, "COPY ... FROM STDIN with inline data is not supported in a migration")
    assert "use INSERT ... VALUES" in (found.hint or "")


def test_copy_to_stdout_and_from_a_file() -> None:
    assert problem("COPY t TO STDOUT")[2] == "COPY ... TO STDOUT has nobody to read it in a migration"
    assert texts("COPY t FROM '/data/t.csv' (FORMAT csv); SELECT ';'") == [
        "COPY t FROM '/data/t.csv' (FORMAT csv)",
        "SELECT ';'",
    ]


META = {
    "\\set x 1": ("\\set", "write the value itself"),
    "\\i ../../etc/passwd": ("\\i", "put the statements of that file here"),
    "\\include other.sql": ("\\include", "put the statements of that file here"),
    "\\if :x": ("\\if", "DO $$ BEGIN IF"),
    "\\copy t FROM 'f'": ("\\copy", "use INSERT ... VALUES"),
    "\\connect other": ("\\connect", "the target decides"),
    "\\c other": ("\\c", "the target decides"),
    "\\timing on": ("\\timing", "psql never reads it"),
    "\\echo 'a; b'": ("\\echo", "psql never reads it"),
    "\\! rm -rf /": ("\\!", "psql never reads it"),
    "\\.": ("\\.", "no COPY ... FROM STDIN stands before it"),
}


@pytest.mark.parametrize("command", META)
def test_psql_commands(command: str) -> None:
    name, advice = META[command]
    parsed = parse(f"SELECT 1;\n  {command}\nSELECT 2;", file="x.sql")
    assert [one.sql for one in parsed.statements] == ["SELECT 1", "SELECT 2"]
    (found,) = parsed.problems
    assert (found.line, found.column, found.message) == (2, 3, f"{name} is a psql command, not SQL")
    assert advice in (found.hint or "")


@pytest.mark.parametrize("end", ["\\gexec", "\\gset", "\\g", "\\gx", "\\watch 1"])
def test_psql_commands_that_end_a_statement(end: str) -> None:
    parsed = parse(f"SELECT 1 {end}\nSELECT 2", file="x.sql")
    assert [one.sql for one in parsed.statements] == ["SELECT 1", "SELECT 2"]
    (found,) = parsed.problems
    assert (found.line, found.column) == (1, 10)


def test_byte_order_mark_and_line_ends_are_cosmetic() -> None:
    plain = parse("SELECT 1;\nSELECT 2;\n", file="x.sql")
    dressed = parse(codecs.BOM_UTF8 + b"SELECT 1;\r\nSELECT 2;\r\n", file="x.sql")
    assert dressed.cosmetic == ("byte order mark", "CRLF line ends")
    assert dressed.problems == ()
    assert [one.digest for one in dressed.statements] == [one.digest for one in plain.statements]
    assert [(one.line, one.column) for one in dressed.statements] == [(1, 1), (2, 1)]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wide_encodings_are_refused(encoding: str) -> None:
    for sql in ("SELECT 'ä' FROM t;", "SELECT 1;"):
        line, _, message, hint = problem(sql.encode(encoding))
        assert line == 1
        assert "UTF-16" in message or message == "the file contains a NUL byte"
        assert "iconv -f UTF-16" in hint


def test_latin_1_is_refused_at_its_first_byte() -> None:
    line, column, message, hint = problem("SELECT 1;\nSELECT 'Größe';".encode("latin-1"))
    assert (line, column) == (2, 11)
    assert message == "byte 0xf6 is not valid UTF-8"
    assert "iconv -f LATIN1 -t UTF-8" in hint


def test_nul_and_half_surrogates() -> None:
    assert problem(b"SELECT 1;\nSELECT 'a\0'")[:3] == (2, 10, "the file contains a NUL byte")
    assert problem("SELECT '\ud800'")[:3] == (1, 9, "the text contains half a surrogate pair")


def test_a_file_that_nobody_can_review(monkeypatch: pytest.MonkeyPatch) -> None:
    line, column, message, hint = problem(b"-" * (sql_text.MAX_BYTES + 1))
    assert (line, column) == (None, None)
    assert message == "the file has more than 16 MB"
    assert "split it into several migrations" in hint


@pytest.mark.parametrize(
    "sql, place, what",
    [
        ("SELECT 1;\nSELECT 'open;\nSELECT 2;", (2, 8), "quoted string '"),
        ('SELECT 1;\n  SELECT "open', (2, 10), 'quoted identifier "'),
        ("SELECT 1; /* /* */ SELECT 2;", (1, 11), "comment /*"),
        ("DO $body$ BEGIN END $other$;", (1, 4), "dollar quote $body$"),
        ("SELECT E'a\\';", (1, 8), "quoted string '"),
    ],
)
def test_what_is_never_closed(sql: str, place: tuple[int, int], what: str) -> None:
    line, column, message, hint = problem(sql)
    assert ((line, column), message) == (place, f"the {what} that opens here is never closed")
    assert "was not analysed" in hint


def test_an_error_hides_nothing_behind_it() -> None:
    parsed = parse("SELECT 1;\nSELEC 2;\nSELECT 3;\n  CREATE TABEL t ();\nSELECT 5;", file="x.sql")
    assert [one.sql for one in parsed.statements] == ["SELECT 1", "SELECT 3", "SELECT 5"]
    assert [(one.line, one.column) for one in parsed.problems] == [(2, 1), (4, 10)]
    assert len(parsed.unparsed) == 2


def test_the_place_of_a_syntax_error_counts_characters() -> None:
    line, column, message, _ = problem("SELECT '日本語' 😀 FROM FROM t")
    assert (line, column) == (1, 21)
    assert message == 'syntax error at or near "FROM"'


def test_deep_nesting_is_refused_and_does_not_crash() -> None:
    line, _, message, _ = problem("SELECT " + "(" * 5000 + "1" + ")" * 5000)
    assert line == 1
    assert "nests" in message
    assert texts("SELECT " + " OR ".join(f"a = {n}" for n in range(5000)))
    assert texts("INSERT INTO t VALUES " + ", ".join(f"({n}, 'x')" for n in range(5000)))


TRANSACTIONAL = {
    "CREATE INDEX i ON t (a)": True,
    "create index concurrently i on t (a)": False,
    "CREATE INDEX /* ; */ CONCURRENTLY i ON t (a)": False,
    "DO $$ BEGIN UPDATE t SET a = 1; COMMIT; END $$": False,
    "DO $$ BEGIN ROLLBACK; END $$": False,
    "DO $$ BEGIN RAISE NOTICE 'commit'; END $$": True,
    "DO $$ BEGIN /* COMMIT; */ END $$": True,
    "DO LANGUAGE plpgsql $$ BEGIN FOR i IN 1..9 LOOP COMMIT; END LOOP; END $$": False,
    "CALL p()": True,
}


@pytest.mark.parametrize("sql", TRANSACTIONAL)
def test_transactional_or_not(sql: str) -> None:
    (statement,) = parse(sql, file="x.sql").statements
    assert statement.transactional == TRANSACTIONAL[sql]


def test_line_ends_within_literals_stay() -> None:
    crlf = b"-- a\r\nSELECT 'x\r\ny',\r\n $$b\r\n$$, \"n\r\nm\", E'\\r\\n';\r\n"
    found = parse(crlf, file="x.sql")
    assert found.text == "-- a\nSELECT 'x\r\ny',\n $$b\r\n$$, \"n\r\nm\", E'\\r\\n';\n"
    assert found.statements[0].line == 2
    other = parse(crlf.replace(b"\r\n", b"\n"), file="x.sql")
    assert other.statements[0].digest == found.statements[0].digest, "one for every checkout"
    assert other.statements[0].sql != found.statements[0].sql


def test_a_placeholder_of_another_tool_is_called_that() -> None:
    (problem,) = parse("GRANT SELECT ON ${schema}.t TO app;", file="x.sql").problems
    assert problem.hint is not None
    assert problem.hint.startswith("${schema} is a placeholder that Flyway")
