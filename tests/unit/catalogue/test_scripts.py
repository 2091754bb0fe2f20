"""What of a file is left out, what stays, and what is refused around its own transaction."""

from __future__ import annotations

import pytest

from migrator.catalogue import scripts
from migrator.catalogue.content import file_digest
from migrator.parsing.aside import NOTHING_ASIDE, Aside
from migrator.parsing.statements import ParsedFile, parse

VERSION = "001_t"
FOUND = f"EXISTS (SELECT 1 FROM schema_migrations WHERE version = '{VERSION}')"
CHECK = f"DO $$ BEGIN IF {FOUND} THEN RAISE 'applied'; END IF; END $$;"
RECORD = f"INSERT INTO schema_migrations (version) VALUES ('{VERSION}');"


def read(sql: str) -> ParsedFile:
    return scripts.read(sql, file="x.sql", version=VERSION)


def kinds(parsed: ParsedFile) -> list[str]:
    return [item.kind for item in parsed.statements]


def told(aside: Aside) -> list[tuple[int, str]]:
    return [(one.line, one.message) for one in aside.refused]


def test_a_file_with_nothing_of_it_is_the_parsed_file_itself() -> None:
    sql = "CREATE TABLE t (id bigint);\nSELECT 1;"
    assert read(sql) == parse(sql, file="x.sql")
    assert read(sql).aside is NOTHING_ASIDE


def test_what_stays_keeps_its_place_and_is_counted_anew() -> None:
    parsed = read(f"-- head\nBEGIN;\n{CHECK}\nCREATE TABLE t (id bigint);\n{RECORD}\n  SELECT 1;\nCOMMIT;\n{RECORD}")
    assert [(item.index, item.kind, item.line, item.column) for item in parsed.statements] == [
        (0, "CREATE TABLE", 4, 1),
        (1, "SELECT", 6, 3),
    ]
    assert [(one.what, one.line) for one in parsed.aside.left_out] == [
        ("BEGIN", 2),
        ("DO that checks schema_migrations", 3),
        ("INSERT INTO schema_migrations", 5),
        ("COMMIT", 7),
        ("INSERT INTO schema_migrations", 8),
    ]
    assert parsed.aside.refused == ()


@pytest.mark.parametrize(
    "begin, end",
    [
        ("BEGIN", "COMMIT"),
        ("BEGIN WORK", "END TRANSACTION"),
        ("START TRANSACTION", "END"),
        ("BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE, NOT DEFERRABLE", "COMMIT AND NO CHAIN"),
        ("BEGIN ISOLATION LEVEL READ UNCOMMITTED", "COMMIT WORK"),
    ],
)
def test_a_pair_around_the_file_is_the_engines(begin: str, end: str) -> None:
    parsed = read(f"SET lock_timeout = '1s'; {begin}; CREATE TABLE t (); {end}; RESET lock_timeout;")
    assert kinds(parsed) == ["SET", "CREATE TABLE", "RESET"]
    assert parsed.aside.wrapped
    assert parsed.aside.refused == ()


@pytest.mark.parametrize(
    "sql",
    [
        "BEGIN; CREATE TABLE t (); ROLLBACK;",
        "BEGIN; CREATE TABLE t (); COMMIT AND CHAIN;",
        "BEGIN; CREATE TABLE t (); PREPARE TRANSACTION 'x';",
        "BEGIN; CREATE TABLE t ();",
        "CREATE TABLE t (); COMMIT;",
        "COMMIT; CREATE TABLE t (); BEGIN;",
        "SAVEPOINT a; CREATE TABLE t (); COMMIT;",
        "BEGIN; SELECT 1; COMMIT; BEGIN; SELECT 2; COMMIT;",
        "BEGIN; BEGIN; SELECT 1; COMMIT;",
        "BEGIN; SELECT 1; ROLLBACK; COMMIT;",
    ],
)
def test_what_is_no_such_pair_stays_for_the_rule_to_refuse(sql: str) -> None:
    assert read(sql) == parse(sql, file="x.sql")


def test_transaction_control_in_the_middle_stays() -> None:
    parsed = read("BEGIN; SELECT 1; SAVEPOINT a; SELECT 2; ROLLBACK TO a; RELEASE a; COMMIT;")
    assert kinds(parsed) == ["SELECT", "SAVEPOINT", "SELECT", "ROLLBACK TO SAVEPOINT", "RELEASE SAVEPOINT"]


