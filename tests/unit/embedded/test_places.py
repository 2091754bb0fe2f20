"""Directories that nobody else can put a program or a socket into, and settings that cannot break out."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from migrator.embedded.accounts import Account
from migrator.embedded.cache_folder import trusted
from migrator.embedded.places import SOCKET_DIRECTORY_BYTES, lock, make_directory, socket_directory
from migrator.embedded.postmaster import IMPOSSIBLE_PID, read_postmaster, set_aside
from migrator.embedded.relocate import install_once
from migrator.embedded.settings import render
from migrator.errors import EnvironmentFault, UsageError

OURSELVES = Account("me", os.geteuid(), os.getegid(), switch=False)


def test_a_cache_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    assert trusted(tmp_path / "new" / "cache").is_dir()
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(EnvironmentFault, match=r"is not ours alone \(owner uid \d+, mode 777\)"):
        trusted(tmp_path / "open")
    (tmp_path / "link").symlink_to(tmp_path / "new" / "cache")
    with pytest.raises(EnvironmentFault, match="is not ours alone"):
        trusted(tmp_path / "link")


def test_made_directories_can_be_passed_through(tmp_path: Path) -> None:
    before = tmp_path.stat().st_mode
    old = os.umask(0o077)
    try:
        make_directory(tmp_path / "a" / "b")
    finally:
        os.umask(old)
    assert [(tmp_path / place).stat().st_mode & 0o777 for place in ("a", "a/b")] == [0o711, 0o711]
    assert tmp_path.stat().st_mode == before, "what was there is left as it was"


def test_a_long_path_gets_a_short_socket_directory(tmp_path: Path) -> None:
    short, long = tmp_path / "d", tmp_path / ("ä" * SOCKET_DIRECTORY_BYTES)
    assert socket_directory(Path("/tmp/d"), OURSELVES) == Path("/tmp/d")
    found = socket_directory(long, OURSELVES)
    try:
        assert found.stat().st_mode & 0o777 == 0o700
        assert len(os.fsencode(found)) <= SOCKET_DIRECTORY_BYTES
        assert socket_directory(long, OURSELVES) == found, "the same one each time"
        found.chmod(0o755)
        with pytest.raises(EnvironmentFault, match='should be a directory of "me" with mode 700'):
            socket_directory(long, OURSELVES)
    finally:
        found.rmdir()
    assert not short.exists()


def test_installed_once_by_many_and_whole_or_not_at_all(tmp_path: Path) -> None:
    target, filled = tmp_path / "programs", list[Path]()

    def fill(place: Path) -> None:
        filled.append(place)
        time.sleep(0.05)
        (place / "bin").mkdir(mode=0o700)
        (place / "bin" / "psql").write_text("x")
        (place / "bin" / "psql").chmod(0o700)

    def break_off(place: Path) -> None:
        (place / "half").write_text("x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        install_once(target, break_off)
    assert [path.name for path in tmp_path.iterdir()] == ["programs.lock"]
    threads = [threading.Thread(target=install_once, args=(target, fill)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(filled) == 1
    assert (target / "bin/psql").stat().st_mode & 0o777 == 0o755, "any account can run it"


def test_a_lock_dies_with_its_holder(tmp_path: Path) -> None:
    file = tmp_path / "x.lock"
    script = (
        "import sys, time; from pathlib import Path; from migrator.embedded.places import lock\n"
        "with lock(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(100)"
    )
    holder = subprocess.Popen([sys.executable, "-c", script, str(file)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    got = threading.Event()

    def wait() -> None:
        with lock(file):
            got.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not got.wait(0.3)
    holder.kill()
    holder.communicate()
    assert got.wait(20)
    thread.join()


@pytest.mark.parametrize("text", ["", "\n", "nonsense\n", "-\n", "99999999\n/data\n"])
def test_a_broken_or_stale_postmaster_file_is_no_server(tmp_path: Path, text: str) -> None:
    assert read_postmaster(tmp_path) is None
    (tmp_path / "postmaster.pid").write_text(text)
    assert read_postmaster(tmp_path) is None


def test_a_number_that_another_process_has_now_is_set_aside(tmp_path: Path) -> None:
    file = tmp_path / "postmaster.pid"
    file.write_text(f"{os.getpid()}\n/data\n123\n5432\n")
    assert read_postmaster(tmp_path) is None
    set_aside(tmp_path)
    assert file.read_text() == f"{IMPOSSIBLE_PID}\n/data\n123\n5432\n"
    set_aside(tmp_path / "nowhere")


def test_settings() -> None:
    text = render({"fsync": True, "jit": False, "port": 5432, "a.b": "it's \\ here", "timezone": "UTC"})
    assert text == "fsync = 'on'\njit = 'off'\nport = '5432'\na.b = 'it''s \\\\ here'\ntimezone = 'UTC'\n"
    for name in ("a b", "", "a\n", "1a", "a;b", "a.b.c"):
        with pytest.raises(UsageError, match="is not the name of a PostgreSQL setting"):
            render({name: 1})
    with pytest.raises(UsageError, match="contains a control character"):
        render({"search_path": "a\nfsync = 'off'"})
