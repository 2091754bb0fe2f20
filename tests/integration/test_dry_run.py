"""The dry run on a real server: every verdict, what it refuses, and what it leaves behind."""

from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from migrator import documents
from migrator.backups.copies import trial_name
from migrator.backups.trial import trial_database
from migrator.database.schema import Schema
from migrator.database.session import Endpoint
from migrator.embedded.server import Server
from migrator.errors import (
    Cancelled,
    DryRunFailed,
    EnvironmentFault,
    Refused,
    RestoreNotProven,
    StatementFailed,
    TransientError,
)
from migrator.evidence import DryRunEvidence, TableFingerprint, Verdict
from migrator.ledger.ledger import Ledger
from migrator.plan import OnFailure
from migrator.stages import dry_run
from migrator.steps import execution
from migrator.steps.context import StepContext, StepHandle
from migrator.steps.contract import Written
from migrator.steps.kinds import kind_named
from tests.factories import plan_from_sql, to_steps
from tests.factories_evidence import record_of, restore_of
from tests.integration.copies import COPY, SHOP, check_of, copy_of, failed, logged_in, make_copy, rehearse, run_of

ALL_CHECKS = (
    "apply",
    "later_backup",
    "rollback",
    "rollback_schema_equal",
    "rollback_data",
    "reapply",
    "reapply_schema_equal",
    "server",
)


@pytest.fixture
def copy(copies: Endpoint) -> Endpoint:
    """A copy as a restore leaves it."""
    return make_copy(copies)


DERIVED = f"""{SHOP}
CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM tenants;
INSERT INTO tenants VALUES (11, 'came later');
CREATE MATERIALIZED VIEW moment AS SELECT now() AS at, random() AS r;
"""


@pytest.mark.parametrize("old", [False, True], ids=["record", "record that lists views"])
@pytest.mark.parametrize(
    "up, down",
    [
        ("REFRESH MATERIALIZED VIEW counted; REFRESH MATERIALIZED VIEW moment;", "SELECT 1;"),
        (
            "DROP MATERIALIZED VIEW counted; CREATE MATERIALIZED VIEW counted AS SELECT max(id) AS n FROM tenants;",
            "DROP MATERIALIZED VIEW counted; CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM tenants;",
        ),
        ("DROP MATERIALIZED VIEW moment;", "CREATE MATERIALIZED VIEW moment AS SELECT now() AS at, random() AS r;"),
    ],
    ids=["refreshed", "with another query", "dropped"],
)
def test_what_a_materialized_view_holds_is_not_compared(copies: Endpoint, old: bool, up: str, down: str) -> None:
    copy, plan = make_copy(copies, DERIVED), plan_from_sql(up, down)
    record = record_of(copy)
    if old:
        listed = [TableFingerprint(f"public.{name}", 1, "17") for name in ("counted", "moment")]
        record = replace(record, tables=(*record.tables, *listed))
    evidence = dry_run.run(plan, record, restore_of(record, COPY), copies=copies, run=run_of(plan))
    data = check_of(evidence, "rollback_data")
    assert data.verdict is Verdict.PASSED
    assert "what is in 2 materialized views is not compared" in data.detail
    assert evidence.verdict is Verdict.PASSED


def test_a_materialized_view_that_the_rollback_forgets_fails(copies: Endpoint) -> None:
    plan = plan_from_sql("DROP MATERIALIZED VIEW counted;", "SELECT 1;")
    check = check_of(failed(plan, copies, make_copy(copies, DERIVED)).evidence, "rollback_schema_equal")
    assert "materialized view public.counted" in check.detail


def test_a_new_enum_value_wants_a_migration_of_its_own(copies: Endpoint) -> None:
    copy = make_copy(copies, "CREATE TYPE st AS ENUM ('a'); CREATE TABLE e (s st);")
    plan = plan_from_sql("ALTER TYPE st ADD VALUE 'c'; ALTER TABLE e ALTER s SET DEFAULT 'c';", "SELECT 1;")
    check = check_of(failed(plan, copies, copy).evidence, "enum_value")
    assert "use the value in the next one" in check.detail


