"""What the ledger consists of: the same on every major, from the engine alone, with others who read and no more."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from migrator.cli import main
from migrator.database.schema import LEDGER_SCHEMA
from migrator.database.session import Endpoint
from migrator.errors import LedgerTampered
from migrator.ledger import shape
from migrator.ledger.connection import LedgerConnection
from migrator.ledger.ledger import Ledger
from migrator.ledger.version import SCHEMA, SCHEMA_VERSION
from tests.factories import make_plan
from tests.integration.conftest import MakeDatabase
from tests.integration.ledger.history import EVENTS, REVIEWS, behind_its_back, history, review, verify_command
from tests.integration.stages import apply_all, query

READER, WRITER = "ledger_reader_of_tests", "ledger_writer_of_tests"


@pytest.fixture
def roles(database: Endpoint, superuser: str) -> None:
    """Roles that live for one test; they are the whole server's."""
    with psycopg.connect(superuser, autocommit=True) as admin:
        for role in (READER, WRITER):
            admin.execute(f"CREATE ROLE {role}".encode())
        yield
        for role in (READER, WRITER):
            admin.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


def test_it_is_what_the_engine_says_on_every_major(each_database: MakeDatabase) -> None:
    """When this fails because a layout was changed: a layout that is out there never changes, a new one has a file of
    its own."""
    database = each_database("shape")
    with Ledger(database) as ledger:
        ledger.install()
        with ledger.transaction() as connection:
            found = shape.read(connection, ledger.schema)
        assert sorted(found) == sorted(shape.expected(SCHEMA_VERSION))
        ledger.check()


def test_it_is_cheap(database: Endpoint) -> None:
    """It is asked at every step and, one by one, at every statement; 5 to 8 ms when nothing else works."""
    import time

    with Ledger(database) as ledger:
        ledger.install()
        seconds = []
        for _ in range(10):
            started = time.monotonic()
            ledger.require_shape()
            seconds.append(time.monotonic() - started)
    assert min(seconds) < 0.05


def test_the_name_of_the_schema_is_the_same_in_all_rooms() -> None:
    assert SCHEMA == LEDGER_SCHEMA == LedgerConnection(Endpoint("")).schema


def test_others_may_read(database: Endpoint, roles: None) -> None:
    """Monitoring does; so do views that nobody can write through, and a publication of everything."""
    history(database)
    query(
        database,
        f"GRANT USAGE ON SCHEMA migrator TO {READER}; GRANT SELECT ON ALL TABLES IN SCHEMA migrator TO {READER}",
    )
    query(database, "CREATE VIEW public.applied AS SELECT version, count(*) FROM migrator.schema_migrations GROUP BY 1")
    query(database, "CREATE MATERIALIZED VIEW public.reviews AS SELECT * FROM migrator.schema_migration_reviews")
    query(database, f"CREATE PUBLICATION p FOR TABLE {EVENTS}; COMMENT ON TABLE {EVENTS} IS 'a comment'")
    query(database, f"ALTER TABLE {EVENTS} REPLICA IDENTITY FULL, SET (autovacuum_vacuum_scale_factor = 0.01)")
    with Ledger(database) as ledger:
        ledger.check()


def test_the_message_says_what_and_what_to_do(database: Endpoint, roles: None) -> None:
    history(database)
    query(database, f"GRANT INSERT ON {REVIEWS} TO {WRITER}; DROP TRIGGER append_only ON {EVENTS}")
    with Ledger(database) as ledger, pytest.raises(LedgerTampered) as raised:
        ledger.check()
    text = str(raised.value)
    assert f"grant schema_migration_reviews is not the engine's (INSERT to {WRITER})" in text
    assert "trigger schema_migration_events.append_only is gone" in text
    assert "others may only read" in text
    assert len(raised.value.fields["problems"]) == 2


def test_verify_says_it_as_well(database: Endpoint, capsys: pytest.CaptureFixture[str]) -> None:
    history(database)
    query(database, f"ALTER TABLE {EVENTS} DISABLE TRIGGER append_only")
    code, said = verify_command(database, capsys)
    assert code == 1
    assert len(said["problems"]) == 1
    assert "trigger schema_migration_events.append_only was altered" in said["problems"][0]


def test_default_privileges_give_nobody_a_ledger(database: Endpoint, roles: None) -> None:
    """Whoever made them thought of the application's tables."""
    query(database, f"ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {WRITER}, PUBLIC")
    query(database, f"ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO {WRITER}")
    with Ledger(database) as ledger:
        ledger.install()
        ledger.check()
    rows = query(database, "SELECT has_table_privilege(%s, %s, 'INSERT, UPDATE, DELETE, TRUNCATE')", WRITER, REVIEWS)
    assert rows == [(False,)]


