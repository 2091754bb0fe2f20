"""Cutting a file into statements: byte-exact, whatever stands between and inside them."""

from __future__ import annotations

import importlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrator.parsing import lexer
from migrator.parsing.statements import parse

STATEMENTS = (
    "SELECT 1",
    "select 'it''s; not the end'",
    r"SELECT 'a\', ';'",  # standard_conforming_strings: the backslash is no escape
    r"SELECT E'\';\\', e'\'' || 'x'",
    "SELECT U&'d\\0061t;', U&\"d;\\0061t\", B'01', X'1f', N'n;'",
    'ALTER TABLE "a;b" RENAME TO "c""d;"',
    "SELECT $$ a; ' \" b $$, $t$ $$ ; $x$ $t$",
    "DO $outer$ BEGIN EXECUTE $inner$ SELECT 1; SELECT 2; $inner$; END; $outer$",
    "CREATE FUNCTION a(int) RETURNS int LANGUAGE sql AS 'SELECT $1; SELECT 2'",
    "CREATE FUNCTION b(int) RETURNS int LANGUAGE pltcl AS $$ set a {;}; return $1 $$",
    "CREATE FUNCTION c(x int) RETURNS text BEGIN ATOMIC SELECT CASE WHEN x = 1 THEN 'a;' ELSE 'b' END; SELECT 'c'; END",
    "CREATE OR REPLACE PROCEDURE d() BEGIN ATOMIC INSERT INTO t VALUES (1); DELETE FROM t; END",
    "CREATE RULE r AS ON INSERT TO t DO ALSO (INSERT INTO u VALUES (1); DELETE FROM v)",
    "CREATE OR REPLACE RULE r AS ON DELETE TO t DO INSTEAD (SELECT 1; SELECT 2)",
    "SELECT 'größer; 日本語; 😀', \"spalte; ü\" FROM tabelle_ä",
    "SELECT 1 /* a; /* nested; */ b; */ + 2 -- not; the end\n + 3",
    "SELECT 'a'\n'b;'",
    "SELECT a -- it's\n FROM t",
    "SELECT a.b[1], (ARRAY[1, 2])[1], 1.5e3, 2::int, 5 % 3, a <-> b",
    "INSERT INTO t VALUES (1, 'x;y'), (2, NULL) ON CONFLICT DO NOTHING",
    "COMMENT ON TABLE t IS 'has -- no comment; in it'",
    'CREATE TABLE begin_end ("begin" int, "case" int, "end" int)',
    "GRANT SELECT ON t TO PUBLIC",
)
LAYOUT = st.text(" \t\n\r\f\v", max_size=3) | st.sampled_from(
    [
        "-- it's a comment; with a quote\n",
        "--\r\n",
        "/* ; */",
        "/* /* nested; */ ' \" $$ */",
        "\r\n\r\n",
        "-- größer; 日本語\n",
        "/* 😀 */",
    ]
)
GAPS = LAYOUT | st.just("\n;\n;;")  # empty statements are none
relaxed = settings(deadline=None)  # the first parse loads the parser


def oracle(sql: str) -> list[str]:
    """The texts that PostgreSQL's own parser finds."""
    tree = importlib.import_module("postgast").parse(sql)
    raw = sql.encode()
    ends = (one.stmt_location + one.stmt_len if one.stmt_len else None for one in tree.stmts)
    return [raw[one.stmt_location : end].decode() for one, end in zip(tree.stmts, ends, strict=True)]


@relaxed
@given(st.lists(st.tuples(GAPS, st.sampled_from(STATEMENTS), GAPS), max_size=8), GAPS, st.booleans())
def test_concatenated_statements_come_back(parts: list[tuple[str, str, str]], tail: str, last_semicolon: bool) -> None:
    pieces = [before + sql + after for before, sql, after in parts]
    text = ";".join(pieces) + (";" if parts and last_semicolon else "") + tail
    found = lexer.scan(text)
    assert [text[one.start : one.end] for one in found.segments] == [sql for _, sql, _ in parts]
    assert found.issues == ()
    place = 0
    for (_, sql, _), segment in zip(parts, found.segments, strict=True):
        place = text.index(sql, place)
        assert segment.start == place, "the first place behind the one before"
        place += len(sql)
        assert segment.semicolon is None or text[segment.semicolon] == ";"


