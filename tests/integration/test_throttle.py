"""Between the batches of a backfill: people who pause and tune it, and a server that must not be loaded."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from migrator.database.session import Endpoint
from migrator.embedded.programs import Programs
from migrator.embedded.server import Server
from migrator.errors import Cancelled, LoadUnknown, UsageError
from migrator.ledger import controls
from migrator.ledger.ledger import Ledger
from migrator.plan import Plan
from migrator.run import RunContext
from migrator.steps import batch_size, batches, brake
from migrator.steps.batches import Work
from migrator.steps.context import StepHandle, StepResult
from migrator.steps.signals import hidden
from migrator.steps.throttle import Limits as Throttle
from migrator.targets.targets import Limits
from tests.integration.conftest import database_on
from tests.integration.stages import apply_all, make_target, query, run_of, verify_it
from tests.integration.test_apply import wait_for
from tests.integration.test_backfill import FILL, ROWS, TABLE, backfill, filled, plan_of
from tests.integration.test_estimate import standby_of

Third = Callable[[Work], None]
WAITS = "SELECT cursor -> 'waiting' ->> 'name' FROM migrator.schema_migration_steps WHERE status = 'running'"


@pytest.fixture(autouse=True)
def many_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many batches, and before each it is looked whether anybody has asked for anything."""
    monkeypatch.setattr(batch_size, "FIRST_PAGES", 4)
    monkeypatch.setattr(batch_size, "MOST_PAGES", 8)
    monkeypatch.setattr(batches, "LOOK_SECONDS", 0.0)


def before_the_third(monkeypatch: pytest.MonkeyPatch, do: Third) -> None:
    real, count = Work._batch, [0]

    def batch(work: Work, *args: Any) -> Any:
        count[0] += 1
        if count[0] == 3:
            do(work)
        return real(work, *args)

    monkeypatch.setattr(Work, "_batch", batch)


def ask(database: Endpoint, kind: str, plan: Plan, **detail: int) -> None:
    person = RunContext(run_id="cli:1", version=plan.version, target="test", actor="ada")
    with Ledger(database) as ledger:
        ledger.ask(plan.version, kind, run=person, reason="a sale", **detail)


@contextmanager
def applying(plan: Plan, database: Endpoint, **over: Any) -> Iterator[Future[list[StepResult]]]:
    """In a thread of its own, which is stopped when the test fails."""
    handle = over.pop("handle", StepHandle())
    with ThreadPoolExecutor(1) as pool:
        doing = pool.submit(lambda: apply_all(plan, database, handle=handle, **over))
        try:
            yield doing
        except BaseException:
            handle.cancel()
            raise


def wait_until(database: Endpoint, name: str | None, doing: Future[Any]) -> None:
    """For what it says that it waits for."""
    deadline = time.monotonic() + 30
    there = "SELECT to_regclass('migrator.schema_migration_steps') IS NOT NULL"
    while query(database, there) != [(True,)] or query(database, WAITS) != [(name,)]:
        assert not doing.done(), doing.result()
        assert time.monotonic() < deadline, f"it never waited for {name}"
        time.sleep(0.02)


def events_of(database: Endpoint, kind: str) -> list[Any]:
    return [
        row[0] for row in query(database, "SELECT detail FROM migrator.schema_migration_events WHERE kind = %s", kind)
    ]