def verdicts(evidence: DryRunEvidence) -> dict[str, str]:
    return {check.name: check.verdict.value for check in evidence.checks}


def databases(copies: Endpoint) -> set[str]:
    with psycopg.connect(copies.conninfo) as conn:
        return {name for (name,) in conn.execute("SELECT datname FROM pg_database WHERE NOT datistemplate").fetchall()}


def test_everything_is_proved(copies: Endpoint, copy: Endpoint) -> None:
    plan = plan_from_sql(
        "CREATE TABLE analytics (id bigint PRIMARY KEY, message_id bigint REFERENCES messages);"
        "CREATE INDEX analytics_message ON analytics (message_id);",
        "DROP TABLE analytics;",
        assertions=("SELECT count(*) = 0 FROM analytics",),
        expected_changes={"added": {"table": ["public.analytics"]}},
    )
    before = record_of(copy)
    evidence = rehearse(plan, copies, copy)
    assert verdicts(evidence) == dict.fromkeys((*ALL_CHECKS, "expected_changes", "assertions"), "passed")
    assert evidence.verdict is Verdict.PASSED
    assert "+ table public.analytics" in evidence.schema_diff
    assert not any("owner" in line for line in evidence.schema_diff)
    assert (evidence.plan_digest, evidence.snapshot_id) == (plan.digest, before.id)
    assert evidence.role == COPY, "the copy's own role"
    assert evidence.seconds > 0
    assert (evidence.rollback_seconds or 0) > 0
    assert evidence.wal_bytes == sum(trace.wal_bytes for trace in evidence.statements) > 0
    assert [trace.kind for trace in evidence.statements] == ["CREATE TABLE", "CREATE INDEX"]
    assert [trace.kind for trace in evidence.rollback_statements] == ["DROP TABLE"]
    assert record_of(copy) == before, "the proved copy itself is never touched"
    assert databases(copies) == {"postgres", COPY}, "the clone is gone"
    assert documents.from_dict(DryRunEvidence, documents.to_dict(evidence)) == evidence


def test_the_prediction_is_what_production_will_look_like(copies: Endpoint, copy: Endpoint, database: Endpoint) -> None:
    """The copy belongs to another role than production; that must not make verify fail."""
    with psycopg.connect(database.conninfo) as conn:
        conn.execute(SHOP.encode())
    record = record_of(database)
    plan = plan_from_sql("CREATE TABLE a (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY)", "DROP TABLE a")
    evidence = dry_run.run(plan, record, restore_of(record, COPY), copies=copies, run=run_of(plan))
    assert evidence.fingerprint_before == Schema.from_dict(record.schema).portable.fingerprint
    with psycopg.connect(database.conninfo) as conn:
        conn.execute("CREATE TABLE a (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY)")
    assert Schema.from_dict(record_of(database).schema).portable.fingerprint == evidence.fingerprint_after
    with psycopg.connect(database.conninfo) as conn:
        conn.execute("CREATE INDEX ON messages (stars)")
    assert Schema.from_dict(record_of(database).schema).portable.fingerprint != evidence.fingerprint_after


def test_a_failing_statement_is_named_with_its_place(copies: Endpoint, copy: Endpoint) -> None:
    plan = plan_from_sql("CREATE TABLE a (id int);\nALTER TABLE messages\n  ADD COLUMN body text;", "DROP TABLE a;")
    error = failed(plan, copies, copy)
    assert (error.file, error.line, error.sqlstate) == ("001_test.sql", 2, "42701")
    assert '001_test.sql:2:1: column "body"' in str(error)
    assert verdicts(error.evidence) == {
        "apply": "failed",
        **dict.fromkeys(ALL_CHECKS[1:], "unverified"),
        "server": "passed",
    }
    assert [trace.kind for trace in error.evidence.statements] == ["CREATE TABLE"]
    again = pickle.loads(pickle.dumps(error))
    assert (again.evidence, str(again)) == (error.evidence, str(error))
    assert databases(copies) == {"postgres", COPY}


