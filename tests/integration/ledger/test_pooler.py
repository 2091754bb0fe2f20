"""A pooler in transaction mode is recognised and refused, with real ones in between; session mode is fine."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from migrator.database import session
from migrator.database.locking import migration_lock
from migrator.database.session import Endpoint
from migrator.embedded.ports import free_port
from migrator.embedded.server import Server
from migrator.errors import PoolerDetected
from migrator.run import RunContext
from tests.integration.ledger.small_pooler import SmallPooler

RUN = RunContext(run_id="run-1", version="001_test", target="test", actor="tester")


def socket_path(server: Server) -> str:
    given = conninfo_to_dict(server.conninfo(socket=True))
    return f"{given['host']}/.s.PGSQL.{given['port']}"


@contextmanager
def small(server: Server, database: Endpoint, *, size: int, transaction_mode: bool) -> Iterator[Endpoint]:
    """The database behind our own pooler."""

    def connect() -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(socket_path(server))
        return connection

    with SmallPooler(connect, size=size, transaction_mode=transaction_mode).running() as pooler:
        yield Endpoint(make_conninfo(database.conninfo, port=pooler.port, sslmode="disable", gssencmode="disable"))


@contextmanager
def pgbouncer(server: Server, database: Endpoint, *, size: int, mode: str, **settings: str) -> Iterator[Endpoint]:
    """The database behind PgBouncer; skipped where that is not installed (Debian: pgbouncer)."""
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    if program is None:
        pytest.skip("PgBouncer is not installed; the same is tested with a small pooler of ours")
    port = free_port()
    given = conninfo_to_dict(server.conninfo(socket=True))
    lines = ["[databases]", f"* = host={given['host']} port={given['port']}", "[pgbouncer]"]
    options = {
        "listen_addr": "127.0.0.1",
        "listen_port": str(port),
        "unix_socket_dir": "",
        "auth_type": "trust",
        "auth_file": str(server.data_dir / "pgbouncer.users"),
        "pool_mode": mode,
        "default_pool_size": str(size),
        "ignore_startup_parameters": "extra_float_digits,options",
        **settings,
    }
    lines += [f"{name} = {value}" for name, value in options.items()]
    ini = server.data_dir / "pgbouncer.ini"
    for file, text in ((ini, "\n".join(lines)), (Path(options["auth_file"]), '"migrator" ""')):
        file.write_text(text + "\n")
        server.account.own(file)
    process = subprocess.Popen(
        [program, "-q", str(ini)],
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **server.account.popen_arguments(),
    )
    try:
        endpoint = Endpoint(make_conninfo(database.conninfo, port=port, sslmode="disable", gssencmode="disable"))
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, "PgBouncer ended"
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield endpoint
    finally:
        process.kill()
        process.wait()


def expect_refused(endpoint: Endpoint) -> None:
    for _ in range(3):
        with pytest.raises(PoolerDetected, match="the server's own host and port"):
            session.connect(endpoint, purpose="apply").close()
    with pytest.raises(PoolerDetected), migration_lock(endpoint, run=RUN):
        pass


def expect_accepted(endpoint: Endpoint) -> None:
    with migration_lock(endpoint, run=RUN) as lock, session.connect(endpoint, purpose="apply") as conn:
        assert conn.info.backend_pid != session.backend_of(conn)[0], "there is a pooler"
        lock.check()
        assert conn.execute("SHOW client_connection_check_interval").fetchone() == ("1s",)


@contextmanager
def others(endpoint: Endpoint, count: int) -> Iterator[None]:
    """Clients of the application, which query all the time."""
    stop = threading.Event()

    def work() -> None:
        with psycopg.connect(endpoint.conninfo, autocommit=True, prepare_threshold=None) as conn:
            while not stop.is_set():
                conn.execute("SELECT pg_sleep(0.002)")

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=30)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_transaction_mode(server: Server, database: Endpoint, size: int) -> None:
    with small(server, database, size=size, transaction_mode=True) as endpoint:
        expect_refused(endpoint)


def test_transaction_mode_under_traffic(server: Server, database: Endpoint) -> None:
    with small(server, database, size=3, transaction_mode=True) as endpoint, others(endpoint, 4):
        expect_refused(endpoint)


def test_session_mode(server: Server, database: Endpoint) -> None:
    with small(server, database, size=10, transaction_mode=False) as endpoint, others(endpoint, 2):
        expect_accepted(endpoint)


def test_session_mode_without_room(server: Server, database: Endpoint) -> None:
    """A migration needs several sessions at once; here the second would wait for the first, for ever."""
    with (
        small(server, database, size=1, transaction_mode=False) as endpoint,
        pytest.raises(PoolerDetected, match="gave us no second session"),
    ):
        session.connect(endpoint, purpose="apply").close()


@pytest.mark.parametrize("mode", ["transaction", "statement"])
@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("round_robin", ["0", "1"])
def test_pgbouncer_lends(server: Server, database: Endpoint, mode: str, size: int, round_robin: str) -> None:
    with pgbouncer(server, database, size=size, mode=mode, server_round_robin=round_robin) as endpoint:
        expect_refused(endpoint)


def test_pgbouncer_in_session_mode(server: Server, database: Endpoint) -> None:
    with pgbouncer(server, database, size=10, mode="session") as endpoint:
        expect_accepted(endpoint)


def test_a_direct_connection(database: Endpoint) -> None:
    with session.connect(database, purpose="apply") as conn:
        assert conn.info.backend_pid == session.backend_of(conn)[0]
