"""Apply behind all its gates, on a real server: once in effect, one at a time, and refused with the reason."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from migrator.catalogue.catalogue import load_one
from migrator.catalogue.migration import Migration
from migrator.database.locking import migration_lock
from migrator.database.session import Endpoint
from migrator.errors import (
    ContentChanged,
    DependencyMissing,
    DriftDetected,
    HeldByOther,
    LockNotAvailable,
    NeedsHuman,
    OutOfOrder,
    OutsideWindow,
    Refused,
    ReviewMissing,
    ReviewRefused,
    StatementFailed,
)
from migrator.evidence import EvidenceBundle, Verdict
from migrator.ledger.ledger import Ledger
from migrator.plan import Plan, Risk
from migrator.run import RunContext
from migrator.stages import analyze, apply, review
from migrator.targets.targets import Freeze, OrderPolicy, Target, WindowRule
from tests.evidence import make_bundle, read_schema, rehearse
from tests.factories import NOW, make_plan, plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, make_target, query, roll_back, row_of, run_of, traces, verify_it

TABLE = "CREATE TABLE t (id int, v int); INSERT INTO t SELECT g, g FROM generate_series(1, 100) g;"


def test_first_second_and_third_time(database: Endpoint, make_database: MakeDatabase) -> None:
    """A.1: applied once, verified; every later run is a no-op that writes nothing."""
    plan = make_plan()
    bundle = rehearse(plan, database, make_database("twin"))
    apply_all(plan, database, bundle)
    report = verify_it(plan, database, bundle)
    assert {check.name for check in report.checks} == {"ledger", "schema", "owners and rights", "unfinished"}
    row = row_of(plan, database)
    assert row is not None
    assert (row.status, row.checksum, row.run_id) == ("success", plan.content_digest, "run-1")
    before = traces(database)
    for number in (1, 2, 3):
        results = apply_all(plan, database, bundle, run_id=f"run-{number}")
        assert [result.reconciled for result in results] == [True]
        assert verify_it(plan, database, bundle, run_id=f"run-{number}").already_verified
        assert roll_back(plan, database, bundle, run_id=f"run-{number}").action == "kept_verified"
    assert traces(database) == before


def test_drift_is_refused_with_the_difference(database: Endpoint) -> None:
    plan = make_plan()
    bundle = make_bundle(plan, before := read_schema(database), before)
    query(database, "CREATE TABLE by_hand (id int)")
    with pytest.raises(DriftDetected, match=r"\+ table public\.by_hand"):
        apply_all(plan, database, bundle)
    assert query(database, "SELECT to_regclass('thing')") == [(None,)]
    assert row_of(plan, database) is None


def test_missing_dependency(database: Endpoint) -> None:
    plan = make_plan(dependencies=("000_before",))
    with pytest.raises(DependencyMissing, match="000_before"):
        apply_all(plan, database)


def test_evidence_of_another_plan(database: Endpoint) -> None:
    plan = make_plan()
    bundle = make_bundle(plan, before := read_schema(database), before)
    with pytest.raises(Refused, match="dry run was of another plan"):
        apply_all(replace(plan, lock_timeout_ms=5), database, bundle)
    failed = replace(bundle, dry_run=replace(bundle.dry_run, verdict=Verdict.UNVERIFIED))
    with pytest.raises(Refused, match="dry run is unverified"):
        apply_all(plan, database, failed)


def test_window_and_freeze_are_asked_inside_the_lock(database: Endpoint) -> None:
    plan = make_plan()
    bundle = make_bundle(plan, before := read_schema(database), before, seconds=60.0)
    late = WindowRule(days=("wed",), start="01:00", duration=timedelta(minutes=61))
    with pytest.raises(OutsideWindow, match="are left of this window, 1 minute 30 seconds are needed"):
        apply_all(plan, database, bundle, target=make_target(windows=(late,)))
    freeze = Freeze("release week", NOW - timedelta(days=1), NOW + timedelta(days=1))
    with pytest.raises(OutsideWindow, match="frozen: release week"):
        apply_all(plan, database, bundle, target=make_target(freezes=(freeze,)))
    assert row_of(plan, database) is None
    early = WindowRule(days=("wed",), start="01:00", duration=timedelta(minutes=90))
    apply_all(plan, database, bundle, target=make_target(windows=(early,)))


REVIEWED = {
    "reviews": {risk: 2 for risk in Risk},
    "reviewers": {"ann": "ann@example.com", "bob": "bob@example.com", "author": "Author@example.com"},
}


def answer(plan: Plan, bundle: EvidenceBundle, endpoint: Endpoint, who: str, target: Target, said: str) -> None:
    with Ledger(endpoint) as ledger:
        ledger.install()
        review.record(
            ledger,
            plan,
            bundle.digest,
            target=target,
            responder=who,
            decision=said,
            comment="",
            now=NOW,
            run=run_of(plan),
        )


def test_reviews_of_two_people_none_of_them_the_author(database: Endpoint) -> None:
    plan, target = make_plan(), make_target(**REVIEWED)
    bundle = make_bundle(plan, before := read_schema(database), before)
    with pytest.raises(ReviewMissing, match="2 valid approvals"):
        apply_all(plan, database, bundle, target=target)
    answer(plan, bundle, database, "ann", target, "approved")
    with pytest.raises(ReviewRefused, match="second person"):
        answer(plan, bundle, database, "ann", target, "approved")
    with pytest.raises(ReviewRefused, match="is the author"):
        answer(plan, bundle, database, "author", target, "approved")
    with pytest.raises(ReviewRefused, match="not among the reviewers"):
        answer(plan, bundle, database, "eve", target, "approved")
    with pytest.raises(ReviewMissing, match="1 there"):
        apply_all(plan, database, bundle, target=target)
    answer(plan, bundle, database, "bob", target, "approved")

    later = run_of(plan, clock=lambda: NOW + timedelta(days=8))
    with pytest.raises(ReviewMissing, match="expired"):
        apply_all(plan, database, bundle, target=target, run=later)
    without_bob = replace(target, reviewers={"ann": "ann@example.com"})
    with pytest.raises(ReviewMissing, match="'bob' is not among the reviewers"):
        apply_all(plan, database, bundle, target=without_bob)
    seen_otherwise = make_bundle(plan, before, before, seconds=99.0)
    with pytest.raises(ReviewMissing, match="something changed after the review"):
        apply_all(plan, database, seen_otherwise, target=target)
    changed = replace(plan, lock_timeout_ms=60_000)
    with pytest.raises(ReviewMissing, match="something changed after the review"):
        apply_all(changed, database, make_bundle(changed, before, before), target=target)

    apply_all(plan, database, bundle, target=target)
    assert query(database, "SELECT to_regclass('thing')") == [("thing",)]


def test_an_emergency_lifts_the_calendar_and_nothing_else(database: Endpoint) -> None:
    frozen = Freeze("release week", NOW - timedelta(days=1), NOW + timedelta(days=1), except_emergency=True)
    target = make_target(freezes=(frozen,), reviewers=REVIEWED["reviewers"])
    plan = make_plan(emergency="the disk fills up")
    bundle = make_bundle(plan, before := read_schema(database), before)

    def attempt(**over: object) -> None:
        apply_all(plan, database, bundle, target=target, **over)

    with pytest.raises(ReviewMissing, match="2 valid approvals by different people needed for an emergency"):
        attempt()
    answer(plan, bundle, database, "ann", target, "approved")
    with pytest.raises(ReviewMissing, match="1 there"):
        attempt()
    answer(plan, bundle, database, "bob", target, "approved")
    query(database, "CREATE TABLE public.by_hand (id int)")
    with pytest.raises(DriftDetected):
        attempt()
    query(database, "DROP TABLE public.by_hand")
    strict = replace(target, freezes=(replace(frozen, except_emergency=False),))
    with pytest.raises(OutsideWindow, match="no emergency lifts that freeze"):
        apply_all(plan, database, bundle, target=strict)
    with migration_lock(database, run=run_of(plan, version="002_other")), pytest.raises(HeldByOther):
        attempt(deadline_seconds=0.2)
    assert row_of(plan, database) is None

    attempt()
    with Ledger(database) as ledger:
        (event,) = [one for one in ledger.events(plan.version) if one.kind == "emergency"]
        assert ledger.verify_chain() == ()
    assert event.detail["reason"] == "the disk fills up"
    assert "frozen: release week" in event.detail["lifted"]
    assert (event.actor, event.run_id) == ("tester", "run-1")


def test_a_plan_that_declares_no_emergency_stays_in_its_calendar(database: Endpoint) -> None:
    """Approvals of the emergency do not cover the ordinary plan, nor the other way round."""
    frozen = Freeze("release week", NOW - timedelta(days=1), NOW + timedelta(days=1), except_emergency=True)
    target = make_target(freezes=(frozen,), **REVIEWED)
    plan = make_plan()
    bundle = make_bundle(plan, before := read_schema(database), before)
    for who in ("ann", "bob"):
        answer(plan, bundle, database, who, target, "approved")
    with pytest.raises(OutsideWindow, match="release week"):
        apply_all(plan, database, bundle, target=target)
    urgent = replace(plan, emergency="because")
    with pytest.raises(ReviewMissing, match="something changed after the review"):
        apply_all(urgent, database, make_bundle(urgent, before, before), target=target)


def test_a_lower_version_is_never_applied_in_silence(database: Endpoint) -> None:
    later = make_plan(version="005_later")
    apply_all(later, database, run=run_of(later))
    with Ledger(database) as ledger:
        ledger.mark_verified(later.version, run=run_of(later))
    plan = plan_from_sql(TABLE, "DROP TABLE t;", version="003_late")
    known = replace(plan, out_of_order=("005_later",))
    with pytest.raises(OutOfOrder, match=r"005_later.*out_of_order: reject"):
        apply_all(known, database, run=run_of(plan))

    asks = make_target(out_of_order=OrderPolicy.ASK, reviewers=REVIEWED["reviewers"])
    bundle = make_bundle(known, before := read_schema(database), before)
    with pytest.raises(ReviewMissing, match="1 valid approval needed"):
        apply_all(known, database, bundle, target=asks)
    with pytest.raises(OutOfOrder, match="after '003_late' was analysed"):
        apply_all(plan, database, make_bundle(plan, before, before), target=asks)
    assert row_of(plan, database) is None
    answer(known, bundle, database, "ann", asks, "approved")
    apply_all(known, database, bundle, target=asks)
    with Ledger(database) as ledger:
        (event,) = [one for one in ledger.events(plan.version) if one.kind == "out_of_order"]
    assert event.detail == {"higher": ["005_later"], "policy": "ask"}


def test_a_lower_version_where_the_policy_applies_it(database: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    later = make_plan(version="005_later")
    apply_all(later, database, run=run_of(later))
    with Ledger(database) as ledger:
        ledger.mark_verified(later.version, run=run_of(later))
    plan = plan_from_sql(TABLE, "DROP TABLE t;", version="003_late")
    with caplog.at_level(logging.WARNING):
        apply_all(plan, database, target=make_target(out_of_order=OrderPolicy.APPLY))
    assert "out of order" in caplog.text
    with Ledger(database) as ledger:
        assert "out_of_order" in [one.kind for one in ledger.events(plan.version)]


def test_one_rejection_stops_it(database: Endpoint) -> None:
    plan, target = make_plan(), make_target(**REVIEWED)
    bundle = make_bundle(plan, before := read_schema(database), before)
    for who in ("ann", "bob"):
        answer(plan, bundle, database, who, target, "approved")
    with pytest.raises(ReviewRefused, match="rejected"):
        answer(plan, bundle, database, "bob", target, "rejected")
    with pytest.raises(ReviewMissing, match="'bob' rejected it"):
        apply_all(plan, database, bundle, target=target)


def test_a_review_written_by_hand_does_not_count(database: Endpoint) -> None:
    """Whoever may write to the table still cannot forge the event that backs a review."""
    plan, target = make_plan(), make_target(**REVIEWED)
    bundle = make_bundle(plan, before := read_schema(database), before)
    answer(plan, bundle, database, "ann", target, "approved")
    query(
        database,
        "INSERT INTO migrator.schema_migration_reviews (version, plan_digest, evidence_digest, reviewer,"
        " reviewer_email, decision, reason, decided_at, expires_at, run_id, event_id)"
        " SELECT version, plan_digest, evidence_digest, 'bob', 'bob@example.com', decision, reason, decided_at,"
        " expires_at, run_id, 1 FROM migrator.schema_migration_reviews",
    )
    with pytest.raises(Refused, match="review"):
        apply_all(plan, database, bundle, target=target)
    assert query(database, "SELECT to_regclass('thing')") == [(None,)]


METADATA = """
version: 001_test
description: a test
author: author@example.com
risk_level: low
rollback_available: true
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "2025" / "001_test"
    folder.mkdir(parents=True)
    (folder / "migration-metadata.yaml").write_text(METADATA)
    (folder / "001_test.sql").write_text("CREATE TABLE thing (\n    id bigint PRIMARY KEY,\n    name text\n);\n")
    (folder / "001_test_rollback.sql").write_text("DROP TABLE thing;\n")
    return folder