@pytest.mark.parametrize(
    "sql, line, words",
    [
        ("CREATE TABLE t ();\nBEGIN;\nCOMMIT;", 1, "CREATE TABLE stands before BEGIN"),
        ("BEGIN;\nCOMMIT;\nVACUUM;", 3, "VACUUM stands after COMMIT"),
        ("BEGIN;\nCOMMIT;\nSELECT 1;", 3, "SELECT stands after COMMIT"),
        ("SET LOCAL lock_timeout = '1s';\nBEGIN;\nCOMMIT;", 1, "SET LOCAL has no effect before BEGIN"),
        ("SET TRANSACTION READ WRITE;\nBEGIN;\nCOMMIT;", 1, "SET TRANSACTION has no effect before BEGIN"),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY;\nBEGIN;\nCOMMIT;", 1, "begin later"),
        ("SET default_transaction_isolation = 'serializable';\nBEGIN;\nCOMMIT;", 1, "begin later"),
        ("SELECT 1;\nBEGIN;\nCOMMIT;", 1, "SELECT stands before BEGIN"),
        ("-- x\nBEGIN ISOLATION LEVEL SERIALIZABLE;\nCOMMIT;", 2, "ISOLATION LEVEL SERIALIZABLE"),
        ("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ;\nCOMMIT;", 1, "ISOLATION LEVEL REPEATABLE READ"),
        ("START TRANSACTION READ ONLY;\nCOMMIT;", 1, "READ ONLY"),
        ("BEGIN DEFERRABLE;\nCOMMIT;", 1, "DEFERRABLE"),
        ("BEGIN;\nSET TRANSACTION ISOLATION LEVEL SERIALIZABLE;\nCOMMIT;", 2, "ISOLATION LEVEL SERIALIZABLE"),
        ("SELECT 1;\nSET TRANSACTION READ ONLY;", 2, "READ ONLY"),
        ("SET transaction_isolation = 'repeatable read';", 1, "ISOLATION LEVEL REPEATABLE READ"),
        ("SET LOCAL transaction_read_only = on;", 1, "READ ONLY"),
        ("SET TRANSACTION NOT DEFERRABLE;", 1, "comes too late"),
        ("BEGIN;\nSET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED;\nEND;", 2, "comes too late"),
        ("SET TRANSACTION SNAPSHOT 'x';", 1, "snapshot of another session"),
        ("BEGIN;\nCREATE INDEX CONCURRENTLY i ON t (a);\nCOMMIT;", 2, "cannot run between BEGIN and COMMIT"),
        ("BEGIN;\nVACUUM t;\nEND;", 2, "cannot run between BEGIN and COMMIT"),
        ("BEGIN;\nALTER SYSTEM SET a = 1;\nEND;", 2, "cannot run between BEGIN and COMMIT"),
    ],
)
def test_what_does_not_fit_around_is_refused_in_its_line(sql: str, line: int, words: str) -> None:
    (found,) = read(sql).aside.refused
    assert found.line == line
    assert words in found.message
    assert found.hint


@pytest.mark.parametrize("value", ["READ WRITE", "ISOLATION LEVEL READ COMMITTED"])
def test_options_that_a_migration_runs_with_anyway_stay(value: str) -> None:
    assert read(f"SELECT 1; SET TRANSACTION {value}; SELECT 2").aside == NOTHING_ASIDE


def test_a_block_that_mixes_names_the_line_of_the_other() -> None:
    parsed = read("SELECT 1;\nDO $$\nBEGIN\n  PERFORM 1 FROM schema_migrations;\n  DROP TABLE t;\nEND $$;")
    assert told(parsed.aside) == [
        (5, "SELECT from schema_migrations is the ledger's work, but it stands in one statement with DROP TABLE")
    ]
    assert kinds(parsed) == ["SELECT", "DO"]


def test_the_digest_ignores_the_pair_and_keeps_what_people_decide_on() -> None:
    bare = file_digest(read("CREATE TABLE t ();"))
    assert file_digest(read("BEGIN; CREATE TABLE t (); COMMIT;")) == bare
    kept = file_digest(read(f"CREATE TABLE t (); {RECORD}"))
    assert kept != bare
    assert file_digest(read(f"BEGIN; CREATE TABLE t ();\n\n  {RECORD} COMMIT;")) == kept
    assert file_digest(read(f"CREATE TABLE u (); {RECORD}")) != kept
    assert file_digest(read("CREATE TABLE t (); INSERT INTO schema_migrations (version) VALUES ('1');")) != kept


def test_a_file_knows_its_version_by_its_folder(tmp_path: object) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path)) / VERSION
    folder.mkdir()
    assert scripts.version_of(folder / "x.sql") is None
    (folder / "migration-metadata.yaml").touch()
    assert scripts.version_of(folder / "x.sql") == VERSION