def test_rows_that_make_it_fail_are_counted_and_named(copies: Endpoint, copy: Endpoint) -> None:
    """PostgreSQL stops at the first duplicate; people want to know how many there are, and where else it would fail."""
    plan = plan_from_sql(
        "ALTER TABLE messages ADD UNIQUE (tenant_id);\nALTER TABLE messages ADD CHECK (stars > 0);", "SELECT 1;"
    )
    error = failed(plan, copies, copy)
    check = check_of(error.evidence, "data")
    assert check.verdict is Verdict.FAILED
    assert "500 rows of messages where (tenant_id) is there more than once; " in check.detail
    assert "100 rows of messages where the CHECK is false" in check.detail
    assert "id=" not in check.detail
    assert check.detail in str(error)


def test_a_change_that_nobody_declared(copies: Endpoint, copy: Endpoint) -> None:
    plan = plan_from_sql(
        "CREATE TABLE a (id int); CREATE INDEX messages_stars ON messages (stars);",
        "DROP INDEX messages_stars; DROP TABLE a;",
        expected_changes={"added": {"table": ["public.a", "public.b"]}},
    )
    check = check_of(failed(plan, copies, copy).evidence, "expected_changes")
    assert check.verdict is Verdict.FAILED
    assert "declared, but did not happen: + table public.b" in check.detail
    assert "happened, but is not declared: + index public.messages_stars" in check.detail


def test_an_assertion_that_is_not_true(copies: Endpoint, copy: Endpoint) -> None:
    plan = plan_from_sql(
        "CREATE TABLE a (id int)", "DROP TABLE a", assertions=("SELECT true", "SELECT count(*) = 1 FROM a")
    )
    evidence = failed(plan, copies, copy).evidence
    assert check_of(evidence, "assertions").verdict is Verdict.FAILED
    assert "assertion 2" in check_of(evidence, "assertions").detail
    assert check_of(evidence, "reapply_schema_equal").verdict is Verdict.PASSED, "the author sees the rest, too"


def test_a_rollback_that_forgets_an_index(copies: Endpoint, copy: Endpoint) -> None:
    plan = plan_from_sql(
        "CREATE INDEX messages_stars ON messages (stars); ALTER TABLE tenants ADD COLUMN note text;",
        "ALTER TABLE tenants DROP COLUMN note;",
    )
    evidence = failed(plan, copies, copy).evidence
    check = check_of(evidence, "rollback_schema_equal")
    assert check.verdict is Verdict.FAILED
    assert check.detail.startswith("+ index public.messages_stars")
    assert check_of(evidence, "reapply").verdict is Verdict.FAILED, "and a second run would have failed on it"


def test_a_rollback_that_fails(copies: Endpoint, copy: Endpoint) -> None:
    plan = plan_from_sql("CREATE TABLE a (id int)", "SELECT 1;\nDROP TABLE nothing;")
    error = failed(plan, copies, copy)
    assert (error.file, error.line, error.sqlstate) == ("001_test_rollback.sql", 2, "42P01")
    assert verdicts(error.evidence) == {
        "apply": "passed",
        "later_backup": "passed",
        "rollback": "failed",
        **dict.fromkeys(ALL_CHECKS[3:], "unverified"),
        "server": "passed",
    }


def test_another_column_order_is_told_and_does_not_fail(copies: Endpoint, copy: Endpoint) -> None:
    """The values come back, only the place of the column cannot."""
    plan = plan_from_sql(
        "ALTER TABLE messages ADD COLUMN text text; UPDATE messages SET text = body;"
        "ALTER TABLE messages DROP COLUMN body;",
        "ALTER TABLE messages ADD COLUMN body text; UPDATE messages SET body = text;"
        "ALTER TABLE messages DROP COLUMN text;",
    )
    evidence = rehearse(plan, copies, copy)
    check = check_of(evidence, "rollback_schema_equal")
    assert check.verdict is Verdict.PASSED
    assert "order of columns" in check.detail
    assert "id, tenant_id, body, stars -> id, tenant_id, stars, body" in check.detail
    assert check_of(evidence, "rollback_data").verdict is Verdict.PASSED, "compared column by column"


