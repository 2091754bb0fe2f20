"""A restored backup, a clone and a promoted standby are told from the database that wrote the ledger."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from migrator.database.session import Endpoint
from migrator.embedded.server import Server
from migrator.errors import EnvironmentFault, LedgerForeign
from migrator.ledger.ledger import Ledger
from tests.factories import make_plan, plan_from_sql
from tests.integration.conftest import MakeDatabase, database_on
from tests.integration.ledger.history import command, events_of, history, problems_of
from tests.integration.stages import apply_all, query, run_of, traces


def dumped(source: Endpoint, server: Server, into: Endpoint) -> None:
    """What pg_dump and pg_restore make of a database: the ledger comes along."""
    given = {key: str(value) for key, value in conninfo_to_dict(source.conninfo).items()}
    password = {"PGPASSWORD": given["password"]}
    file = server.data_dir.with_name("ledger.dump")
    reach = ["-h", given["host"], "-p", given["port"], "-U", given["user"]]
    server.programs.run("pg_dump", "-Fc", *reach, "-d", given["dbname"], "-f", file, env=password)
    there = {key: str(value) for key, value in conninfo_to_dict(into.conninfo).items()}
    reach = ["-h", there["host"], "-p", there["port"], "-U", there["user"]]
    server.programs.run(
        "pg_restore", "--clean", "--if-exists", "--no-owner", *reach, "-d", there["dbname"], file, env=password
    )
    file.unlink()


def test_restored_into_another_cluster(database: Endpoint, server: Server, own_server: Server) -> None:
    history(database)
    restored = database_on(own_server, "restored")
    dumped(database, server, restored)
    with Ledger(restored) as ledger, pytest.raises(LedgerForeign) as raised:
        ledger.check()
    text = str(raised.value)
    assert "the ledger was written on cluster" in text
    assert "migrator ledger adopt --reason" in text
    with pytest.raises(LedgerForeign):
        apply_all(make_plan(version="002_next"), restored)
    assert query(restored, "SELECT count(*) FROM migrator.schema_migrations") == [(1,)]


def test_adopted_on_purpose(
    database: Endpoint, server: Server, make_database: MakeDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    """The history goes on in the new place; the event says who decided so, why, and what differed."""
    history(database)
    restored = make_database("restored")
    dumped(database, server, restored)
    with Ledger(restored) as ledger, pytest.raises(LedgerForeign, match="the ledger was written in database"):
        ledger.check()
    assert command(restored, capsys, "adopt")[0] == 2, "a reason is required"
    code, out, _ = command(restored, capsys, "adopt", "--reason", "moved to new hardware", "--actor", "ann")
    assert (code, out.strip()) == (0, "the ledger belongs to this database now")
    event = events_of(restored)[-1]
    assert (event.kind, event.actor, event.detail["reason"]) == ("adopt", "ann", "moved to new hardware")
    assert "was written in database" in event.detail["differences"][0]
    assert problems_of(restored) == ()
    apply_all(plan_from_sql("CREATE TABLE next (id int)", version="002_next"), restored)
    before = traces(restored)
    code, out, _ = command(restored, capsys, "adopt", "--reason", "again")
    assert (code, out.strip()) == (0, "the ledger belongs to this database already")
    assert traces(restored) == before
    with Ledger(database) as ledger:
        ledger.check()


@pytest.mark.parametrize("how", ["clone", "rename"])
def test_a_clone_is_another_database_and_a_renamed_one_is_not(
    database: Endpoint, server: Server, make_database: MakeDatabase, how: str
) -> None:
    history(database)
    name = make_database(how)  # reserves a name that is dropped after the test
    into, source = _dbname(name), _dbname(database)
    with psycopg.connect(server.conninfo(), autocommit=True) as admin:
        admin.execute(f'DROP DATABASE "{into}"'.encode())
        verb = f'CREATE DATABASE "{into}" TEMPLATE' if how == "clone" else "ALTER DATABASE"
        admin.execute(f'{verb} "{source}"'.encode() + (b"" if how == "clone" else f' RENAME TO "{into}"'.encode()))
    with Ledger(name) as ledger:
        if how == "rename":
            ledger.check()
        else:
            with pytest.raises(LedgerForeign, match=f'was written in database "{source}".*this is "{into}"'):
                ledger.check()


def test_a_standby_is_refused_and_a_promoted_one_is_noticed(own_server: Server) -> None:
    """The cluster's number stays the same in a physical copy; the timeline tells."""
    endpoint, empty = database_on(own_server, "moved"), database_on(own_server, "empty")
    history(endpoint)
    own_server.stop()
    signal = own_server.data_dir / "standby.signal"
    signal.touch()
    own_server.account.own(signal)
    own_server.start()
    refused = "a standby and read-only; point the connection to the primary"
    with Ledger(endpoint) as ledger, pytest.raises(EnvironmentFault, match=refused):
        ledger.check()
    with Ledger(empty) as ledger, pytest.raises(EnvironmentFault, match=refused):
        ledger.install()
    with psycopg.connect(own_server.conninfo(), autocommit=True) as admin:
        assert admin.execute("SELECT pg_promote(true, 60)").fetchone() == (True,)
        admin.execute("CHECKPOINT")
    with Ledger(endpoint) as ledger:
        with pytest.raises(LedgerForeign, match="from timeline 00000001 to 00000002: a standby was promoted"):
            ledger.check()
        ledger.adopt(run=run_of(make_plan()), reason="failover")
        ledger.check()
        assert ledger.verify_chain() == ()


def _dbname(endpoint: Endpoint) -> str:
    return str(conninfo_to_dict(endpoint.conninfo)["dbname"])
