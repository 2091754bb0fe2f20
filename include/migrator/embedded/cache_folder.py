"""The folder for what can be made again, such as downloads. Nobody else can write to it."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from migrator.errors import EnvironmentFault


def cache_directory() -> Path:
    """The default cache: `/var/cache/migrator` for root (any account can reach it), `~/.cache/migrator` for others."""
    if os.geteuid() == 0:
        parent = Path("/var/cache")
        return trusted(parent / "migrator" if parent.is_dir() else Path(tempfile.gettempdir()) / "migrator-root")
    try:
        return trusted(Path.home() / ".cache" / "migrator")
    except (OSError, RuntimeError):  # an account without a home, such as nobody
        return trusted(Path(tempfile.gettempdir()) / f"migrator-{os.geteuid()}")


def trusted(directory: Path) -> Path:
    """Make `directory` and refuse it when someone else could put a program into it.

    :raises EnvironmentFault: when it belongs to another account or others may write to it.
    """
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    state = directory.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid() or state.st_mode & 0o022:
        raise EnvironmentFault(
            f'"{directory}" is not ours alone (owner uid {state.st_uid}, mode {stat.S_IMODE(state.st_mode):o}); '
            "programs are started from it, so remove it or name another cache"
        )
    return directory