def test_a_schema_with_something_else_in_it(database: Endpoint) -> None:
    """Nothing is installed beside what nobody looks at, and nothing is left of the try."""
    query(database, "CREATE SCHEMA migrator; CREATE TABLE migrator.notes (id int)")
    with Ledger(database) as ledger:
        with pytest.raises(LedgerTampered, match="relation notes is not the engine's"):
            ledger.install()
        assert not ledger.exists()
        query(database, "DROP TABLE migrator.notes")
        ledger.install()
        ledger.check()


def test_an_event_trigger_cannot_bend_what_is_installed(database: Endpoint, superuser: str) -> None:
    with psycopg.connect(superuser, autocommit=True) as admin:
        admin.execute(
            "CREATE FUNCTION public.bend() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF to_regclass('migrator.ledger_' || 'identity') IS NOT NULL AND to_regclass('migrator.x') IS NULL THEN"
            " EXECUTE 'CREATE TABLE migra' || 'tor.x ()'; END IF; END $$"
        )
        admin.execute("CREATE EVENT TRIGGER bend ON ddl_command_end EXECUTE FUNCTION public.bend()")
    with Ledger(database) as ledger:
        with pytest.raises(LedgerTampered, match="relation x is not the engine's"):
            ledger.install()
        assert not ledger.exists()


def test_no_review_is_written_where_something_waits_for_it(database: Endpoint) -> None:
    plan = history(database)
    query(
        database,
        "CREATE FUNCTION public.double() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';"
        f" CREATE TRIGGER double AFTER INSERT ON {REVIEWS} FOR EACH ROW EXECUTE FUNCTION public.double()",
    )
    with Ledger(database) as ledger, pytest.raises(LedgerTampered, match=r"schema_migration_reviews\.double"):
        review(ledger, plan, "bob")
    assert query(database, f"SELECT count(*) FROM {REVIEWS}") == [(1,)]


@pytest.mark.parametrize("move_head", [False, True], ids=["behind the head", "with the head"])
def test_a_review_whose_event_is_no_link(database: Endpoint, superuser: str, move_head: bool) -> None:
    """It says the very same as the review, and its hash is anything."""
    plan = history(database)
    with psycopg.connect(superuser, autocommit=True) as conn:
        conn.execute(
            f"INSERT INTO {EVENTS} SELECT 7, at, kind, version, run_id, 'bob',"
            ' detail || \'{"reviewer": "bob"}\', (SELECT hash FROM migrator.schema_migration_events WHERE id = 6),'
            f" 'sha256:any' FROM {EVENTS} WHERE id = 2".encode()
        )
        conn.execute(
            f"INSERT INTO {REVIEWS} (version, plan_digest, evidence_digest, reviewer, reviewer_email, decision, reason,"
            f" decided_at, expires_at, run_id, event_id) SELECT version, plan_digest, evidence_digest, 'bob',"
            f" reviewer_email, decision, reason, decided_at, expires_at, run_id, 7 FROM {REVIEWS}".encode()
        )
        if move_head:
            conn.execute("UPDATE migrator.ledger_identity SET head_count = 7, head_hash = 'sha256:any'")
    with Ledger(database) as ledger, pytest.raises(LedgerTampered, match="event 7, which is no link of the chain"):
        ledger.reviews(plan.version)


def test_a_rejection_that_was_deleted(database: Endpoint, superuser: str) -> None:
    plan = history(database)
    with behind_its_back(superuser, REVIEWS) as conn:
        conn.execute(f"DELETE FROM {REVIEWS}".encode())
    lost = "the review of 001_test that event 2 tells of is gone: deleted by hand"
    with Ledger(database) as ledger:
        assert lost in ledger.verify_chain()
        with pytest.raises(LedgerTampered, match=lost):
            ledger.reviews(plan.version)


def test_nothing_is_applied_on_a_broken_chain(database: Endpoint, superuser: str) -> None:
    """An event in the middle: the head alone does not tell."""
    history(database)
    with behind_its_back(superuser) as conn:
        conn.execute(f"UPDATE {EVENTS} SET actor = 'mallory' WHERE id = 3".encode())
    with Ledger(database) as ledger:
        ledger.check()
    with pytest.raises(LedgerTampered, match=r"event 3 .* was altered"):
        apply_all(make_plan(version="002_next"), database)


def test_upgrade_and_adoption_do_not_mind_an_odd_name(database: Endpoint) -> None:
    with Ledger(database, schema='odd "name".') as ledger:
        ledger.install()
        ledger.check()
        ledger.require_untouched()
    assert main(["ledger", "--schema", 'odd "name".', "verify", "--dsn", database.conninfo]) == 0


def test_the_file_lies_beside_the_layout() -> None:
    room = Path(shape.__file__).parent
    layouts = {path.stem.rpartition("_")[2] for path in room.glob("ledger_schema_*.sql")}
    assert layouts == {path.stem.rpartition("_")[2] for path in room.glob("ledger_shape_*.json")}
