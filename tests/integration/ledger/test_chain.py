"""`migrator ledger verify` finds every kind of tampering, and says which row."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from migrator.cli import main
from migrator.database.session import Endpoint
from migrator.errors import LedgerTampered
from migrator.ledger import chain
from migrator.ledger.ledger import Ledger
from migrator.ledger.rows import LedgerEvent
from tests.integration.ledger.history import (
    EVENTS,
    REVIEWS,
    behind_its_back,
    events_of,
    head_of,
    history,
    kinds_of,
    problems_of,
    review,
    verify_command,
)
from tests.integration.stages import query


def test_an_honest_history_is_intact(database: Endpoint, capsys: pytest.CaptureFixture[str]) -> None:
    history(database)
    assert kinds_of(database) == ["install", "review", "begin", "step_started", "step_succeeded", "verified"]
    code, said = verify_command(database, capsys)
    assert (code, said["events"], said["problems"]) == (0, 6, [])
    assert f"{said['events']}:{said['head']}" == head_of(database)
    assert main(["ledger", "verify", "--dsn", database.conninfo]) == 0
    assert f"the ledger is intact: 6 events, head {head_of(database)}" in capsys.readouterr().out


CHANGES = {
    "at": "at = at + interval '1 microsecond'",
    "kind": "kind = 'override'",
    "version": "version = '002_other'",
    "no version": "version = NULL",
    "run_id": "run_id = 'somebody else'",
    "actor": "actor = 'mallory'",
    "detail": "detail = detail || '{\"attempt\": 2}'",
    "hash": "hash = 'sha256:' || repeat('0', 64)",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_row(database: Endpoint, superuser: str, change: str, capsys: pytest.CaptureFixture[str]) -> None:
    history(database)
    with behind_its_back(superuser) as conn:
        conn.execute(f"UPDATE {EVENTS} SET {change} WHERE id = 4".encode())
    code, said = verify_command(database, capsys)
    assert code == 1
    assert any("event 4" in problem and "altered" in problem for problem in said["problems"])
    altered = [problem for problem in said["problems"] if problem.startswith("event") and "altered" in problem]
    assert len(altered) == 1, "one altered row is one problem"


@pytest.mark.parametrize(
    "where, expected",
    [
        ("id = 3", "event 3 is missing (deleted)"),
        ("id IN (3, 4)", "event 3 to 4 is missing (deleted)"),
        ("id = 1", "event 1 is missing (deleted)"),
        ("id = 6", "the chain ends at event 5, but 6 were written: the last ones were cut off"),
    ],
)
def test_deleted_row(database: Endpoint, superuser: str, where: str, expected: str) -> None:
    history(database)
    with behind_its_back(superuser) as conn:
        conn.execute(f"DELETE FROM {EVENTS} WHERE {where}".encode())
    assert expected in problems_of(database)


def test_all_rows_deleted(database: Endpoint, superuser: str) -> None:
    history(database)
    with behind_its_back(superuser) as conn, behind_its_back(superuser, REVIEWS):
        conn.execute(f"TRUNCATE {EVENTS} CASCADE".encode())
    assert "the chain ends at event 0, but 6 were written: the last ones were cut off" in problems_of(database)
    assert "migration 001_test is success, but no event tells of it: inserted by hand" in problems_of(database)


def test_reordered_rows(database: Endpoint, superuser: str) -> None:
    """Two events change places, with everything else of them as it was."""
    history(database)
    with behind_its_back(superuser) as conn:
        for old, new in ((4, 99), (5, 4), (99, 5)):
            conn.execute(f"UPDATE {EVENTS} SET id = {new} WHERE id = {old}".encode())
    problems = problems_of(database)
    assert "event 4 does not follow event 3: one was inserted, reordered or replaced" in problems
    assert "event 6 does not follow event 5: one was inserted, reordered or replaced" in problems


def test_inserted_row_at_the_end_with_a_right_hash(database: Endpoint, superuser: str) -> None:
    """The forger knows how the hash is made, but does not know of the head that is kept apart."""
    history(database)
    forge(superuser, events_of(database)[-1], kind="override")
    assert problems_of(database) == (
        "the chain ends at event 7, but only 6 were written by the engine: rows were inserted",
    )
    with Ledger(database) as ledger, pytest.raises(LedgerTampered, match="end at number 7, but 6 were written"):
        ledger.check()


def test_inserted_row_in_the_middle(database: Endpoint, superuser: str) -> None:
    history(database)
    before = events_of(database)
    with behind_its_back(superuser) as conn:
        for event in reversed(before[3:]):
            conn.execute(f"UPDATE {EVENTS} SET id = id + 1 WHERE id = {event.id}".encode())
    forge(superuser, before[2], kind="override")
    problems = problems_of(database)
    assert "event 5 does not follow event 4: one was inserted, reordered or replaced" in problems
    assert any(problem.startswith("the chain ends at event 7, but only 6") for problem in problems)


def test_replaced_last_row_with_a_right_hash(database: Endpoint, superuser: str) -> None:
    history(database)
    before = events_of(database)
    with behind_its_back(superuser) as conn:
        conn.execute(f"DELETE FROM {EVENTS} WHERE id = 6".encode())
    forge(superuser, before[-2], kind="verified", version="001_test", detail='{"status": "success"}')
    assert problems_of(database) == ("the last event's hash is not the recorded head: event 6 was replaced",)
    with Ledger(database) as ledger, pytest.raises(LedgerTampered, match="the last one was replaced"):
        ledger.check()


def test_a_whole_rewrite_is_found_by_a_head_kept_elsewhere(
    database: Endpoint, superuser: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever owns everything can make a new chain that is right in itself."""
    history(database)
    kept = head_of(database)
    before = events_of(database)
    with behind_its_back(superuser) as conn:
        conn.execute(f"DELETE FROM {EVENTS} WHERE id = 6".encode())
    forge(superuser, before[-2], kind="verified", version="001_test", detail='{"status": "success"}', move_head=True)
    assert verify_command(database, capsys)[0] == 0
    code, said = verify_command(database, capsys, "--head", kept)
    assert (code, said["problems"]) == (1, ["event 6 is not the one that was written down: rewritten"])
    later = f"9:{kept.partition(':')[2]}"
    code, said = verify_command(database, capsys, "--head", later)
    assert (code, said["problems"]) == (1, ["event 9 was written down, but the ledger does not have it"])
    assert main(["ledger", "verify", "--head", "nonsense", "--dsn", database.conninfo]) == 2
    assert "--head wants COUNT:HASH" in capsys.readouterr().err