def test_a_dropped_column_comes_back_empty(copies: Endpoint, copy: Endpoint) -> None:
    """No script can do better, so it is told to the reviewers, and does not fail."""
    plan = plan_from_sql("ALTER TABLE messages DROP COLUMN body", "ALTER TABLE messages ADD COLUMN body text")
    evidence = rehearse(plan, copies, copy)
    assert evidence.verdict is Verdict.PASSED
    check = check_of(evidence, "rollback_data")
    assert check.verdict is Verdict.UNVERIFIED
    assert "public.messages has other content in its 500 rows" in check.detail


def test_a_rollback_that_loses_data(copies: Endpoint, copy: Endpoint) -> None:
    plan = plan_from_sql(
        "UPDATE messages SET stars = stars + 1; DELETE FROM tenants WHERE id = 1;", "UPDATE messages SET stars = 0;"
    )
    check = check_of(failed(plan, copies, copy).evidence, "rollback_data")
    assert check.verdict is Verdict.FAILED
    assert "public.messages has other content in its 500 rows" in check.detail
    assert "public.tenants has 9 rows, had 10 rows" in check.detail


def test_a_procedure_that_commits_by_itself_is_watched_too(copies: Endpoint, copy: Endpoint) -> None:
    with psycopg.connect(copy.conninfo) as conn:
        conn.execute(
            "CREATE PROCEDURE more_stars() LANGUAGE plpgsql AS"
            " $$BEGIN UPDATE messages SET stars = stars + 1; COMMIT; PERFORM pg_sleep(0.1); END$$"
        )
    plan = plan_from_sql("CALL more_stars();", "SELECT 1;", transaction=False)
    check = check_of(failed(plan, copies, copy).evidence, "rollback_data")
    assert "public.messages has other content" in check.detail


def test_without_a_rollback_script(copies: Endpoint, copy: Endpoint) -> None:
    evidence = rehearse(plan_from_sql("CREATE TABLE a (id int)"), copies, copy)
    assert evidence.irreversible
    assert evidence.verdict is Verdict.PASSED
    assert evidence.rollback_seconds is None
    assert verdicts(evidence) == {
        "apply": "passed",
        "later_backup": "passed",
        **dict.fromkeys(ALL_CHECKS[2:], "unverified"),
        "server": "passed",
    }
    assert "cannot be undone" in check_of(evidence, "rollback").detail


def test_the_rollback_is_tried_whatever_happens_on_failure(copies: Endpoint, copy: Endpoint) -> None:
    plan = plan_from_sql("CREATE TABLE a (id int)", "DROP TABLE a", on_failure=OnFailure.HOLD)
    assert check_of(rehearse(plan, copies, copy), "rollback_schema_equal").verdict is Verdict.PASSED


def test_statements_outside_a_transaction(copies: Endpoint, copy: Endpoint) -> None:
    plan = plan_from_sql(
        "CREATE INDEX CONCURRENTLY messages_stars ON messages (stars);",
        "DROP INDEX CONCURRENTLY IF EXISTS messages_stars;",
    )
    evidence = rehearse(plan, copies, copy)
    assert evidence.verdict is Verdict.PASSED
    (built,), (dropped,) = evidence.statements, evidence.rollback_statements
    assert [(lock.relation, lock.mode) for lock in built.locks] == [("public.messages", "SHARE UPDATE EXCLUSIVE")]
    assert ("public.messages", "SHARE UPDATE EXCLUSIVE") in [(lock.relation, lock.mode) for lock in dropped.locks]


