"""What is read out of DO blocks and function bodies: every SQL statement, where it stands, and what cannot be known."""

from __future__ import annotations

import re

import pytest

from migrator.analysis.inspection import inspect
from migrator.analysis.known import Sources
from migrator.parsing.routines import Contents, body_of, contents_of
from migrator.parsing.statements import ParsedFile, parse

BLOCK = """SELECT 1;
DO $é$
DECLARE
  n integer := 0;
  c CURSOR FOR SELECT * FROM in_cursor;
BEGIN
  LOOP
    UPDATE in_loop SET x = 1 WHERE x IS NULL;
    EXIT WHEN NOT FOUND;
    PERFORM pg_notify('a', 'update nothing');
    n := (SELECT count(*) FROM in_assignment);
  END LOOP;
  IF EXISTS (SELECT FROM in_condition) THEN
    ALTER TABLE in_branch ADD COLUMN y int;  -- UPDATE in_comment
    EXECUTE format('DROP TABLE %I', n);
    EXECUTE 'TRUNCATE ' || 'in_constant';
  END IF;
  FOR n IN
    SELECT id FROM in_query LOOP
    DELETE FROM in_query_loop WHERE id = n;
  END LOOP;
  SELECT 1 INTO n FROM in_into;
  COMMIT;
EXCEPTION WHEN OTHERS THEN
  INSERT INTO in_handler VALUES (1);
END $é$;
"""


def read(sql: str, index: int = 0) -> tuple[ParsedFile, Contents]:
    parsed = parse(sql, file="x.sql")
    body = body_of(parsed.statements[index])
    assert body is not None
    return parsed, contents_of(body)


def test_every_statement_of_a_block_with_its_place() -> None:
    parsed, contents = read(BLOCK, 1)
    found = {}
    for piece in contents.pieces:
        name = re.search(r"in_\w+", piece.sql)
        if name:
            found[name.group()] = (parsed.lines.place(piece.offset), piece.conditional, piece.looped)
    assert found == {
        "in_cursor": ((5, 16), False, False),
        "in_loop": ((8, 5), False, True),
        "in_assignment": ((11, 5), False, True),
        "in_condition": ((13, 3), False, False),
        "in_branch": ((14, 5), True, False),
        "in_constant": ((16, 5), True, False),
        "in_query": ((19, 5), False, False),
        "in_query_loop": ((20, 5), False, True),
        "in_into": ((22, 3), False, False),
        "in_handler": ((25, 3), True, False),
    }
    assert "COMMIT" in [piece.sql for piece in contents.pieces]
    assert [(gap.what, parsed.lines.place(gap.offset)) for gap in contents.gaps] == [("EXECUTE", (15, 5))]
    assert contents.faults == ()


@pytest.mark.parametrize(
    "sql, expected",
    [
        (
            "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'UPDATE a SET b = ''1''; TRUNCATE c'",
            ["UPDATE a", "TRUNCAT"],
        ),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC DELETE FROM a; SELECT 1; END",
            ["DELETE F", "SELECT 1"],
        ),
        ("CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql RETURN (SELECT max(x) FROM b)", ["SELECT ("]),
        ("DO LANGUAGE plpgsql 'BEGIN TRUNCATE a; END'", ["TRUNCATE"]),
        (
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF TG_OP = 'UPDATE' THEN NEW.a := 1;"
            " END IF; INSERT INTO log VALUES (NEW.id, TG_TABLE_NAME); RETURN NEW; END$$",
            ["INSERT I"],
        ),
        (
            "CREATE FUNCTION f(a app.thing, OUT r app.other.id%TYPE) LANGUAGE plpgsql AS $$DECLARE x app.t%ROWTYPE;"
            " BEGIN DELETE FROM app.thing; END$$",
            ["DELETE F"],
        ),
        ("CREATE PROCEDURE f() LANGUAGE plpgsql AS $$BEGIN UPDATE a SET b = 1; COMMIT; END$$", ["UPDATE a", "COMMIT"]),
    ],
)
def test_bodies_in_all_forms(sql: str, expected: list[str]) -> None:
    _, contents = read(sql)
    assert [piece.sql[: len(text)] for piece, text in zip(contents.pieces, expected, strict=True)] == expected
    assert (contents.gaps, contents.faults) == ((), ())


def test_a_body_in_another_language_is_a_gap() -> None:
    _, contents = read("CREATE FUNCTION f() RETURNS int LANGUAGE plpython3u AS 'return 1'")
    assert "plpython3u" in contents.gaps[0].why


def test_a_function_in_a_library_has_no_body() -> None:
    sql = "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'lib', 'symbol'"
    assert body_of(parse(sql, file="x.sql").statements[0]) is None