@relaxed
@given(st.lists(st.tuples(GAPS, st.sampled_from(STATEMENTS)), min_size=1, max_size=6), st.sampled_from(["\n", "\r\n"]))
def test_positions_are_exact_in_bytes_lines_and_columns(parts: list[tuple[str, str]], newline: str) -> None:
    written = "".join(f"{gap}\n{sql};" for gap, sql in parts).replace("\r", "").replace("\n", newline)
    parsed = parse(written.encode(), file="x.sql")
    assert parsed.problems == ()
    assert (newline == "\r\n") == ("CRLF line ends" in parsed.cosmetic)
    assert [one.sql for one in parsed.statements] == [sql for _, sql in parts]
    raw = parsed.text.encode()
    for statement in parsed.statements:
        begin, end = len(parsed.text[: statement.start].encode()), len(parsed.text[: statement.end].encode())
        assert raw[begin:end] == statement.sql.encode()
        before = parsed.text[: statement.start]
        assert statement.line == before.count("\n") + 1
        assert statement.column == len(before) - (before.rfind("\n") + 1) + 1
    lines = written.split(newline)
    for statement in parsed.statements:  # an editor that keeps CRLF shows it at the same line and column
        first = statement.sql.split("\n")[0]
        assert lines[statement.line - 1][statement.column - 1 :].startswith(first)


@relaxed
@given(st.lists(st.tuples(GAPS, st.sampled_from(STATEMENTS)), min_size=1, max_size=6))
def test_postgresql_cuts_at_the_same_places(parts: list[tuple[str, str]]) -> None:
    text = ";".join(gap + sql for gap, sql in parts)
    ours = lexer.scan(text).segments
    theirs = oracle(text)
    assert len(ours) == len(theirs)
    for segment, whole in zip(ours, theirs, strict=True):
        assert text[segment.start : segment.end] in whole


@pytest.mark.parametrize("sql", STATEMENTS)
def test_each_of_them_is_one_valid_statement(sql: str) -> None:
    assert len(oracle(sql)) == 1
    parsed = parse(sql, file="x.sql")
    assert ([one.sql for one in parsed.statements], parsed.problems) == ([sql], ())


@relaxed
@given(st.text())
def test_any_text_is_covered_by_tokens_without_a_gap(text: str) -> None:
    found = list(lexer.tokens(text))
    assert "".join(token.text for token in found) == text
    assert [token.start for token in found] == [0, *(token.end for token in found[:-1])][: len(found)]


SOUP = st.text(alphabet=st.sampled_from(list("';\"$\\/*-eEuU&xb(),.0 \n\r\tabßé😀\x00")), max_size=60)


@relaxed
@given(
    SOUP | st.text(), st.sampled_from(["", "SELECT 1;\n", "COPY t FROM STDIN;\n", "CREATE FUNCTION f() BEGIN ATOMIC "])
)
def test_nothing_raises(text: str, before: str) -> None:
    parsed = parse(before + text, file="x.sql")
    for problem in parsed.problems:
        assert problem.file == "x.sql"
        assert (problem.line or 1) >= 1
    for statement in parsed.statements:
        assert parsed.text[statement.start : statement.end] == statement.sql


@relaxed
@given(st.binary(max_size=80))
def test_no_bytes_raise(raw: bytes) -> None:
    parsed = parse(raw, file="x.sql")
    text = raw.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    assert parsed.problems or parsed.text.replace("\r\n", "\n").encode() == text


@relaxed
@given(st.sampled_from(STATEMENTS), st.lists(LAYOUT, min_size=1, max_size=4))
def test_layout_and_comments_do_not_change_the_digest(sql: str, layout: list[str]) -> None:
    """Wherever white space stands between two tokens; but a quoted text may go on after a line end, so not there."""
    tokens = list(lexer.tokens(sql))
    parts: list[str] = []
    for before, token, after in zip([None, *tokens], tokens, [*tokens[1:], None], strict=False):
        beside_a_string = any(near is not None and near.kind == "string" for near in (before, after))
        widened = token.kind == "space" and not beside_a_string
        parts.append("\n" + "".join(layout) + "\n" if widened else token.text)
    (plain,), (changed,) = lexer.scan(sql).segments, lexer.scan("".join(parts)).segments
    assert changed.fingerprint == plain.fingerprint


@pytest.mark.parametrize(
    "one, other",
    [
        ("SELECT 'a'", "SELECT 'A'"),
        ('SELECT "a"', 'SELECT "A"'),
        ("SELECT a", "SELECT b"),
        ("SELECT 'a  b'", "SELECT 'a b'"),
        ("SELECT $$a$$", "SELECT $x$a$x$"),
        ("DO $$ BEGIN\n END $$", "DO $$ BEGIN END $$"),
        ("SELECT ab", "SELECT a b"),
        ("SELECT É", "SELECT é"),  # PostgreSQL folds ASCII only
    ],
)
def test_what_the_database_would_see_changes_the_digest(one: str, other: str) -> None:
    (first,), (second,) = lexer.scan(one).segments, lexer.scan(other).segments
    assert first.fingerprint != second.fingerprint


def test_case_of_words_does_not() -> None:
    (first,), (second,) = lexer.scan("SELECT Foo FROM Bar").segments, lexer.scan("select foo from bar").segments
    assert first.fingerprint == second.fingerprint
