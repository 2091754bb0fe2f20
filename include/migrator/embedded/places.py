"""The directories that are ours: data and sockets. What others own is never opened or changed."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from migrator.embedded.accounts import Account, barrier
from migrator.embedded.cache_folder import trusted
from migrator.errors import EnvironmentFault

# A socket's path may have 103 bytes on macOS, 107 on Linux; "/.s.PGSQL.65535" takes 15 of them.
SOCKET_DIRECTORY_BYTES = 103 - 15


def data_home(preferred: Path, account: Account) -> Path:
    """A directory for data: `preferred` where the account can reach it, else one of ours that it can.

    A repository under /root is closed to `postgres`; then this is `/var/lib/migrator/<name>-<digest of preferred>`,
    the same one each time.
    """
    preferred = preferred.absolute()
    if barrier(account, preferred) is None:
        make_directory(preferred)
        return preferred
    parent = Path("/var/lib") if Path("/var/lib").is_dir() else Path("/var/tmp")
    home = trusted(parent / "migrator") / f"{preferred.name}-{hashlib.sha256(os.fsencode(preferred)).hexdigest()[:12]}"
    return trusted(home)


def make_directory(directory: Path) -> None:
    """Make `directory` and what is missing above it so that any account can pass through, whatever the umask."""
    missing = [place for place in (directory, *directory.parents) if not place.exists()]
    for place in reversed(missing):
        with contextlib.suppress(FileExistsError):
            place.mkdir()
            place.chmod(0o711)


def socket_directory(data_dir: Path, account: Account) -> Path:
    """Where the server's Unix socket lies: its data directory (mode 0700), or a short one when that path is too long.

    Local connections are trusted, so the directory must be closed to everyone but the account and root.

    :raises EnvironmentFault: when someone else has made the short directory.
    """
    if len(os.fsencode(data_dir)) <= SOCKET_DIRECTORY_BYTES:
        return data_dir
    short = Path("/tmp") / f".migrator-{account.uid}-{hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]}"
    try:
        short.mkdir(mode=0o700)
        account.own(short)
    except FileExistsError:
        pass
    state = short.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != account.uid or stat.S_IMODE(state.st_mode) != 0o700:
        raise EnvironmentFault(
            f'"{short}" should be a directory of "{account.name}" with mode 700, and is not; remove it, or use a data '
            f"directory whose path has at most {SOCKET_DIRECTORY_BYTES} bytes"
        )
    return short


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file `path`; the system frees it when we die."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