def test_a_person_pauses_it_and_lets_it_go_on(database: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    query(database, TABLE)
    plan = plan_of(backfill(FILL))
    before_the_third(monkeypatch, lambda work: ask(database, controls.PAUSE, plan))
    with applying(plan, database) as doing:
        wait_until(database, "paused", doing)
        ((session,),) = query(database, "SELECT backend_pid FROM migrator.schema_migration_steps")
        kept = "SELECT xact_start IS NULL AND backend_xmin IS NULL FROM pg_stat_activity WHERE pid = %s"
        assert query(database, kept, session) == [(True,)]
        assert query(database, "SELECT count(*) FROM pg_locks WHERE pid = %s AND mode <> 'ExclusiveLock'", session) == [
            (0,)
        ]
        query(database, "UPDATE t SET id = id")  # nobody waits for a row
        ((done, _, _),) = filled(database)
        assert 0 < done < ROWS
        with pytest.raises(UsageError, match=r"paused already, by ada at .*: a sale"):
            ask(database, controls.PAUSE, plan)
        ask(database, controls.RESUME, plan)
        (result,) = doing.result(timeout=60)
    assert query(database, "SELECT count(*) FROM t WHERE b = a * 2") == [(ROWS,)]
    assert "paused" in result.statements[0].note
    (told,) = events_of(database, brake.EVENT)
    assert told["step"] == "fill"
    assert told["waited_seconds"]["paused"] > 0
    verify_it(plan, database)
    with Ledger(database) as ledger:
        assert ledger.verify_chain() == ()
        assert ledger.control(plan.version) == controls.Control()


def test_killed_and_cleared_it_is_still_paused(database: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    query(database, TABLE)
    plan, handle = plan_of(backfill(FILL)), StepHandle()
    before_the_third(monkeypatch, lambda work: ask(database, controls.PAUSE, plan))
    with applying(plan, database, handle=handle) as doing:
        wait_until(database, "paused", doing)
        handle.cancel()
        with pytest.raises(Cancelled):
            doing.result(timeout=30)
    before = filled(database)
    with applying(plan, database) as doing:  # its session ends as that of a killed worker does
        wait_until(database, "paused", doing)
        query(
            database,
            "SELECT pg_terminate_backend(backend_pid) FROM migrator.schema_migration_steps WHERE status = 'running'",
        )
        ask(database, controls.RESUME, plan)
        with pytest.raises(Exception, match="connection"):
            doing.result(timeout=30)
    assert filled(database) == before
    apply_all(plan, database)
    assert filled(database) == [(ROWS, 1, 1)]


def test_a_pause_before_the_first_batch_leaves_nothing_that_looks_done(database: Endpoint) -> None:
    """The plan may still change then."""
    query(database, TABLE)
    plan, handle = plan_of(backfill(FILL)), StepHandle()
    query(database, "ALTER TABLE t RENAME TO u")
    with pytest.raises(Exception, match="does not exist"):
        apply_all(plan, database)
    query(database, "ALTER TABLE u RENAME TO t")
    ask(database, controls.PAUSE, plan)
    with applying(plan, database, handle=handle) as doing:
        wait_until(database, "paused", doing)
        handle.cancel()
        with pytest.raises(Cancelled):
            doing.result(timeout=30)
    with Ledger(database) as ledger:
        (row,) = ledger.steps(plan.version)
    assert not row.touched


def test_a_person_tunes_it(database: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    query(database, TABLE)
    plan, seen = plan_of(backfill(FILL)), list[tuple[float, float]]()
    before_the_third(monkeypatch, lambda work: ask(database, controls.TUNE, plan, batch_ms=50, pause_ms=1))
    real = Work.commit

    def commit(work: Work, *args: Any) -> None:
        seen.append((work.brake.rhythm.longest, work.brake.rhythm.least))
        real(work, *args)

    monkeypatch.setattr(Work, "commit", commit)
    apply_all(plan, database)
    assert filled(database) == [(ROWS, 1, 1)]
    assert (seen[0], seen[-1]) == ((0.1, 0.0), (0.05, 0.001))


def test_nothing_is_asked_of_what_is_over(database: Endpoint) -> None:
    query(database, TABLE)
    plan = plan_of(backfill(FILL))
    apply_all(plan, database)
    verify_it(plan, database)
    with pytest.raises(UsageError, match="is success: nothing of it is to go on"):
        ask(database, controls.PAUSE, plan)
    with Ledger(database) as ledger, pytest.raises(UsageError, match="has no migration 'other'"):
        ledger.ask("other", controls.PAUSE, run=run_of(plan), reason="why")


def test_a_slot_that_nobody_reads_holds_it(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until somebody drops it; the wait is told with its reason."""
    database = database_on(own_server, "slots", script=TABLE)
    target = make_target(limits=Limits(max_replication_lag_bytes=100_000, min_free_connections=1))
    plan = plan_of(backfill(FILL))
    with psycopg.connect(own_server.conninfo(), autocommit=True) as admin:
        admin.execute("SELECT pg_create_physical_replication_slot('standby_1', true)")
        with applying(plan, database, target=target) as doing:
            wait_until(database, "slots", doing)
            ((reason,),) = query(database, WAITS.replace("name", "reason"))
            assert "inactive slot 'standby_1' keeps" in reason
            admin.execute("SELECT pg_drop_replication_slot('standby_1')")
            (result,) = doing.result(timeout=60)
    assert filled(database) == [(ROWS, 1, 1)]
    assert "slots" in result.statements[0].note
    (told,) = events_of(database, brake.EVENT)
    assert told["waited_seconds"]["slots"] > 0


def test_a_standby_that_does_not_replay_holds_it(own_server: Server, programs: Programs) -> None:
    """Measured by what it has replayed: it has received all of it."""
    database = database_on(own_server, "primary", script=TABLE)
    target = make_target(limits=Limits(max_replication_lag_bytes=300_000, min_free_connections=1))
    plan = plan_of(backfill(FILL))
    with standby_of(own_server, programs) as standby, psycopg.connect(standby.conninfo(), autocommit=True) as replay:
        streams = "EXISTS (SELECT 1 FROM pg_stat_replication WHERE state = 'streaming')"
        database = replace(database, conninfo=make_conninfo(database.conninfo, port=own_server.port))
        wait_for(database, streams)
        replay.execute("SELECT pg_wal_replay_pause()")
        with applying(plan, database, target=target) as doing:
            wait_until(database, "replication lag", doing)
            ((reason,),) = query(database, WAITS.replace("name", "reason"))
            assert re.match(r"standby 'copy' is .* behind \(limit 293.0 kB\)", reason)
            ((received,),) = query(database, "SELECT flush_lsn > replay_lsn FROM pg_stat_replication")
            assert received
            replay.execute("SELECT pg_wal_replay_resume()")
            (result,) = doing.result(timeout=120)
    assert filled(database) == [(ROWS, 1, 1)]
    assert "replication lag" in result.statements[0].note


def test_a_session_that_waits_for_a_batch_slows_it_down(database: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    query(database, TABLE)
    real, told = Work.commit, list[tuple[float, float]]()
    waiting: list[threading.Thread] = []

    def commit(work: Work, *args: Any) -> None:
        if not waiting:  # the rows of the first batch are locked now
            waiting.append(threading.Thread(target=query, args=(database, "UPDATE t SET id = id WHERE id = 1")))
            waiting[0].start()
            signals = work.brake.signals
            assert signals is not None
            deadline = time.monotonic() + 20
            while not any(one.reading.blocked_seconds > 0.05 for one in signals._new):
                assert time.monotonic() < deadline
                time.sleep(0.02)
        elif len(told) < 1:
            told.append((work.brake.rhythm.pause, work.brake.rhythm.batch))
            work.brake.rhythm.pause = work.brake.rhythm.least  # so that the test need not wait
        real(work, *args)

    monkeypatch.setattr(Work, "commit", commit)
    apply_all(plan_of(backfill(FILL)), database)
    waiting[0].join()
    assert told == [(1.0, 0.05)]
    assert query(database, "SELECT count(*) FROM t WHERE b = a * 2") == [(ROWS,)]


def test_what_cannot_be_read_holds_it_and_ends_the_attempt(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done stays, and the next attempt goes on from there once it can see again."""
    database = database_on(own_server, "blind", script=TABLE)
    plan = plan_of(backfill(FILL))
    with psycopg.connect(own_server.conninfo("blind"), autocommit=True) as admin:

        def blind(work: Work) -> None:
            admin.execute("REVOKE EXECUTE ON FUNCTION pg_catalog.pg_blocking_pids(int) FROM PUBLIC")
            signals = work.brake.signals
            assert signals is not None
            deadline = time.monotonic() + 20
            while not signals.unreadable():
                assert time.monotonic() < deadline
                time.sleep(0.02)

        with monkeypatch.context() as patch:
            patch.setattr(brake, "UNKNOWN_SECONDS", 0.5)
            before_the_third(patch, blind)
            with pytest.raises(LoadUnknown, match="permission denied for function pg_blocking_pids"):
                apply_all(plan, database)
        ((done, least, most),) = filled(database)
        assert 0 < done < ROWS
        assert (least, most) == (1, 1)
        (told,) = events_of(database, brake.EVENT)
        assert told["waited_seconds"]["load unknown"] > 0
        with applying(plan, database) as doing:
            wait_until(database, "load unknown", doing)
            admin.execute("GRANT EXECUTE ON FUNCTION pg_catalog.pg_blocking_pids(int) TO PUBLIC")
            doing.result(timeout=60)
    assert filled(database) == [(ROWS, 1, 1)]


def test_what_the_role_may_not_see_is_told_and_stops_nothing(
    own_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    database = database_on(own_server, "rights", script=TABLE)
    with psycopg.connect(own_server.conninfo(), autocommit=True) as admin:
        with psycopg.connect(database.conninfo) as conn:
            assert hidden(conn) == ()
        admin.execute("REVOKE pg_monitor FROM migrator")
        apply_all(plan_of(backfill(FILL)), database)
    assert filled(database) == [(ROWS, 1, 1)]
    (warning,) = [one.getMessage() for one in caplog.records if "cannot see" in one.getMessage()]
    assert "the lag of standbys" in warning
    assert "grant pg_monitor" in warning


def test_every_signal_is_read_on_every_major(each_server: Server, each_database: Any) -> None:
    """The views differ between majors; and nothing that the step does is taken for a sign."""
    database = each_database("signals", script=TABLE)
    (result,) = apply_all(plan_of(backfill(FILL)), database)
    assert result.statements[0].rows == ROWS
    (told,) = query(database, "SELECT rows_done, rows_total FROM migrator.schema_migration_steps")
    assert told[0] == ROWS


def test_the_limits_are_the_targets(database: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    query(database, TABLE)
    limits = Limits(2, 3.0, 1, max_replay_lag_seconds=5.0, max_archive_backlog=6, max_wal_rate_bytes=7_000_000_000)
    seen = list[Throttle | None]()
    before_the_third(monkeypatch, lambda work: seen.append(work.ctx.limits))
    apply_all(plan_of(backfill(FILL)), database, target=make_target(limits=limits))
    assert seen == [Throttle(2, 5.0, 6, 3.0, 1, 7_000_000_000)]