def test_the_copy_carries_the_ledger_of_production(copies: Endpoint, copy: Endpoint) -> None:
    """Its identity is another cluster's, and another migration was in progress when the snapshot was taken."""
    earlier = plan_from_sql("CREATE TABLE earlier (id int)", version="000_earlier")
    with Ledger(copy) as ledger:
        ledger.install()
        ledger.begin(earlier, run=run_of(earlier, "another run"))
    with psycopg.connect(copy.conninfo) as conn:
        conn.execute("UPDATE migrator.ledger_identity SET system_identifier = '123', database_oid = 1")
    plan = plan_from_sql("CREATE TABLE a (id int)", "DROP TABLE a")
    assert rehearse(plan, copies, copy).verdict is Verdict.PASSED
    with Ledger(copy) as ledger:
        assert [row.version for row in ledger.migrations()] == ["000_earlier"]
        assert [row.version for row in ledger.all_running()] == ["000_earlier"], "the copy's own ledger is as it was"
        assert ledger.identity().system_identifier == "123"


@pytest.mark.parametrize("table, verdict", [("b", Verdict.UNVERIFIED), ("c", Verdict.FAILED)])
def test_a_migration_that_is_resumed(copies: Endpoint, copy: Endpoint, table: str, verdict: Verdict) -> None:
    """An earlier run got half-way and was held; its SQL was mended, and the snapshot has the first half in it."""
    rollback = "DROP TABLE IF EXISTS b; DROP TABLE IF EXISTS c; DROP TABLE IF EXISTS a;"
    first = plan_from_sql("CREATE TABLE a (id int); VACUUM a; CREATE TABLE b (id nonsense);", rollback)
    there = logged_in(copies)
    with Ledger(there) as ledger:
        ledger.install()
        ledger.begin(first, run=run_of(first, "earlier"))
        with pytest.raises(StatementFailed):
            execution.run(
                first.steps[0], StepContext(endpoint=there, ledger=ledger, plan=first, run=run_of(first, "earlier"))
            )
        ledger.mark_failed(first.version, run=run_of(first, "earlier"), error_message="held")
    mended = plan_from_sql(
        f"CREATE TABLE a (id int); VACUUM a; CREATE TABLE {table} (id int);",
        rollback,
        expected_changes={"added": {"table": ["public.a", "public.b"]}},
    )
    if verdict is Verdict.FAILED:
        assert check_of(failed(mended, copies, copy).evidence, "expected_changes").verdict is Verdict.FAILED
        return
    evidence = rehearse(mended, copies, copy)
    assert evidence.verdict is Verdict.UNVERIFIED, "nobody can say what was there before its first part"
    assert evidence.stands, "and who has half of a migration must be able to go on"
    assert evidence.outcome.startswith("not all is proved, rollback_schema_equal: a part of it was applied before")
    assert evidence.extra["resumed"]
    assert [trace.kind for trace in evidence.statements] == ["CREATE TABLE"], "what is done is not done again"
    assert not any("public.a" in line for line in evidence.schema_diff)
    assert check_of(evidence, "expected_changes").verdict is Verdict.PASSED, "of the whole migration"
    assert check_of(evidence, "rollback_schema_equal").verdict is Verdict.UNVERIFIED
    assert check_of(evidence, "reapply_schema_equal").verdict is Verdict.PASSED


def test_a_superuser_is_refused(copies_server: Server, copies: Endpoint, copy: Endpoint) -> None:
    plan = plan_from_sql("CREATE TABLE a (id int)", "DROP TABLE a")
    admin = Endpoint(conninfo=copies_server.conninfo())
    with pytest.raises(Refused, match="is a superuser"):
        rehearse(plan, admin, copy)
    # SET ROLE hides it only: the SQL could say RESET ROLE.
    with pytest.raises(Refused, match="is a superuser"):
        rehearse(plan, replace(admin, role=str(conninfo_to_dict(copies.conninfo)["user"])), copy)
    assert databases(copies) == {"postgres", COPY}