def loaded(folder: Path) -> Migration:
    return load_one(folder.parent.parent, "001_test")


def test_edited_files(database: Endpoint, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A.2 and A.3: an edit stops it with both digests and the difference; one of layout only is called cosmetic."""
    plan = analyze.analyze(loaded(folder), target=make_target(), clock=lambda: NOW)
    good = (folder / "001_test.sql").read_text()
    (folder / "001_test.sql").write_text(good.replace("name text", "title text"))
    with pytest.raises(ContentChanged) as caught:
        apply_all(plan, database, migration=loaded(folder))
    text = str(caught.value)
    assert text.count("sha256:") == 2
    assert "-    name text" in text
    assert "+    title text" in text
    assert caught.value.old_digest == plan.content_digest

    (folder / "001_test.sql").write_text(good)
    (folder / "migration-metadata.yaml").write_text(METADATA + "verify:\n  - SELECT true\n")
    with pytest.raises(ContentChanged, match=r"\+  - SELECT true"):
        apply_all(plan, database, migration=loaded(folder))
    assert query(database, "SELECT to_regclass('thing')") == [(None,)]

    (folder / "migration-metadata.yaml").write_text(METADATA + "notes: call the team before\n")
    (folder / "001_test.sql").write_bytes(b"\xef\xbb\xbf-- things\r\n" + good.replace("\n", " \r\n").encode())
    with caplog.at_level(logging.WARNING):
        apply_all(plan, database, migration=loaded(folder))
    assert caplog.text.count("cosmetic") == 2
    assert query(database, "SELECT to_regclass('thing')") == [("thing",)]


def test_steps_in_their_order(database: Endpoint) -> None:
    first, second = make_plan().steps[0], plan_from_sql("CREATE TABLE later (id int)").steps[0]
    plan = make_plan(steps=(replace(first, name="first"), replace(second, name="second")))
    with Ledger(database) as ledger, pytest.raises(NeedsHuman, match="'second' comes after 'first'"):
        apply.run_step(plan, "second", endpoint=database, ledger=ledger, run=run_of(plan), target=make_target())
    apply_all(plan, database)
    assert query(database, "SELECT to_regclass('later')") == [("later",)]


def test_another_migration_left_half_applied(database: Endpoint) -> None:
    broken = plan_from_sql("CREATE TABLE a (id int); VACUUM; SELECT nonsense;", version="000_broken")
    with pytest.raises(StatementFailed):
        apply_all(broken, database)
    assert roll_back(broken, database).action == "held", "there is no rollback script"
    with pytest.raises(NeedsHuman, match="'000_broken' failed and part of it is still applied"):
        apply_all(make_plan(), database)


def test_a_ledger_of_another_database_is_refused(database: Endpoint) -> None:
    """A.10: restored from a backup, or cloned."""
    apply_all(make_plan(), database)
    query(database, "UPDATE migrator.ledger_identity SET system_identifier = '42'")
    with pytest.raises(Refused, match="written on cluster 42"):
        apply_all(plan_from_sql("SELECT 1", version="002_other"), database)


@contextmanager
def in_background(work: object) -> Iterator[list[BaseException]]:
    """Run `work` in a thread; what it raised is in the list after the block."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()  # type: ignore[operator]
        except BaseException as exc:
            raised.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield raised
    finally:
        thread.join(timeout=90)
        assert not thread.is_alive()


def wait_for(endpoint: Endpoint, condition: str, *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not query(endpoint, f"SELECT {condition}")[0][0]:
        assert time.monotonic() < deadline, f"never true: {condition}"
        time.sleep(0.05)


ACTIVE = "EXISTS (SELECT 1 FROM pg_stat_activity WHERE application_name = 'migration apply {}' AND state = 'active')"


def test_a_second_runner_is_told_who_holds_it(database: Endpoint) -> None:
    """C.19: it ends soon, and leaves no session behind."""
    slow = plan_from_sql("SELECT pg_sleep(3)", version="001_slow")
    with in_background(lambda: apply_all(slow, database)) as raised:
        wait_for(database, ACTIVE.format("001_slow"))
        started = time.monotonic()
        with pytest.raises(HeldByOther, match="migration lock 001_slow"):
            apply_all(make_plan(version="002_fast"), database, run_id="run-2", deadline_seconds=0.5)
        assert time.monotonic() - started < 2.5
    assert not raised


def test_concurrent_index_is_built_while_another_migration_waits(database: Endpoint) -> None:
    """C.20 and C.21: neither our own lock nor a waiting runner holds a snapshot that the build would wait for."""
    query(database, TABLE)
    index = plan_from_sql("CREATE INDEX CONCURRENTLY t_v ON t (v)", version="001_index")
    table = make_plan(version="002_table")
    with psycopg.connect(database.conninfo, application_name="reader") as reader:
        reader.execute("SELECT count(*) FROM t")
        reader.execute("DECLARE c CURSOR FOR SELECT * FROM t")
        with in_background(lambda: (apply_all(index, database), verify_it(index, database))) as first:
            wait_for(database, ACTIVE.format("001_index"))
            with in_background(lambda: apply_all(table, database, run_id="run-2")) as second:
                time.sleep(1.5)
                assert query(database, "SELECT to_regclass('thing')") == [(None,)], "one at a time"
                reader.rollback()
    assert first == []
    assert second == []
    assert query(database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_v'::regclass") == [(True,)]
    assert query(database, "SELECT to_regclass('thing')") == [("thing",)]


def test_two_runs_of_the_same_migration(database: Endpoint) -> None:
    plan = plan_from_sql("CREATE TABLE once (id int); SELECT pg_sleep(0.5); INSERT INTO once VALUES (1);")
    with (
        in_background(lambda: apply_all(plan, database, run_id="run-1")) as first,
        in_background(lambda: apply_all(plan, database, run_id="run-2")) as second,
    ):
        wait_for(database, ACTIVE.format("001_test"))
    assert query(database, "SELECT count(*) FROM once") == [(1,)]
    errors = [*first, *second]
    assert len(errors) == 1
    assert isinstance(errors[0], HeldByOther)


@pytest.mark.usefixtures("queues_at_once")
def test_blockers_are_named_and_tries_are_short(database: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    """F.44: while a table is held, each try is given up after lock_timeout, and the log says who holds it."""
    query(database, TABLE)
    plan = plan_from_sql("ALTER TABLE t ADD COLUMN w int", lock_timeout_ms=300)
    with psycopg.connect(database.conninfo, application_name="forgotten psql") as holder:
        holder.execute("SELECT count(*) FROM t")
        pid = holder.info.backend_pid
        with caplog.at_level(logging.WARNING), pytest.raises(LockNotAvailable) as caught:
            apply_all(plan, database, deadline_seconds=2.0)
    assert caught.value.attempts >= 2
    assert f"pid {pid} (forgotten psql" in caplog.text
    assert "AccessShareLock on public.t" in caplog.text
    assert "idle in transaction" in str(caught.value)
    # Let go, the same run goes on.
    apply_all(plan, database)
    assert query(database, "SELECT count(w) FROM t") == [(0,)]


def test_run_of_another_target_or_version(database: Endpoint) -> None:
    plan = make_plan()
    stranger = RunContext(run_id="r", version="999_other", target="test", actor="tester")
    with pytest.raises(Refused, match="cannot be applied as '999_other'"):
        apply_all(plan, database, run=stranger)


def test_nothing_of_the_file_begins_a_line_of_the_log(database: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    """Names, comments and texts of errors may have line breaks."""
    caplog.set_level("INFO")
    line = "[2026-01-01T00:00:00Z] INFO - approved by alice and bob"
    name = f'"x\n{line}"'
    made = f"CREATE TABLE {name} (id int); CREATE TABLE IF NOT EXISTS {name} (id int)"
    with pytest.raises(StatementFailed):
        apply_all(plan_from_sql(f"{made}; SELECT '\n{line}' FROM no_table"), database)
    assert line in caplog.text
    assert not [one for one in caplog.text.splitlines() if one.startswith(line)]
