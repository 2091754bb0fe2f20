"""Servers of ours: made whole, started whatever the last end was, and never as root."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from migrator.embedded.postmaster import IMPOSSIBLE_PID, command_line
from migrator.embedded.programs import Programs
from migrator.embedded.server import Server
from migrator.embedded.settings import FAST
from migrator.errors import EnvironmentFault
from tests.integration.embedded.test_watchdog import gone, log_of, wait_until

COUNT = "SELECT count(*) FROM kept"


@pytest.fixture
def kept(programs: Programs, place: Path) -> Iterator[Server]:
    """A started server with one row that must survive everything."""
    with Server(place / "data", programs=programs, settings=FAST) as server:
        with psycopg.connect(server.conninfo()) as conn:
            conn.execute("CREATE TABLE kept AS SELECT 1 AS id")
        with psycopg.connect(server.conninfo(), autocommit=True) as conn:
            conn.execute("CHECKPOINT")
        yield server


def expect_kept(server: Server) -> None:
    with psycopg.connect(server.conninfo()) as conn:
        assert conn.execute(COUNT).fetchone() == (1,)


def kill_postmaster(server: Server) -> int:
    """Its backends are left to find out by themselves; postmaster.pid stays."""
    assert server.pid is not None
    pid = server.pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: gone(pid))
    return pid


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_it_does_not_run_as_root(kept: Server) -> None:
    status = Path(f"/proc/{kept.pid}/status").read_text()
    fields = {name: value.split() for name, _, value in (line.partition(":") for line in status.splitlines())}
    assert set(fields["Uid"]) == {str(kept.account.uid)} != {"0"}
    assert set(fields["Gid"]) == {str(kept.account.gid)}
    assert fields["Groups"] in ([], [str(kept.account.gid)]), "none of root's groups is left"
    assert kept.data_dir.stat().st_uid == kept.account.uid
    assert kept._password_file.stat().st_uid == 0
    assert kept._password_file.stat().st_mode & 0o777 == 0o600


def test_strangers_stay_out(kept: Server) -> None:
    assert kept.data_dir.stat().st_mode & 0o777 == 0o700
    with psycopg.connect(kept.conninfo()) as conn:
        assert conn.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)
        assert conn.execute(
            "SELECT count(*) FROM pg_hba_file_rules WHERE type = 'host' AND auth_method = 'trust'"
        ).fetchone() == (0,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(kept.conninfo(password="wrong")).close()


def test_start_and_stop_are_idempotent(kept: Server) -> None:
    pid = kept.pid
    kept.start()
    assert kept.pid == pid
    for mode in ("fast", "immediate", "smart"):
        kept.stop(mode)
        kept.stop(mode)
        assert not kept.running()
        kept.start()
        expect_kept(kept)


def test_the_port_stays_and_moves_when_it_is_taken(kept: Server) -> None:
    port = kept.port
    kept.stop()
    kept.start()
    assert kept.port == port
    kept.stop()
    with socket.create_server(("127.0.0.1", port)):
        kept.start()
        assert kept.port != port
        expect_kept(kept)


def test_a_fixed_port_that_is_taken_is_named(programs: Programs, place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = Server(place / "data", programs=programs, settings=FAST, port=port)
        server.create()
        with pytest.raises(EnvironmentFault, match=f"port {port} of 127.0.0.1 is taken.*choose another port"):
            server.start()


def test_after_kill_9_of_the_postmaster(kept: Server) -> None:
    kill_postmaster(kept)
    assert (kept.data_dir / "postmaster.pid").exists()
    assert not kept.running()
    kept.start()
    expect_kept(kept)
    assert "database system was not properly shut down; automatic recovery in progress" in log_of(kept.data_dir)


def test_after_kill_9_with_a_backend_at_work(kept: Server) -> None:
    """The backend computes on without its postmaster; the start waits until it is gone, as two must never write."""
    conn = psycopg.connect(kept.conninfo(), autocommit=True)
    pid = conn.info.backend_pid
    conn.pgconn.send_query(b"SELECT sum(sqrt(g)) FROM generate_series(1, 8000000) g")
    wait_until(lambda: _runs(kept, pid))
    kill_postmaster(kept)
    kept.start()
    assert gone(pid)
    expect_kept(kept)
    conn.close()


def test_a_stale_number_that_another_process_of_the_account_has_now(kept: Server) -> None:
    """After a reboot: PostgreSQL itself would refuse to start, for ever."""
    kill_postmaster(kept)
    wait_until(lambda: kept._watchdog is None or kept._watchdog.poll() is not None)
    file = kept.data_dir / "postmaster.pid"
    other = subprocess.Popen(["sleep", "100"], cwd="/", **kept.account.popen_arguments())
    try:
        lines = file.read_text().splitlines()
        file.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
        assert not kept.running()
        kept.start()
        expect_kept(kept)
        assert other.poll() is None, "it was left alone"
        assert f"(PID {other.pid}) running in data directory" in log_of(kept.data_dir)
        assert str(IMPOSSIBLE_PID) not in file.read_text()
    finally:
        other.kill()
        other.wait()


def test_a_postmaster_file_that_makes_no_sense(kept: Server) -> None:
    kept.stop()
    (kept.data_dir / "postmaster.pid").write_text("")
    kept.start()
    expect_kept(kept)


def test_a_server_that_cannot_start_says_why(kept: Server) -> None:
    kept.stop()
    with (kept.data_dir / "postgresql.auto.conf").open("a") as file:
        file.write("shared_buffers = 'nonsense'\n")
    with pytest.raises(
        EnvironmentFault, match=r'did not start:.*invalid value for parameter "shared_buffers"'
    ) as raised:
        kept.start()
    assert str(kept.data_dir) in str(raised.value)
    assert not kept.running()


def test_made_once_by_two_at_once(programs: Programs, place: Path) -> None:
    data_dir = place / "data"
    servers = [Server(data_dir, programs=programs, settings=FAST) for _ in range(2)]
    threads = [threading.Thread(target=server.create) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert servers[0].exists()
    assert sorted(path.name for path in place.iterdir()) == ["data", "data.lock", "data.password"]


def test_what_a_killed_creation_left_is_removed(programs: Programs, place: Path) -> None:
    half = place / "data.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    server = Server(place / "data", programs=programs, settings=FAST)
    assert not server.exists()
    with server:
        assert server.running()
    assert not half.exists()


def test_directories_that_are_not_ours(programs: Programs, place: Path) -> None:
    data_dir = place / "data"
    data_dir.mkdir()
    (data_dir / "letter.txt").write_text("dear")
    server = Server(data_dir, programs=programs, settings=FAST)
    with pytest.raises(EnvironmentFault, match="is not empty and holds no PostgreSQL data; name another one"):
        server.create()
    assert (data_dir / "letter.txt").read_text() == "dear"
    with pytest.raises(EnvironmentFault, match=r"there is no cluster in .*; create it first"):
        Server(place / "nothing", programs=programs).start()


def test_data_of_another_major(kept: Server, programs: Programs) -> None:
    kept.stop()
    (kept.data_dir / "PG_VERSION").write_text("13\n")
    with pytest.raises(EnvironmentFault, match=rf"written by PostgreSQL 13 and the programs are {programs.version}"):
        kept.start()
    (kept.data_dir / "PG_VERSION").write_text(f"{programs.major}\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="for an ordinary user the server's account is the same")
def test_a_directory_that_the_account_cannot_reach(programs: Programs, place: Path) -> None:
    """It is named, and nothing is opened."""
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    server = Server(closed / "data", programs=programs, settings=FAST)
    with pytest.raises(EnvironmentFault, match=rf'cannot reach "{closed}/data": "{closed}" is closed to it'):
        server.create()
    assert closed.stat().st_mode & 0o777 == 0o700


def test_the_callers_environment_does_not_leak_in(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("LD_PRELOAD_OF_OURS", "x")
    with Server.temporary(programs=programs) as server, psycopg.connect(server.conninfo()) as conn:
        assert conn.info.port == server.port != 1
        environment = Path(f"/proc/{server.pid}/environ")
        if sys.platform.startswith("linux"):
            names = {item.partition(b"=")[0] for item in environment.read_bytes().split(b"\0")}
            assert not names & {b"PGPORT", b"PGDATA", b"LD_PRELOAD_OF_OURS"}


def _runs(server: Server, pid: int) -> bool:
    with psycopg.connect(server.conninfo()) as conn:
        row = conn.execute("SELECT state FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone()
    return row == ("active",)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only there a process has no command for a moment")
def test_a_process_that_is_being_started_has_a_command() -> None:
    """Read right after the start it was empty every other time on a busy machine, and the server "did not start"."""
    with ExitStack() as busy:
        for _ in range((os.cpu_count() or 1) + 1):
            burning = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            busy.callback(burning.wait)
            busy.callback(burning.kill)
        for _ in range(100):
            with subprocess.Popen(["sleep", "60"]) as started:
                assert command_line(started.pid) == ("sleep", "60")
                started.kill()
    assert command_line(started.pid) == ()
