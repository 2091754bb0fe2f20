"""Copy programs to where the server's account can run them, and install what was downloaded, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from migrator.embedded.accounts import Account, barrier
from migrator.embedded.cache_folder import cache_directory, trusted
from migrator.embedded.places import lock
from migrator.embedded.programs import Programs, version_of
from migrator.errors import EnvironmentFault


def runnable_by(programs: Programs, account: Account, *, cache: Path | None = None) -> Programs:
    """The same programs where `account` can run them: in place if possible, else a copy in the cache.

    A repository under /root, for instance, is closed to `postgres`. We copy the programs out and leave the
    permissions of the directories above as they are.

    :raises EnvironmentFault: when the account cannot run them in place and they are not ours to copy.
    """
    server = programs.path("postgres")
    if not account.switch or _runs(server, account):
        return programs
    if programs.source in ("configured", "installed"):
        closed = barrier(account, programs.bindir) or programs.bindir
        raise EnvironmentFault(
            f'the account "{account.name}" cannot run the programs in "{programs.bindir}": "{closed}" is closed to it; '
            "configure a directory that every account can read"
        )
    cache = trusted(cache) if cache else cache_directory()
    identity = f"{programs.root}|{server.stat().st_size}|{server.stat().st_mtime_ns}"
    target = cache / f"{programs.source}-{programs.version}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
    install_once(target, lambda place: _copy(programs, place))
    copied = replace(
        programs,
        root=target / programs.root.name,
        bindir=target / programs.root.name / programs.bindir.relative_to(programs.root),
    )
    version_of(copied.path("postgres"), account=account)
    return copied


def install_once(target: Path, fill: Callable[[Path], None]) -> None:
    """Fill the directory `target` unless it is there; whole or not at all, also when two processes start at once."""
    with lock(target.with_name(target.name + ".lock")):
        if target.is_dir():
            return
        place = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            fill(place)
            _open_for_reading(place)
            place.rename(target)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise


def _copy(programs: Programs, place: Path) -> None:
    # The programs of a wheel find their libraries by a path relative to themselves: both move together.
    libraries = programs.root.with_name(programs.root.name + ".libs")
    prefix = programs.bindir.parent.relative_to(programs.root)
    shutil.copytree(programs.root / prefix, place / programs.root.name / prefix, symlinks=True)
    if libraries.is_dir():
        shutil.copytree(libraries, place / libraries.name, symlinks=True)


def _open_for_reading(tree: Path) -> None:
    for directory, _, files in os.walk(tree):
        os.chmod(directory, 0o755)
        for name in files:
            file = Path(directory, name)
            if not file.is_symlink():
                file.chmod(0o755 if file.stat().st_mode & stat.S_IXUSR else 0o644)


def _runs(program: Path, account: Account) -> bool:
    try:
        version_of(program, account=account)
    except EnvironmentFault:
        return False
    return True
