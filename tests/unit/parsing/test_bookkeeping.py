"""Which statements only keep a table of migrations, and which do that and something else."""

from __future__ import annotations

import pytest

from migrator.parsing.bookkeeping import Kept, Mixed, is_of, judge
from migrator.parsing.statements import parse

VERSION = "001_add_analytics_tables"
MINE = (VERSION,)


def judged(sql: str, *, version: str | None = VERSION) -> Kept | Mixed | None:
    parsed = parse(sql, file="x.sql")
    assert parsed.problems == ()
    (statement,) = parsed.statements
    return judge(statement, version=version, own="migrator")


OURS = "INSERT INTO schema_migrations"
RUNBOOK_INSERT = f"""INSERT INTO schema_migrations (version, filename, checksum, applied_at)
VALUES ('{VERSION}', '2025/{VERSION}.sql', md5(pg_read_file('2025/{VERSION}.sql')), NOW())"""


@pytest.mark.parametrize(
    "sql, what, versions",
    [
        (RUNBOOK_INSERT, "INSERT INTO", MINE),
        (f"INSERT INTO public.schema_migrations VALUES ('{VERSION}', current_user)", "INSERT INTO", MINE),
        (f'INSERT INTO ops."schema_migrations" ("version") VALUES (\'{VERSION}\'::varchar)', "INSERT INTO", MINE),
        (
            f"INSERT INTO Schema_Migrations (applied_at, version) VALUES (clock_timestamp(), '{VERSION}')"
            " ON CONFLICT (version) DO UPDATE SET applied_at = excluded.applied_at RETURNING *",
            "INSERT INTO",
            MINE,
        ),
        (
            f"INSERT INTO schema_migrations (version) SELECT '{VERSION}' WHERE NOT EXISTS"
            f" (SELECT 1 FROM schema_migrations WHERE version = '{VERSION}')",
            "INSERT INTO",
            MINE,
        ),
        ("INSERT INTO schema_migrations (version) VALUES (1)", "INSERT INTO", ("1",)),
        (
            f"INSERT INTO schema_migrations (filename) VALUES ('2025/{VERSION}.sql')",
            "INSERT INTO",
            (f"2025/{VERSION}.sql",),
        ),
        (
            f"UPDATE schema_migrations SET status = 'failed', failed_at = NOW() WHERE version = '{VERSION}'",
            "UPDATE",
            MINE,
        ),
        (f"DELETE FROM schema_migrations WHERE version = '{VERSION}'", "DELETE FROM", MINE),
        (f"DELETE FROM schema_migrations m WHERE '{VERSION}' = m.version AND status <> 'x'", "DELETE FROM", MINE),
        ("DELETE FROM schema_migrations WHERE version IN ('a', 'b')", "DELETE FROM", ("a", "b")),
        ("DELETE FROM schema_migrations WHERE version = ANY (ARRAY['a', 'b'])", "DELETE FROM", ("a", "b")),
        (
            f"MERGE INTO schema_migrations s USING (SELECT '{VERSION}' AS v) n ON s.version = n.v"
            " WHEN NOT MATCHED THEN INSERT VALUES (n.v)",
            "MERGE INTO",
            MINE,
        ),
    ],
)
def test_bookkeeping_in_a_statement(sql: str, what: str, versions: tuple[str, ...]) -> None:
    assert judged(sql) == Kept(f"{what} schema_migrations", versions)


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM schema_migrations",
        "DELETE FROM schema_migrations WHERE version LIKE '001%'",
        f"DELETE FROM schema_migrations WHERE version = '{VERSION}' OR true",
        f"DELETE FROM schema_migrations WHERE NOT version = '{VERSION}'",
        f"DELETE FROM schema_migrations WHERE version = ANY (ARRAY['{VERSION}', lower('X')])",
        f"UPDATE schema_migrations SET version = upper('x') WHERE version = '{VERSION}'",
        "INSERT INTO schema_migrations (version) SELECT name FROM names",
        "INSERT INTO schema_migrations (version) VALUES (split_part('a.b', '.', 1))",
    ],
)
def test_writing_without_saying_which_version_is_told(sql: str) -> None:
    found = judged(sql)
    assert isinstance(found, Kept)
    assert not found.certain


