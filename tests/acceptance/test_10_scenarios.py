"""Case 10: scenarios of a team's daily work that need a whole run; what one server can prove is in tests/integration.

Ledger: an applied migration is edited. Failure: statement by statement, at COMMIT, irreversible. Statements outside a
transaction: progress, and going on where it stopped. Concurrency is in test_04 and test_05.
"""

from __future__ import annotations

from dataclasses import replace

from migrator.catalogue.order import sort_key
from migrator.history.baseline import adopt
from migrator.ledger.ledger import Ledger
from migrator.run import RunContext
from tests.acceptance.case import Case
from tests.acceptance.specs import ADD_TABLE, NOT_SABOTAGED, PRESENT, SABOTAGED, SABOTEUR, Files, scenario

NEXT = Files(sql="CREATE TABLE following (id bigint PRIMARY KEY);\n", rollback="DROP TABLE following;\n")
CAROL = RunContext(run_id="cli:baseline", version="", target="", actor="carol")
ONE_REVIEW = {"environment": "production", "reviews": {"low": 1, "medium": 1, "high": 1}}
SECOND_INDEX = "CREATE INDEX CONCURRENTLY messages_by_status ON messages (direction, created_at);\n"


@scenario()
def test_a02_a03_applied_file_is_edited(case: Case) -> None:
    assert case.trigger().wait() == "success"
    row, script = case.row(), case.folder() / f"{case.version()}.sql"

    script.write_bytes(b"-- in other words\r\n" + script.read_bytes().replace(b"\n", b"\r\n"))
    cosmetic = case.trigger()
    assert cosmetic.wait() == "success"
    assert case.row() == row

    script.write_text(script.read_text().replace("name text", "title text"))
    edited = case.trigger()
    assert edited.wait() == "failed"
    assert edited.states()["analyze"] == "failed"
    assert edited.log("analyze").count("sha256:") >= 2, "old and new digest"
    assert case.row() == row
    case.expect_applied()


@scenario(baselined=False)
def test_a08_a_database_with_a_past_wants_a_baseline(case: Case) -> None:
    """The runbook's own table says that this version was applied by hand: it must not be applied again."""
    case.query("CREATE TABLE public.schema_migrations (version text, applied_at timestamptz DEFAULT now())")
    case.query("GRANT SELECT ON public.schema_migrations TO PUBLIC")
    case.query("INSERT INTO public.schema_migrations (version) VALUES (%s)", case.version())
    run = case.trigger()
    assert run.wait() == "failed"
    assert run.states()["analyze"] == "failed"
    assert "migrator baseline" in run.log("analyze")
    with Ledger(case.endpoint) as ledger:
        assert not ledger.exists()
        adopt(case.endpoint, ledger, run=replace(CAROL, target=case.target), reason="applied by hand in 2024")
    run.clear("analyze", downstream=True)
    assert run.wait() == "success"
    assert run.states()["snapshot"] == "skipped"
    row = case.row()
    assert row is not None
    assert (row.status, row.run_id, row.verified_at) == ("success", CAROL.run_id, None), "adopted, not applied"
    assert case.value("SELECT to_regclass('labels')") is None


@scenario(target={"out_of_order": "reject"}, migrations={"": Files(), "next": NEXT})
def test_a05_lower_version_is_merged_late(case: Case) -> None:
    """Rejected; or, where the policy asks, applied once somebody has approved it. Never in silence."""
    low, high = sorted(("", "next"), key=lambda name: sort_key(case.version(name)))
    assert case.trigger(high).wait() == "success"
    run = case.trigger(low)
    assert run.wait() == "failed"
    assert run.states()["analyze"] == "failed"
    assert case.version(high) in run.log("analyze")
    assert case.row(low) is None

    case.set_policy(out_of_order="ask")
    run.clear("analyze", downstream=True)
    run.respond(1, "alice")
    assert case.version(high) in run.admin.card(run.dag_id, run.run_id, "review.reviewer_1")["body"].replace("\\", "")
    assert run.wait() == "success"
    case.expect_applied(low, others=(high,))
    assert [event.detail["higher"] for event in case.events(low) if event.kind == "out_of_order"] == [
        [case.version(high)]
    ]