def test_update_with_limit_is_answered_with_what_postgresql_takes() -> None:
    sql = "DO $$\nBEGIN\n  LOOP\n    UPDATE t SET done = false WHERE done IS NULL\n    LIMIT 10;\n  END LOOP;\nEND $$"
    parsed, contents = read(sql)
    fault = contents.faults[0]
    assert parsed.lines.place(fault.offset) == (5, 5)
    assert fault.message == 'syntax error at or near "LIMIT"'
    assert fault.alternative == (
        "UPDATE t SET done = false WHERE ctid IN (SELECT ctid FROM t WHERE done IS NULL LIMIT 10)"
    )


def test_a_body_that_is_no_plpgsql_is_never_taken_for_read() -> None:
    _, contents = read("DO $$ BEGIN nonsense here; UPDATE t SET a = 1; END $$")
    assert contents.gaps or contents.faults


@pytest.mark.parametrize(
    "sql, expected",
    [
        (
            "SELECT 1;\nDELETE FROM a WHERE x > 1 ORDER BY x LIMIT 5;",
            "DELETE FROM a WHERE ctid IN (SELECT ctid FROM a WHERE x > 1 ORDER BY x LIMIT 5)",
        ),
        ("UPDATE a SET x = 1 LIMIT 5;", "UPDATE a SET x = 1 WHERE ctid IN (SELECT ctid FROM a LIMIT 5)"),
        ("CREATE TABLE limit (a int);", None),
    ],
)
def test_limit_outside_of_a_block(sql: str, expected: str | None) -> None:
    finding = inspect(Sources((parse(sql, file="x.sql"),))).findings[0]
    assert (finding.rule, finding.alternative_sql) == ("not-analysable", expected)


@pytest.mark.parametrize(
    "declared, expression, text",
    [
        (
            "",
            "format('ALTER TABLE %I.%I ADD x text DEFAULT %L', 'app', 'Odd', 'it''s')",
            """ALTER TABLE "app"."Odd" ADD x text DEFAULT 'it''s'""",
        ),
        ("", "format('TRUNCATE %2$s, %1$I -- 100%%', 'a', 'b')", 'TRUNCATE b, "a" -- 100%'),
        ("t CONSTANT text := 'notes';", "'DROP TABLE ' || quote_ident(t)", 'DROP TABLE "notes"'),
        ("t text := 'no' || 'tes'; u text = t;", "'DROP TABLE ' || u::text", "DROP TABLE notes"),
        ("", "'SELECT ' || quote_literal('a\\b')", "SELECT  E'a\\\\b'"),
    ],
)
def test_constant_execute_is_computed(declared: str, expression: str, text: str) -> None:
    _, contents = read(f"DO $$ DECLARE {declared} n int; BEGIN EXECUTE {expression}; END $$;")
    assert [piece.sql for piece in contents.pieces if not piece.value][-1:] == [text]
    assert contents.gaps == ()


@pytest.mark.parametrize(
    "declared, before, expression",
    [
        ("t text := 'a';", "t := 'b';", "'DROP TABLE ' || t"),
        ("t text := 'a';", "SELECT 'b' INTO t;", "'DROP TABLE ' || t"),
        ("t text := 'a';", "CALL p(t);", "'DROP TABLE ' || t"),
        ("t text := 'a';", "EXECUTE 'SELECT 1' INTO t;", "'DROP TABLE ' || t"),
        ("t text := 'a';", "GET DIAGNOSTICS t = ROW_COUNT;", "'DROP TABLE ' || t"),
        ("t text := 'a';", "FOREACH t IN ARRAY ARRAY['b'] LOOP NULL; END LOOP;", "'DROP TABLE ' || t"),
        ("t text := 'a';", "DECLARE t text := 'b'; BEGIN NULL; END;", "'DROP TABLE ' || t"),
        ("t varchar(1) := 'abc';", "", "'DROP TABLE ' || t"),
        ("t text;", "", "'DROP TABLE ' || t"),
        ("", "", "format('DROP TABLE %-10s', 'a')"),
        ("", "", "format('DROP TABLE %I', current_user)"),
        ("", "", "format('DROP TABLE %I', NULL)"),
        ("", "", "'DROP TABLE ' || (SELECT 'a')"),
        ("", "", "mine.format('DROP TABLE %I', 'a')"),
    ],
)
def test_what_is_not_certain_stays_a_gap(declared: str, before: str, expression: str) -> None:
    _, contents = read(f"DO $$ DECLARE {declared} n int; BEGIN {before} EXECUTE {expression}; END $$;")
    assert "EXECUTE" in [gap.what for gap in contents.gaps]
    assert all("DROP" not in piece.sql for piece in contents.pieces if not piece.value)
