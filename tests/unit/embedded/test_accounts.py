"""Whom a server runs as."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from migrator.embedded.accounts import Account, barrier, can_enter, server_account
from migrator.errors import EnvironmentFault

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def entry(name: str, uid: int) -> pwd.struct_passwd:
    return pwd.struct_passwd((name, "x", uid, uid, "", "/", "/bin/sh"))


def passwd(*entries: pwd.struct_passwd) -> Callable[[str | int], pwd.struct_passwd]:
    def find(key: str | int) -> pwd.struct_passwd:
        for one in entries:
            if key in (one.pw_name, one.pw_uid):
                return one
        raise KeyError(key)

    return find


@pytest.mark.parametrize(
    "names, chosen",
    [(("postgres", "nobody"), "postgres"), (("nobody",), "nobody"), (("nobody", "postgres"), "postgres")],
)
def test_root_becomes_postgres_or_else_nobody(names: tuple[str, ...], chosen: str) -> None:
    by_name = passwd(*(entry(name, 100 + index) for index, name in enumerate(names)))
    account = server_account(euid=0, by_name=by_name)
    assert (account.name, account.switch) == (chosen, True)
    assert account.popen_arguments() == {"user": account.uid, "group": account.gid, "extra_groups": []}


def test_root_becomes_whom_it_is_told() -> None:
    assert server_account("dba", euid=0, by_name=passwd(entry("dba", 7), entry("postgres", 8))).uid == 7
    with pytest.raises(EnvironmentFault, match='no account "dba" to run it as; create one'):
        server_account("dba", euid=0, by_name=passwd(entry("postgres", 8)))


def test_root_on_a_host_without_such_accounts() -> None:
    with pytest.raises(EnvironmentFault, match=r'no account "postgres" or "nobody".*useradd --system postgres'):
        server_account(euid=0, by_name=passwd())
    with pytest.raises(EnvironmentFault, match="refuses to run as root"):
        server_account(euid=0, by_name=passwd(entry("postgres", 0)))


def test_an_ordinary_user_stays_who_it_is() -> None:
    account = server_account(euid=1000, by_uid=passwd(entry("ann", 1000)))
    assert account == Account("ann", 1000, 1000, switch=False)
    assert account.popen_arguments() == {}
    assert server_account("ann", euid=1000, by_uid=passwd(entry("ann", 1000))) == account
    with pytest.raises(EnvironmentFault, match='only root can run a server as "postgres"; this is "ann"'):
        server_account("postgres", euid=1000, by_uid=passwd(entry("ann", 1000)))


@as_root
def test_a_uid_without_a_name() -> None:
    """As containers have it that are started with --user 54321. A real process with that number."""
    script = (
        "import os; from migrator.embedded.accounts import server_account\n"
        "from migrator.errors import EnvironmentFault\n"
        "os.setgroups([]); os.setgid(54321); os.setuid(54321)\n"
        "try: server_account()\n"
        "except EnvironmentFault as exc: print(exc)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert "uid 54321 has no entry in the password database" in done.stdout
    assert "echo 'migrator:x:54321:54321::/tmp:/usr/sbin/nologin' >> /etc/passwd" in done.stdout


@as_root
def test_what_root_may_enter_another_account_may_not(tmp_path: Path) -> None:
    """Asked of the kernel. Nothing is opened: the closed directory is named, so that a person can decide."""
    account = server_account()
    base = Path("/tmp") / f"migrator-accounts-{os.getpid()}"
    closed = base / "closed"
    inner = closed / "data"
    inner.mkdir(parents=True)
    try:
        base.chmod(0o711)
        closed.chmod(0o700)
        assert not can_enter(account, inner)
        assert barrier(account, inner / "not" / "yet") == closed
        closed.chmod(0o711)
        inner.chmod(0o711)
        assert barrier(account, inner / "not" / "yet") is None
        assert (closed.stat().st_mode & 0o777, closed.stat().st_uid) == (0o711, 0)
    finally:
        for place in (inner, closed, base):
            place.rmdir()


def test_our_own_directories(tmp_path: Path) -> None:
    ourselves = Account("me", os.geteuid(), os.getegid(), switch=False)
    assert can_enter(ourselves, tmp_path)
    assert barrier(ourselves, tmp_path / "a" / "b") is None