@pytest.mark.parametrize(
    "body",
    [
        f"BEGIN IF EXISTS (SELECT 1 FROM schema_migrations WHERE version = '{VERSION}') THEN RAISE 'x'; END IF; END",
        f"DECLARE n int; BEGIN SELECT count(*) INTO n FROM public.schema_migrations WHERE version = '{VERSION}';"
        " IF n > 0 THEN RAISE EXCEPTION 'applied % times', n; END IF; END",
        f"BEGIN PERFORM 1 FROM schema_migrations WHERE version = '{VERSION}'; IF FOUND THEN RETURN; END IF; END",
        f"BEGIN ASSERT NOT EXISTS (SELECT FROM schema_migrations WHERE version = '{VERSION}'), 'again'; END",
        f"DECLARE v text := '{VERSION}'; BEGIN IF NOT EXISTS (SELECT 1 FROM schema_migrations WHERE version = v) THEN"
        " INSERT INTO schema_migrations (version) VALUES (v); END IF; EXCEPTION WHEN unique_violation THEN NULL; END",
        f"BEGIN EXECUTE format('DELETE FROM schema_migrations WHERE version = %L', '{VERSION}'); END",
    ],
)
def test_a_block_of_nothing_else_is_bookkeeping(body: str) -> None:
    found = judged(f"DO $$ {body} $$")
    assert isinstance(found, Kept)
    assert (found.versions, found.certain) == (MINE, True)


