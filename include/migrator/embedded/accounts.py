"""Whom a PostgreSQL server runs as: PostgreSQL refuses root, and an account must have a name.

Nothing here creates an account or changes the permissions of a directory that is not ours.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migrator.errors import EnvironmentFault

# Tried in this order when we are root: the account of an installed PostgreSQL, then the one that owns nothing.
ACCOUNTS_FOR_ROOT = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """The account that owns the data and runs the programs; `switch` says whether that is another one than ours."""

    name: str
    uid: int
    gid: int
    switch: bool

    def popen_arguments(self) -> dict[str, Any]:
        """What `subprocess` needs to run a program as this account, with none of root's groups left."""
        if not self.switch:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Give one file or directory that we have just made to this account."""
        if self.switch:
            os.chown(path, self.uid, self.gid)


def server_account(
    name: str | None = None,
    *,
    euid: int | None = None,
    by_name: Callable[[str], pwd.struct_passwd] = pwd.getpwnam,
    by_uid: Callable[[int], pwd.struct_passwd] = pwd.getpwuid,
) -> Account:
    """The account for a server: `name` if given, else ourselves, else (as root) `postgres` or `nobody`.

    :raises EnvironmentFault: when there is none that PostgreSQL accepts; the text says what to do.
    """
    euid = os.geteuid() if euid is None else euid
    if euid != 0:
        try:
            entry = by_uid(euid)
        except KeyError:
            raise EnvironmentFault(
                f"uid {euid} has no entry in the password database, and PostgreSQL refuses to run as such an account; "
                f"add one (echo 'migrator:x:{euid}:{os.getgid()}::/tmp:/usr/sbin/nologin' >> /etc/passwd) or start the "
                "container as a named user"
            ) from None
        if name is not None and name != entry.pw_name:
            raise EnvironmentFault(
                f'only root can run a server as "{name}"; this is "{entry.pw_name}": leave the account out'
            )
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, switch=False)
    wanted = ACCOUNTS_FOR_ROOT if name is None else (name,)
    for candidate in wanted:
        try:
            entry = by_name(candidate)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, switch=True)
    raise EnvironmentFault(
        "PostgreSQL refuses to run as root, and there is no account "
        + " or ".join(f'"{candidate}"' for candidate in wanted)
        + " to run it as; create one (useradd --system postgres) or run this command as an ordinary user"
    )


def can_enter(account: Account, directory: Path) -> bool:
    """Whether the account can work in `directory`, asked of the kernel and not computed from mode bits."""
    if not account.switch:
        return os.access(directory, os.X_OK)
    try:
        probe = subprocess.run(
            ["/bin/sh", "-c", 'cd "$1"', "sh", str(directory)],
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            **account.popen_arguments(),
        )
    except PermissionError as exc:
        raise EnvironmentFault(
            f'this process is root but may not become "{account.name}" ({exc}); give it the capabilities SETUID and '
            "SETGID, or run this command as an ordinary user"
        ) from exc
    return probe.returncode == 0


def barrier(account: Account, directory: Path) -> Path | None:
    """The first directory on the way to `directory` that the account cannot enter; None when the way is free."""
    existing = [place for place in (*reversed(directory.parents), directory) if place.is_dir()]
    if can_enter(account, existing[-1]):
        return None
    return next(place for place in existing if not can_enter(account, place))
