"""Several batches at once: what they change, and in what order they commit, is what one alone would."""

from __future__ import annotations

import logging
import os
import signal
import time
from multiprocessing import get_context
from typing import Any

import psycopg
import pytest

from migrator.database.session import Endpoint
from migrator.errors import MigratorError, NeedsHuman, StatementFailed
from migrator.ledger.ledger import Ledger
from migrator.ledger.rows import HELPERS
from migrator.plan import Plan
from migrator.stages import rollback
from migrator.steps import batch_size
from migrator.steps.batch_sender import Changed, Part
from migrator.steps.batch_team import Team, cuts
from migrator.steps.batches import Work
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, query
from tests.integration.test_backfill import FILL, ROWS, TABLE, backfill, filled, plan_of

WORKERS = 3
TOTALS = """
CREATE TABLE totals (n bigint);
INSERT INTO totals VALUES (0);
CREATE FUNCTION public.adds() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN UPDATE public.totals SET n = n + 1; RETURN NULL; END $$;
CREATE TRIGGER adds AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION public.adds();
"""


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_size, "FIRST_PAGES", 4)
    monkeypatch.setattr(batch_size, "MOST_PAGES", 8)


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many parts each of the batches had that had several."""
    real, found = Team.change, list[int]()

    def change(team: Team, parts: list[Part], *args: Any, **named: Any) -> None:
        found.append(len(parts))
        real(team, parts, *args, **named)

    monkeypatch.setattr(Team, "change", change)
    return found


def plan(sql: str = FILL, **parameters: Any) -> Plan:
    return plan_of(backfill(sql, workers=WORKERS, **parameters))


def row_of(database: Endpoint) -> Any:
    with Ledger(database) as ledger:
        (row,) = ledger.steps(plan().version)
    return row


def test_every_row_is_changed_once(database: Endpoint, sizes: list[int]) -> None:
    query(database, TABLE)
    (result,) = apply_all(plan(), database)
    assert result.statements[0].rows == ROWS
    assert filled(database) == [(ROWS, 1, 1)]
    assert WORKERS in sizes


def test_the_sessions_are_at_work_at_the_same_time(database: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has changed its part, and none has committed."""
    query(database, TABLE)
    real, open_at_once = Work.commit, set[int]()

    def commit(work: Work, *args: Any) -> None:
        with psycopg.connect(database.conninfo) as conn:
            ((count,),) = conn.execute(
                "SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass AND mode = 'RowExclusiveLock'"
            ).fetchall()
        open_at_once.add(count)
        real(work, *args)

    monkeypatch.setattr(Work, "commit", commit)
    apply_all(plan(), database)
    assert max(open_at_once) == WORKERS