@pytest.mark.parametrize(
    "sql, other, at",
    [
        ("DO $$ BEGIN PERFORM 1 FROM schema_migrations; CREATE TABLE t (); END $$", "CREATE TABLE", "CREATE TABLE"),
        ("DO $$ BEGIN DELETE FROM schema_migrations; PERFORM setval('s', 1); END $$", "SELECT", "PERFORM setval"),
        ("DO $$ BEGIN DELETE FROM schema_migrations; EXECUTE 'DROP TABLE ' || now(); END $$", "EXECUTE", "EXECUTE"),
        ("DO $$ BEGIN DELETE FROM schema_migrations; CALL p(); END $$", "CALL", "CALL"),
        ("DO $$ BEGIN DELETE FROM schema_migrations; DELETE FROM users; END $$", "DELETE", "DELETE FROM users"),
        ("DO $$ BEGIN DELETE FROM schema_migrations; COMMIT; END $$", "COMMIT", "COMMIT"),
        ("DO $$ BEGIN DELETE FROM schema_migrations; PERFORM count(*) FROM users; END $$", "SELECT", "PERFORM"),
        (f"WITH x AS (DELETE FROM users RETURNING 1) {OURS} SELECT * FROM x", "a change of users", "WITH"),
        (f"WITH x AS ({OURS} VALUES ('a') RETURNING 1) DELETE FROM users", "a change of users", "WITH"),
        ("WITH x AS (INSERT INTO schema_migrations VALUES ('a') RETURNING 1) SELECT * FROM x", "SELECT", "WITH"),
        ("INSERT INTO schema_migrations VALUES (app.next_version())", "a call of next_version()", "INSERT"),
    ],
)  # fmt: skip
def test_bookkeeping_with_something_else_is_neither(sql: str, other: str, at: str) -> None:
    found = judged(sql)
    assert isinstance(found, Mixed)
    assert (found.other, found.offset) == (other, sql.index(at))


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE schema_migrations (version text)",
        "ALTER TABLE schema_migrations ADD COLUMN note text",
        "DROP TABLE schema_migrations",
        "TRUNCATE schema_migrations",
        "GRANT SELECT ON schema_migrations TO PUBLIC",
        "COMMENT ON TABLE schema_migrations IS 'x'",
        "INSERT INTO audit SELECT * FROM schema_migrations",
        "SELECT * INTO copy_of FROM schema_migrations",
        "SELECT app.f(version) FROM schema_migrations",
        "SELECT * FROM schema_migrations JOIN users USING (id)",
        "WITH schema_migrations AS (SELECT 1) SELECT * FROM schema_migrations",
        "INSERT INTO my_schema_migrations VALUES ('a')",
        f"UPDATE app.schema_migrations SET n = 2 WHERE version = '{VERSION}'",
        f"UPDATE app.schema_migrations SET status = 'x', seats = 2 WHERE version = '{VERSION}'",
        f"INSERT INTO app.schema_migrations (version, seats) VALUES ('{VERSION}', 2)",
        "DELETE FROM app.schema_migrations WHERE seats = 2",
        f"DELETE FROM app.schema_migrations WHERE version = '{VERSION}' AND seats > 2",
        f"MERGE INTO schema_migrations s USING (SELECT '{VERSION}' AS v) n ON s.version = n.v"
        " WHEN NOT MATCHED THEN INSERT (version, seats) VALUES (n.v, 1)",
        f"DO $$ BEGIN UPDATE app.schema_migrations SET n = 2 WHERE version = '{VERSION}'; END $$",
        "INSERT INTO \"Schema_Migrations\" VALUES ('a')",
        "INSERT INTO notes VALUES ('schema_migrations')",
        "DELETE FROM migrator.schema_migrations WHERE version = 'a'",
        "DO $$ BEGIN DELETE FROM migrator.schema_migrations; END $$",
        "DO $$ BEGIN CREATE TABLE schema_migrations (); END $$",
        "DO $$ BEGIN RAISE NOTICE 'schema_migrations'; END $$",
        "DO LANGUAGE plpython3u $$ plpy.execute('DELETE FROM schema_migrations') $$",
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'DELETE FROM schema_migrations'",
    ],
)
def test_what_is_no_bookkeeping_runs(sql: str) -> None:
    assert judged(sql) is None


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM schema_migrations WHERE status = 'success' ORDER BY applied_at DESC LIMIT 1",
        "LOCK TABLE schema_migrations IN EXCLUSIVE MODE",
    ],
)
def test_looking_and_locking_are_part_of_it(sql: str) -> None:
    assert isinstance(judged(sql), Kept)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO schema_migrations (version) VALUES ('20240102030405'), ('20240102030406')",
        "INSERT INTO schema_migrations (version) VALUES (20240102030405)",
        "DELETE FROM schema_migrations WHERE version = '20240102030405'",
        "INSERT INTO schema_migrations (version, dirty) VALUES (7, false)",
        "UPDATE schema_migrations SET version = 7, dirty = false WHERE version = 6",
    ],
)
def test_rows_of_another_tool_are_not_ours(sql: str) -> None:
    found = judged(sql)
    assert isinstance(found, Kept)
    assert found.foreign is not None


def test_a_row_of_this_migration_is_ours_whatever_it_looks_like() -> None:
    sql = "INSERT INTO schema_migrations (version, dirty) VALUES ('20240102030405', false)"
    found = judged(sql, version="20240102030405_add_tables")
    assert isinstance(found, Kept)
    assert found.foreign is None


@pytest.mark.parametrize(
    "found, same",
    [
        (VERSION, True),
        (f"2025/{VERSION}.sql", True),
        (f"{VERSION}_rollback.sql", True),
        ("1", True),
        ("001", True),
        ("2", False),
        ("001_add", False),
        (f"{VERSION}_2", False),
        ("", False),
    ],
)
def test_whose_row_it_is(found: str, same: bool) -> None:
    assert is_of(found, VERSION) is same