@scenario(
    migrations={
        "": Files(
            sql="CREATE INDEX CONCURRENTLY messages_by_direction ON messages (direction);\n"
            "DO $$ BEGIN RAISE WARNING 'half way'; END $$;\n" + SABOTAGED + SECOND_INDEX,
            rollback="DROP INDEX IF EXISTS messages_by_status;\nDROP INDEX IF EXISTS messages_by_direction;\n",
            metadata={"on_failure": "hold"},
        )
    }
)
def test_b12_b17_goes_on_where_it_stopped(case: Case) -> None:
    with case.connect(application_name=SABOTEUR):
        run = case.trigger()
        assert run.wait() == "failed"
    row, log = case.row(), run.log(case.step())
    assert row is not None
    assert row.status == "failed"
    assert "half way" in log, "warnings of the server are kept"
    assert case.value("SELECT cursor ->> 'statements_done' FROM migrator.schema_migration_steps") == "2"
    before = case.value("SELECT 'messages_by_direction'::regclass::oid")

    run.clear(case.step(), downstream=True)
    assert run.wait() == "success"
    case.expect_applied()
    assert case.value("SELECT 'messages_by_direction'::regclass::oid") == before, "what was done is not done again"


@scenario(target=ONE_REVIEW, migrations={"": Files(rollback=None, metadata=NOT_SABOTAGED), "next": NEXT})
def test_b15_irreversible_wants_one_more_and_stays(case: Case) -> None:
    with case.connect(application_name=SABOTEUR):
        run = case.trigger()
        run.respond(1, "alice")
        run.respond(2, "bob")
        assert run.wait() == "failed"
    row = case.row()
    assert row is not None
    assert row.status == "failed"
    assert case.value("SELECT to_regclass('labels') IS NOT NULL"), "nobody invents a rollback"
    assert "forward" in run.log("rollback") + run.log("outcome")

    following = case.trigger("next")
    following.respond(1, "alice")
    assert following.wait() == "failed", "nothing is built on a half-applied migration"
    assert case.row("next") is None


@scenario(
    migrations={
        "": Files(
            sql="CREATE TABLE labels (id bigint PRIMARY KEY, parent bigint REFERENCES labels DEFERRABLE"
            " INITIALLY DEFERRED);\n"
            f"INSERT INTO labels SELECT 1, 99 WHERE {PRESENT};\n",
            rollback="DROP TABLE labels;\n",
        )
    }
)
def test_b16_constraint_fails_at_commit(case: Case) -> None:
    with case.connect(application_name=SABOTEUR):
        run = case.trigger()
        assert run.wait() == "failed"
    assert run.states()[case.step()] == "failed"
    assert "violates foreign key" in run.log(case.step())
    assert case.value("SELECT sqlstate FROM migrator.schema_migration_steps") == "23503"
    case.expect_not_applied(status=("failed", "rolled_back"))


@scenario(
    migrations={
        "": Files(
            sql="BEGIN;\nDO $$ BEGIN PERFORM 1 FROM schema_migrations; IF FOUND THEN RETURN; END IF; END $$;\n"
            + ADD_TABLE
            + "COMMIT;\n",
            rollback="BEGIN;\nDROP TABLE labels;\nEND;\n",
        )
    }
)
def test_b18_the_engine_does_what_the_file_would(case: Case) -> None:
    run = case.trigger()
    assert run.wait() == "success"
    row = case.row()
    assert row is not None
    assert row.status == "success"
    assert row.verified_at is not None
    assert case.value("SELECT to_regclass('labels')") is not None
    assert case.value("SELECT to_regclass('schema_migrations')") is None


@scenario(migrations={"": Files(sql="SAVEPOINT half;\n" + ADD_TABLE)})
def test_b18_transaction_control_is_refused(case: Case) -> None:
    run = case.trigger()
    assert run.wait() == "failed"
    assert run.states()["analyze"] == "failed"
    assert f"{case.version()}.sql:1" in run.log("analyze")
    case.expect_not_applied()