def test_the_cursor_is_behind_all_that_is_committed(database: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each COMMIT, by what another session sees then."""
    query(database, TABLE)
    real, looked = Work.commit, list[int]()

    def commit(work: Work, *args: Any) -> None:
        real(work, *args)
        row = row_of(database)
        ((left,),) = query(
            database,
            f"SELECT count(*) FROM t WHERE b IS NULL AND ctid < '({row.cursor['page']},0)'",
        )
        looked.append(left)

    monkeypatch.setattr(Work, "commit", commit)
    apply_all(plan(), database)
    assert len(looked) > 5
    assert set(looked) == {0}
    assert filled(database) == [(ROWS, 1, 1)]


@pytest.mark.parametrize("place", range(WORKERS))
def test_a_part_that_fails_takes_those_after_it_back(
    database: Endpoint, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    """Once, as by a lock that it waits for too long; those before it are committed."""
    query(database, TABLE)
    real, failed = Team._open_all, list[int]()

    def open_all(team: Team, *args: Any) -> list[Changed | Exception]:
        found = real(team, *args)
        if not failed:
            failed.append(place)
            if not isinstance(found[place], Exception):
                found[place] = StatementFailed("it met somebody", sqlstate="55P03")
        return found

    monkeypatch.setattr(Team, "_open_all", open_all)
    if place == 0:
        with pytest.raises(StatementFailed):  # as it would alone
            apply_all(plan(), database)
    apply_all(plan(), database)
    assert failed
    assert filled(database) == [(ROWS, 1, 1)]


def test_parts_that_keep_each_other_waiting(
    database: Endpoint, sizes: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    """A row of totals that a trigger writes: only one at a time can. It gets to its end, and says so."""
    query(database, TABLE + TOTALS)
    with caplog.at_level(logging.INFO):
        apply_all(plan(), database)
    assert filled(database) == [(ROWS, 1, 1)]
    assert query(database, "SELECT n FROM totals") == [(ROWS,)]
    assert "batches one at a time" in caplog.text
    assert len(sizes) < 10


def test_a_row_that_fails_is_named(database: Endpoint) -> None:
    query(database, TABLE + "ALTER TABLE t ADD CHECK (b <> 1500)")
    with pytest.raises(StatementFailed, match="check"):
        apply_all(plan(), database)
    query(database, "ALTER TABLE t DROP CONSTRAINT t_b_check")
    apply_all(plan(), database)
    assert filled(database) == [(ROWS, 1, 1)]


def test_a_session_that_is_ended(database: Endpoint, superuser: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By somebody, in the middle: what is committed is in the ledger, and the next try goes on."""
    query(database, TABLE)
    real, ended = Team._open_all, list[int]()

    def open_all(team: Team, *args: Any) -> list[Changed | Exception]:
        found = real(team, *args)
        if not ended:
            ended.append(team.pids[0])
            with psycopg.connect(superuser, autocommit=True) as conn:
                conn.execute("SELECT pg_terminate_backend(%s, 5000)", [team.pids[0]])
        return found

    monkeypatch.setattr(Team, "_open_all", open_all)
    with pytest.raises(MigratorError):
        apply_all(plan(), database)
    apply_all(plan(), database)
    assert ended
    assert filled(database) == [(ROWS, 1, 1)]


def test_without_room_for_more_sessions_it_goes_on_alone(
    database: Endpoint,
    superuser: str,
    sizes: list[int],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    query(database, TABLE)
    real = Team.join

    def join(team: Team) -> bool:
        with psycopg.connect(superuser, autocommit=True) as conn:
            name = conn.info.dbname
            conn.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT 1')
            try:
                return real(team)
            finally:
                conn.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT -1')

    monkeypatch.setattr(Team, "join", join)
    apply_all(plan(), database)
    assert filled(database) == [(ROWS, 1, 1)]
    assert sizes == []
    assert "goes on with one session" in caplog.text


def stuck(sql: str, conninfo: str) -> None:
    """A worker whose second part is changed and waits; it is ended from outside."""
    batch_size.FIRST_PAGES, batch_size.MOST_PAGES = 4, 8
    real = Team._open_all

    def open_all(team: Team, *args: Any) -> list[Changed | Exception]:
        found = real(team, *args)
        time.sleep(60)
        return found

    Team._open_all = open_all  # type: ignore[method-assign]
    logging.disable()
    apply_all(plan(sql), Endpoint(conninfo))


def test_whoever_fences_ends_all_of_them(database: Endpoint, make_database: MakeDatabase) -> None:
    """The worker is stopped, not dead: its sessions hold their rows. A rollback ends all of them before it begins, and
    nothing of them is committed afterwards."""
    query(database, TABLE)
    process = get_context("spawn").Process(target=stuck, args=(FILL, database.conninfo))
    process.start()
    try:
        deadline = time.monotonic() + 60
        while True:
            assert time.monotonic() < deadline
            held = query(
                database,
                "SELECT count(DISTINCT pid) FROM pg_locks"
                " WHERE relation = to_regclass('public.t') AND mode = 'RowExclusiveLock'",
            )
            if held == [(WORKERS,)]:
                break
            time.sleep(0.1)
        os.kill(process.pid or 0, signal.SIGSTOP)
        row = row_of(database)
        assert len(row.cursor[HELPERS]) == WORKERS - 1
        assert len(row.sessions) == WORKERS
        with Ledger(database) as ledger:
            rollback.fence_all(plan(), database, ledger)
        pids = [pid for pid, _ in row.sessions]
        assert query(
            database, f"SELECT count(*) FROM pg_stat_activity WHERE pid = ANY('{{{','.join(map(str, pids))}}}')"
        ) == [(0,)]
    finally:
        if process.pid:
            os.kill(process.pid, signal.SIGKILL)
        process.join()
    apply_all(plan(), database)
    assert filled(database) == [(ROWS, 1, 1)]


def test_a_session_that_the_ledger_does_not_know_commits_nothing(
    database: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one of an attempt that another one has taken over."""
    query(database, TABLE)
    real, done = Team._open_all, list[int]()

    def open_all(team: Team, *args: Any) -> list[Changed | Exception]:
        found = real(team, *args)
        if not done:
            done.append(1)
            query(
                database,
                'UPDATE migrator.schema_migration_steps SET cursor = cursor || \'{"helpers": [[1, "2020-01-01"]]}\'',
            )
        return found

    monkeypatch.setattr(Team, "_open_all", open_all)
    refused = list[Exception]()
    part = Team._part

    def told(team: Team, reason: Exception) -> None:
        refused.append(reason)
        part(team, reason)

    monkeypatch.setattr(Team, "_part", told)
    monkeypatch.setattr(Work, "commit", without_helpers(Work.commit))
    apply_all(plan(), database)
    assert isinstance(refused[0], NeedsHuman)
    assert filled(database) == [(ROWS, 1, 1)]


def without_helpers(real: Any) -> Any:
    """The first session's cursor does not name the others, as that of another attempt would not."""

    def commit(work: Work, then: Any, on: Any = None) -> None:
        backends, work.team.backends = work.team.backends, []
        try:
            real(work, then, on)
        finally:
            work.team.backends = backends

    return commit


def test_deletes(database: Endpoint, sizes: list[int]) -> None:
    query(database, TABLE)
    (result,) = apply_all(plan("DELETE FROM t WHERE a > 5"), database)
    assert query(database, "SELECT count(*) FROM t") == [(5,)]
    assert result.statements[0].rows == ROWS - 5
    assert WORKERS in sizes


def test_inserts(database: Endpoint, sizes: list[int]) -> None:
    query(database, TABLE + "CREATE TABLE u (id int PRIMARY KEY, a int);")
    sql = "INSERT INTO u (id, a) SELECT id, a FROM t WHERE NOT EXISTS (SELECT FROM u WHERE u.id = t.id)"
    (result,) = apply_all(plan(sql), database)
    assert query(database, "SELECT count(*), count(DISTINCT id) FROM u") == [(ROWS, ROWS)]
    assert result.statements[0].rows == ROWS
    assert WORKERS in sizes


@pytest.mark.parametrize(
    "parts, cut", [(1, [(3, 10)]), (2, [(3, 6), (6, 10)]), (9, [(n, n + 1) for n in range(3, 10)])]
)
def test_cuts(parts: int, cut: list[tuple[int, int]]) -> None:
    assert cuts(3, 10, parts) == cut
