"""What a session holds at each place of a file: transactions, savepoints, settings, blocks and called functions."""

from __future__ import annotations

from migrator.analysis.effects import World
from migrator.analysis.inspection import inspect
from migrator.analysis.known import Sources
from migrator.analysis.walk.script import Script
from migrator.analysis.walk.timeline import Moment
from migrator.analysis.walk.walk import walk
from migrator.parsing.statements import parse


def walked(sql: str, *, wanted: bool | None = None) -> Script:
    return walk(parse(sql, file="x.sql"), World(), wanted=wanted)[0]


def held(moment: Moment) -> list[tuple[str, str]]:
    return [(item.relation.removeprefix("public."), item.mode) for item in moment.held]


def test_a_file_is_one_transaction_when_all_of_it_can_be() -> None:
    moments = walked("ALTER TABLE a ADD x int; ALTER TABLE b ADD x int; SELECT 1;").timeline.moments
    assert {moment.transaction for moment in moments} == {0}
    assert held(moments[2]) == [("a", "ACCESS EXCLUSIVE"), ("b", "ACCESS EXCLUSIVE")]


def test_otherwise_each_statement_is_one() -> None:
    sql = "ALTER TABLE a ADD x int; CREATE INDEX CONCURRENTLY i ON a (x);"
    moments = walked(sql).timeline.moments
    assert [moment.transaction for moment in moments] == [0, 1]
    assert held(moments[1]) == []
    assert [moment.transaction for moment in walked("SELECT 1; SELECT 2;", wanted=False).timeline.moments] == [0, 1]


def test_a_rolled_back_savepoint_gives_its_locks_and_tables_back() -> None:
    sql = """BEGIN; ALTER TABLE a ADD x int;
    SAVEPOINT s; ALTER TABLE b ADD x int; CREATE TABLE n (); ALTER TABLE n ADD x int;
    ROLLBACK TO s; ALTER TABLE n ADD x int; ROLLBACK TO s; RELEASE s; COMMIT; SELECT 1;"""
    script = walked(sql)
    moments = script.timeline.moments
    assert held(moments[4]) == [("a", "ACCESS EXCLUSIVE"), ("b", "ACCESS EXCLUSIVE")]
    assert moments[5].takes == ()  # new in this transaction: nobody else can wait for it
    assert held(moments[7]) == [("a", "ACCESS EXCLUSIVE")]
    assert [lock.relation for lock in moments[7].takes] == ["public.n"]
    assert held(moments[11]) == []
    assert script.issues == ()


def test_a_rolled_back_transaction_leaves_nothing() -> None:
    moments = walked("BEGIN; CREATE TABLE n (); ROLLBACK; ALTER TABLE n ADD x int;").timeline.moments
    assert [lock.relation for lock in moments[3].takes] == ["public.n"]


def test_transaction_commands_that_do_not_do_what_they_say() -> None:
    script = walked("COMMIT; BEGIN; BEGIN; ROLLBACK TO x; COMMIT; SAVEPOINT y; BEGIN; SELECT 1;")
    assert [(issue.statement, issue.fails) for issue in script.issues] == [
        (0, False),
        (2, False),
        (3, True),
        (5, True),
        (6, False),
    ]


def test_settings_live_as_long_as_they_say() -> None:
    sql = """SET lock_timeout = '1s';
    BEGIN; SET LOCAL lock_timeout = '2s'; SET statement_timeout = 5; SELECT 1; ROLLBACK;
    SET LOCAL lock_timeout = '9s'; SELECT 2;"""
    subjects = walked(sql).subjects
    assert {name: item.value for name, item in subjects[4].settings.items()} == {
        "lock_timeout": "2s",
        "statement_timeout": "5",
    }
    assert {name: item.value for name, item in subjects[7].settings.items()} == {"lock_timeout": "1s"}


def test_a_block_runs_in_the_transaction_around_it() -> None:
    script = walked("ALTER TABLE a ADD x int; DO $$ BEGIN UPDATE b SET x = 1; TRUNCATE c; END $$; SELECT 1;")
    block = script.subjects[1]
    assert [(inner.nested, inner.statement.kind) for inner in block.inner] == [(True, "UPDATE"), (True, "TRUNCATE")]
    assert [item.relation for item in block.inner[1].held] == ["public.a", "public.b"]
    assert [item.relation for item in script.subjects[2].held] == ["public.a", "public.b", "public.c"]
    assert block.all_effects.mode_on("public.c") == "ACCESS EXCLUSIVE"
    assert block.all_effects.known


def test_a_commit_inside_a_block_releases() -> None:
    script = walked("DO $$ BEGIN LOOP UPDATE b SET x = 1; COMMIT; TRUNCATE c; END LOOP; END $$;")
    update, commit, truncate = script.subjects[0].inner
    assert (len(commit.held), len(truncate.held)) == (1, 0)
    assert update.transaction != truncate.transaction


def test_functions_run_where_they_are_called_and_not_where_they_are_made() -> None:
    function = "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'TRUNCATE c';"
    assert walked(function).subjects[0].inner == ()
    called = walked(function + "SELECT f();").subjects[1]
    assert called.all_effects.mode_on("public.c") == "ACCESS EXCLUSIVE"


def test_triggers_run_with_the_rows_that_fire_them() -> None:
    sql = """CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO log VALUES (1); RETURN NEW; END $$;
    CREATE TRIGGER t AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION f();
    INSERT INTO a VALUES (1); INSERT INTO b VALUES (1);"""
    subjects = walked(sql).subjects
    assert subjects[2].all_effects.mode_on("public.log") == "ROW EXCLUSIVE"
    assert subjects[3].all_effects.mode_on("public.log") is None


def test_functions_that_call_each_other_end() -> None:
    sql = "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'SELECT f()'; SELECT f();"
    assert not walked(sql).subjects[1].all_effects.known


def test_coverage_counts_what_was_not_looked_at() -> None:
    sql = """SELECT count(*), lower(max(a)) FROM t;
    DO $$ BEGIN
      UPDATE t SET a = 1;
      EXECUTE format('DROP TABLE %I', current_user);
    END $$;
    SELECT somebody_elses();
    CALL p();
    CREATE TABL x ();
    """
    coverage = inspect(Sources((parse(sql, file="x.sql"),))).coverage
    assert [(gap.line, gap.what) for gap in coverage.gaps] == [
        (4, "EXECUTE"),
        (6, "SELECT"),
        (7, "CALL"),
        (8, "statement"),
    ]
    assert (coverage.statements, coverage.analysed) == (7, 3)
    assert str(coverage) == "analysed 3 of 7 statements; nothing is known about the rest"


def test_what_is_not_analysed_is_not_known() -> None:
    block = walked("DO $$ BEGIN EXECUTE some_text; END $$;").subjects[0]
    assert not block.all_effects.known
    assert not walked("SELECT somebody_elses();").subjects[0].effects.known


def test_what_create_schema_makes_inside_is_judged() -> None:
    sql = "SELECT 1; CREATE SCHEMA s CREATE INDEX ON t (a) CREATE TABLE t (a int REFERENCES public.old (a));"
    script = walked(sql)
    assert [(one.statement.name, one.statement.index) for one in script.subjects[1].with_inner()] == [
        ("create_schema_stmt", 1),
        ("create_stmt", 1),
        ("index_stmt", 1),
    ]
    assert [held(one) for one in script.timeline.moments][-1] == [("old", "SHARE ROW EXCLUSIVE")]
    found = inspect(Sources((parse(sql, file="x.sql"),))).findings
    assert [one.message.split()[0] for one in found if one.rule == "require-primary-key"] == ["s.t"]
