"""The ledger comes to be once, whoever asks at the same time, and grows with the engine and never back."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest

from migrator.cli import main
from migrator.database import queries
from migrator.database.session import Endpoint
from migrator.errors import EnvironmentFault, LedgerMissing, LedgerNewer, LedgerOlder, MigratorError
from migrator.ledger import install, shape
from migrator.ledger.ledger import Ledger
from migrator.ledger.version import SCHEMA_VERSION
from tests.factories import make_plan
from tests.integration.ledger.history import events_of, history, kinds_of, problems_of
from tests.integration.stages import apply_all, query, traces

TABLES = {
    "ledger_identity",
    "schema_migrations",
    "schema_migration_steps",
    "schema_migration_events",
    "schema_migration_reviews",
    "schema_migration_objects",
    "schema_migration_transactions",
}


def test_installed_by_many_at_once(database: Endpoint) -> None:
    start = threading.Barrier(4)
    raised: list[BaseException] = []

    def work() -> None:
        try:
            with Ledger(database) as ledger:
                _ = ledger.connection
                start.wait(timeout=30)
                ledger.install()
                ledger.check()
        except BaseException as exc:
            raised.append(exc)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert raised == []
    assert kinds_of(database) == ["install"]
    rows = query(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'migrator'")
    assert {name for (name,) in rows} == TABLES


def test_a_second_time_writes_nothing(database: Endpoint) -> None:
    with Ledger(database) as ledger:
        ledger.install()
        before = traces(database)
        ledger.install()
    with Ledger(database) as ledger:
        ledger.install()
    assert traces(database) == before


def test_it_is_made_whole_or_not_at_all(database: Endpoint) -> None:
    """Something of the same name is in the way: nothing is left, and the next try meets the same database."""
    query(database, "CREATE SCHEMA migrator; CREATE TABLE migrator.schema_migration_reviews (id int)")
    with Ledger(database) as ledger:
        for _ in range(2):
            with pytest.raises(MigratorError, match="already exists"):
                ledger.install()
        assert not ledger.exists()
    query(database, "DROP TABLE migrator.schema_migration_reviews")
    with Ledger(database) as ledger:
        ledger.install()
        ledger.check()


def test_there_is_none(database: Endpoint, capsys: pytest.CaptureFixture[str]) -> None:
    with Ledger(database) as ledger, pytest.raises(LedgerMissing, match='"migrator baseline" installs it'):
        ledger.check()
    assert main(["ledger", "verify", "--dsn", database.conninfo]) == 1
    assert "has no ledger in schema 'migrator'" in capsys.readouterr().err


def test_a_role_that_may_not_create_schemas(database: Endpoint, superuser: str) -> None:
    """It is told what an administrator types; after that the same call succeeds."""
    with psycopg.connect(superuser, autocommit=True) as admin:
        admin.execute('CREATE ROLE "ordinary ""role"""')
        try:
            admin.execute('GRANT "ordinary ""role""" TO migrator')
            endpoint = Endpoint(conninfo=database.conninfo, role='ordinary "role"')
            with Ledger(endpoint) as ledger:
                with pytest.raises(EnvironmentFault) as raised:
                    ledger.install()
                text = str(raised.value)
                command = text[text.index("CREATE SCHEMA") :]
                assert command == 'CREATE SCHEMA "migrator" AUTHORIZATION "ordinary ""role"""'
                admin.execute(command.encode())
                ledger.install()
                ledger.check()
        finally:
            admin.execute('DROP OWNED BY "ordinary ""role"""')
            admin.execute('DROP ROLE "ordinary ""role"""')


def test_another_schema(database: Endpoint, capsys: pytest.CaptureFixture[str]) -> None:
    with Ledger(database, schema='odd "name"') as ledger:
        ledger.install()
        ledger.check()
        assert ledger.verify_chain() == ()
    arguments = ["ledger", "--schema", 'odd "name"', "verify", "--dsn", database.conninfo]
    assert main(arguments) == 0
    assert "1 events" in capsys.readouterr().out


def test_the_ledger_of_a_newer_engine_is_refused(database: Endpoint, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever asks: reading, writing, installing; and nothing is written."""
    plan = history(database)
    query(database, f"UPDATE migrator.ledger_identity SET schema_version = {SCHEMA_VERSION + 1}")
    query(database, "ALTER TABLE migrator.ledger_identity RENAME COLUMN head_hash TO renamed_by_a_newer_engine")
    before = traces(database)
    expected = f"layout {SCHEMA_VERSION + 1}, this engine knows {SCHEMA_VERSION}: upgrade the engine"
    with Ledger(database) as ledger:
        for call in (ledger.identity, ledger.check, ledger.install, ledger.head, ledger.verify_chain):
            with pytest.raises(LedgerNewer, match=expected):
                call()
    with pytest.raises(LedgerNewer, match=expected):
        apply_all(make_plan(version="002_next"), database)
    for action in (["verify"], ["upgrade"], ["adopt", "--reason", "why not"]):
        assert main(["ledger", *action, "--dsn", database.conninfo]) == 1
        assert expected in capsys.readouterr().err
    assert plan.version == "001_test"
    assert traces(database) == before


def test_upgrade_of_an_older_layout(database: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is only one layout so far, so this makes the engine of the next one: its numbered file runs once, for two
    upgraders at the same time, and an event tells of it."""
    history(database)
    monkeypatch.setattr(install, "SCHEMA_VERSION", 2)
    monkeypatch.setattr("migrator.ledger.ledger.SCHEMA_VERSION", 2)
    real = queries.load
    layout = {"note": "ALTER TABLE {schema}.schema_migrations ADD COLUMN note text"}
    made = shape.expected(1)
    note = ("column", "schema_migrations.note", "text")
    monkeypatch.setattr(shape, "expected", lambda layout: made if layout == 1 else (*made, note))
    for room in ("guard", "reader"):
        monkeypatch.setattr(f"migrator.ledger.{room}.SCHEMA_VERSION", 2)
    monkeypatch.setattr(queries, "load", lambda room, name: layout if name == "ledger_schema_2" else real(room, name))
    with Ledger(database) as ledger:
        with pytest.raises(
            LedgerOlder, match="layout 1, this engine writes 2; upgrade it with: migrator ledger upgrade"
        ):
            ledger.check()
        with Ledger(database) as other:
            threads = [
                threading.Thread(target=install.install, args=(one,), kwargs={"upto": 2}) for one in (ledger, other)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(timeout=60)
        ledger.check()
        assert ledger.identity().schema_version == 2
    assert kinds_of(database)[-1:] == ["upgrade"]
    assert kinds_of(database).count("upgrade") == 1
    detail: dict[str, Any] = dict(events_of(database)[-1].detail)
    assert (detail["from"], detail["to"]) == (1, 2)
    assert query(database, "SELECT note FROM migrator.schema_migrations") == [(None,)]
    assert problems_of(database) == ()


def test_upgrade_command_on_this_layout(database: Endpoint, capsys: pytest.CaptureFixture[str]) -> None:
    history(database)
    assert main(["ledger", "upgrade", "--dsn", database.conninfo]) == 0
    assert f"layout {SCHEMA_VERSION} already" in capsys.readouterr().out


def test_every_layout_has_its_file() -> None:
    for number in range(1, SCHEMA_VERSION + 1):
        assert queries.load("migrator.ledger", f"ledger_schema_{number}")
        assert shape.expected(number)
    with pytest.raises(FileNotFoundError):
        queries.load("migrator.ledger", f"ledger_schema_{SCHEMA_VERSION + 1}")