def test_a_role_that_starts_programs_is_refused(copies_server: Server, copies: Endpoint, copy: Endpoint) -> None:
    with psycopg.connect(copies_server.conninfo(), autocommit=True) as admin:
        admin.execute("CREATE ROLE runner LOGIN CREATEDB PASSWORD 'x'; GRANT pg_execute_server_program TO runner")
        admin.execute("GRANT CONNECT ON DATABASE postgres TO runner")
        try:
            with pytest.raises(Refused, match="programs of the server"):
                rehearse(
                    plan_from_sql("CREATE TABLE a (id int)"),
                    Endpoint(conninfo=make_conninfo(copies.conninfo, user="runner", password="x")),
                    copy,
                )
        finally:
            admin.execute("DROP OWNED BY runner; DROP ROLE runner")


def test_evidence_of_another_snapshot_is_refused(copies: Endpoint, copy: Endpoint) -> None:
    plan = plan_from_sql("CREATE TABLE a (id int)")
    record = record_of(copy)
    for restore in (
        restore_of(record, COPY, snapshot_id="other"),
        restore_of(record, COPY, verdict=Verdict.UNVERIFIED),
    ):
        with pytest.raises(RestoreNotProven):
            dry_run.run(plan, record, restore, copies=copies, run=run_of(plan))
    with pytest.raises(Refused, match="target"):
        dry_run.run(
            plan, replace(record, target="elsewhere"), restore_of(record, COPY), copies=copies, run=run_of(plan)
        )
    with pytest.raises(EnvironmentFault, match="no restored copy"):
        dry_run.run(plan, record, restore_of(record, "gone"), copies=copies, run=run_of(plan))


def test_somebody_looks_at_the_copy(copies: Endpoint, copy: Endpoint) -> None:
    with psycopg.connect(copy.conninfo, application_name="psql"):
        trial = trial_database(copies, copy_of(copies), patience_seconds=0.1)
        with pytest.raises(TransientError, match=r"pid \d+ \(psql, user "):
            trial.__enter__()
    with trial_database(copies, copy_of(copies)) as opened:
        assert conninfo_to_dict(opened.texts.conninfo)["dbname"] == trial_name(COPY)


def test_a_cancel_leaves_no_clone(copies: Endpoint, copy: Endpoint) -> None:
    class Stopped(StepHandle):
        def raise_if_cancelled(self) -> None:
            self._stopped.set()
            super().raise_if_cancelled()

    with pytest.raises(Cancelled):
        rehearse(plan_from_sql("CREATE TABLE a (id int)"), copies, copy, Stopped())
    assert databases(copies) == {"postgres", COPY}


KILLED = """
import sys
from migrator.stages import dry_run
from migrator.database.session import Endpoint
sys.path.insert(0, {root!r})
from tests.factories_evidence import record_of, restore_of
from tests.integration.copies import COPY, SHOP, check_of, copy_of, failed, logged_in, make_copy, rehearse, run_of
from tests.integration.copies import run_of
from tests.integration.test_dry_run import KILL_PLAN
copies = Endpoint(conninfo={conninfo!r})
record = record_of(copies.with_database("copy_of_shop"))
dry_run.run(KILL_PLAN, record, restore_of(record, "copy_of_shop"), copies=copies, run=run_of(KILL_PLAN))
"""
KILL_PLAN = plan_from_sql(
    "CREATE TABLE a (id int);\nVACUUM messages;\nDO $$BEGIN PERFORM pg_sleep(1.5); END$$;\nCREATE TABLE b (id int);",
    "DROP TABLE IF EXISTS b; DROP TABLE IF EXISTS a;",
)