def test_a_head_stays_good_when_the_history_goes_on(database: Endpoint, capsys: pytest.CaptureFixture[str]) -> None:
    plan = history(database)
    kept = head_of(database)
    with Ledger(database) as ledger:
        review(ledger, plan, "bob")
    assert verify_command(database, capsys, "--head", kept)[0] == 0


@pytest.mark.parametrize(
    "change, expected",
    [
        (
            "UPDATE migrator.schema_migrations SET status = 'failed', failed_at = now()",
            "migration 001_test is failed, but event 6 left it success: changed by hand",
        ),
        (
            "DELETE FROM migrator.schema_migration_steps; DELETE FROM migrator.schema_migrations",
            "migration 001_test was success by event 6, but its row is gone: deleted by hand",
        ),
        (
            "INSERT INTO migrator.schema_migrations (version, filename, status, applied_at, applied_by, run_id,"
            " engine_version) VALUES ('002', '002.sql', 'success', now(), 'me', 'me', '0')",
            "migration 002 is success, but no event tells of it: inserted by hand",
        ),
    ],
)
def test_states_that_no_event_explains(database: Endpoint, change: str, expected: str) -> None:
    """The state of now is no append-only table: its owner can write there, and the chain gives it away."""
    history(database)
    query(database, change)
    assert problems_of(database) == (expected,)


def test_reviews_by_hand(database: Endpoint, superuser: str) -> None:
    plan = history(database)
    with behind_its_back(superuser, REVIEWS) as conn:
        conn.execute(f"UPDATE {REVIEWS} SET decision = 'rejected', expires_at = now()".encode())
    (problem,) = problems_of(database)
    assert problem == ("review 1 of 001_test by ann differs from its event 2 in decision, expires_at: it was altered")
    with psycopg.connect(superuser, autocommit=True) as conn:
        conn.execute(
            f"INSERT INTO {REVIEWS} (version, plan_digest, evidence_digest, reviewer, reviewer_email, decision, reason,"
            f" decided_at, run_id, event_id) SELECT version, plan_digest, evidence_digest, 'bob', 'b@example.com',"
            f" 'approved', reason, decided_at, run_id, 3 FROM {REVIEWS}".encode()
        )
    assert "review 2 of 001_test by bob has no event in the chain: it was inserted by hand" in problems_of(database)
    with Ledger(database) as ledger, pytest.raises(LedgerTampered, match="inserted by hand"):
        ledger.reviews(plan.version)


def test_lost_identity_row(database: Endpoint, superuser: str, capsys: pytest.CaptureFixture[str]) -> None:
    history(database)
    with psycopg.connect(superuser, autocommit=True) as conn:
        conn.execute("DELETE FROM migrator.ledger_identity")
    assert main(["ledger", "verify", "--dsn", database.conninfo]) == 1
    assert "has lost its identity row" in capsys.readouterr().err


def test_verify_does_not_mind_a_writer_at_work(database: Endpoint) -> None:
    """Everything is read in one snapshot: what commits meanwhile is neither seen half nor called tampering."""
    plan = history(database)
    with Ledger(database) as reading, Ledger(database) as writing, reading.transaction() as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        count, head = reading.head()
        review(writing, plan, "bob")
        assert list(chain.problems(reading.iterate_events(), head_count=count, head_hash=head)) == []
    assert problems_of(database) == ()


def forge(superuser: str, after: LedgerEvent, *, move_head: bool = False, **over: Any) -> None:
    """Insert an event after another one, with the hash that the engine would give it."""
    event: dict[str, Any] = {
        "id": after.id + 1,
        "at": after.at,
        "kind": "override",
        "version": None,
        "run_id": "run-1",
        "actor": "mallory",
        "prev_hash": after.hash,
    }
    event.update({name: value for name, value in over.items() if name != "detail"})
    with behind_its_back(superuser) as conn:
        printed = conn.execute("SELECT %s::jsonb::text", (over.get("detail", "{}"),)).fetchone()
        assert printed is not None
        event["hash"] = chain.link(**event, detail_text=printed[0])
        columns = (*event, "detail")
        conn.execute(
            f"INSERT INTO {EVENTS} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})".encode(),
            (*event.values(), printed[0]),
        )
        if move_head:
            head = (event["id"], event["hash"])
            conn.execute("UPDATE migrator.ledger_identity SET head_count = %s, head_hash = %s", head)