@pytest.mark.thorough
def test_killed_in_the_middle_and_run_again(copies: Endpoint, copy: Endpoint, repository: object) -> None:
    """kill -9 while the third statement runs: two have taken effect on the clone."""
    undisturbed = rehearse(KILL_PLAN, copies, copy)
    before = record_of(copy)
    program = textwrap.dedent(KILLED).format(root=str(repository), conninfo=copies.conninfo)
    process = subprocess.Popen([sys.executable, "-c", program], cwd=str(repository), stderr=subprocess.PIPE, text=True)
    try:
        _wait_for_table(copies.with_database(trial_name(COPY)), "a", process)
    finally:
        process.kill()
        process.communicate(timeout=30)
    assert trial_name(COPY) in databases(copies), "this is what a killed attempt leaves"
    again = rehearse(KILL_PLAN, copies, copy)
    assert verdicts(again) == verdicts(undisturbed)
    assert again.fingerprint_after == undisturbed.fingerprint_after
    assert again.schema_diff == undisturbed.schema_diff
    assert record_of(copy) == before
    assert databases(copies) == {"postgres", COPY}


def _wait_for_table(endpoint: Endpoint, table: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[1]
        try:
            with psycopg.connect(endpoint.conninfo) as conn:
                if conn.execute("SELECT to_regclass(%s)", [table]).fetchone() != (None,):
                    return
        except psycopg.OperationalError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"table {table} never appeared")


def test_what_a_step_promises_is_looked_at_on_the_copy(copies: Endpoint, copy: Endpoint) -> None:
    kind = kind_named("analyze_tables")
    given = {"tables": ["public.messages"], "skip_locked": False, "buffer_usage_limit": None}
    parsed, statements = to_steps("ANALYZE public.messages", "migration-metadata.yaml#fresh", start=1)
    plan = plan_from_sql("ALTER TABLE messages ALTER stars TYPE bigint", "ALTER TABLE messages ALTER stars TYPE int")
    plan = replace(plan, steps=(*plan.steps, kind.plan(Written("fresh", parsed, statements, given))))
    evidence = rehearse(plan, copies, copy)
    assert check_of(evidence, "step fresh").verdict is Verdict.PASSED
    assert verdicts(evidence)["rollback_schema_equal"] == "passed"
    wrong = replace(plan.steps[1], params={**given, "tables": ["public.nowhere"]})
    failure = failed(replace(plan, steps=(plan.steps[0], wrong)), copies, copy)
    assert "there is no table public.nowhere" in check_of(failure.evidence, "step fresh").detail


def test_what_undoes_itself_is_rehearsed_without_a_script(copies: Endpoint, copy: Endpoint) -> None:
    kind = kind_named("analyze_tables")
    given = {"tables": ["public.messages"], "skip_locked": False, "buffer_usage_limit": None}
    parsed, statements = to_steps("ANALYZE public.messages", "migration-metadata.yaml#fresh")
    step = kind.plan(Written("fresh", parsed, statements, given))
    evidence = rehearse(replace(plan_from_sql("SELECT 1"), steps=(step,)), copies, copy)
    assert not evidence.irreversible
    assert verdicts(evidence)["rollback_schema_equal"] == verdicts(evidence)["reapply"] == "passed"


@pytest.mark.parametrize(
    "up, idle",
    [
        ("CREATE TABLE n (id int); DROP TABLE n;", True),
        ("SELECT count(*) FROM messages;", True),
        ("UPDATE messages SET stars = 9 WHERE id = -1;", True),
        ("ALTER TABLE messages ADD COLUMN x int; ALTER TABLE messages DROP COLUMN x;", True),
        (
            "ALTER TABLE messages DROP COLUMN stars; ALTER TABLE messages ADD COLUMN stars int NOT NULL DEFAULT 0;",
            False,
        ),
        ("UPDATE messages SET stars = stars WHERE id = 1;", False),
        ("DO $$BEGIN TRUNCATE messages; END$$;", False),
        ("CREATE TABLE n (id int);", False),
        ("ANALYZE messages;", False),
    ],
)
def test_an_apply_that_changes_nothing_is_told(copies: Endpoint, up: str, idle: bool) -> None:
    plan = plan_from_sql(up, "SELECT 1;")
    try:
        evidence = rehearse(plan, copies, make_copy(copies))
    except DryRunFailed as failure:
        evidence = failure.fields["evidence"]
    else:
        assert not idle or evidence.outcome.endswith("changed nothing: neither the schema nor a row of an older table")
    assert evidence.idle is idle
