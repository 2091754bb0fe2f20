"""Where snapshots lie: a tree `<root>/<target>/<snapshot>/`, on a file system or wherever the caller can copy to."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from migrator.backups import manifest
from migrator.errors import EnvironmentFault, UsageError


class Storage(Protocol):
    """What a provider needs. `key` is "<target>/<snapshot>"."""

    def location(self, key: str) -> str:
        """The URI of what is kept under `key`."""

    def workplace(self, key: str) -> Path:
        """A local directory in which the snapshot `key` is made; it does not exist yet, or is a leftover."""

    def keep(self, key: str, folder: Path) -> None:
        """Take over a finished directory: afterwards it is there as a whole, or not at all."""

    def fetch(self, key: str) -> Path:
        """A local directory with the files of `key`; `release` it afterwards."""

    def read(self, key: str, name: str) -> bytes | None:
        """One small file of `key`, without the rest; None: there is none."""

    def release(self, key: str, folder: Path) -> None:
        """What `fetch` gave is not needed any more."""

    def keys(self, target: str) -> tuple[str, ...]:
        """Complete snapshots of a target, oldest first: their names begin with the time."""

    def leftovers(self, target: str) -> tuple[str, ...]:
        """Keys of what is being made now, or was left by somebody who was killed while making it."""

    def delete(self, key: str) -> None:
        """Remove a snapshot, complete or not."""


class LocalStorage:
    """A directory. Snapshots are made beside their final place and renamed: half a one is never taken for a whole."""

    PARTIAL = ".partial-"

    def __init__(self, root: Path) -> None:
        self.root = root

    def location(self, key: str) -> str:
        return (self.root / key).as_uri()

    def workplace(self, key: str) -> Path:
        final = self.root / key
        folder = final.with_name(self.PARTIAL + final.name)
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            final.parent.chmod(0o700)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError as exc:
            raise EnvironmentFault(f"cannot write snapshots to {final.parent}: {exc.strerror}") from None
        return folder

    def keep(self, key: str, folder: Path) -> None:
        final = self.root / key
        shutil.rmtree(final, ignore_errors=True)
        folder.rename(final)

    def fetch(self, key: str) -> Path:
        return self.root / key

    def read(self, key: str, name: str) -> bytes | None:
        try:
            return (self.root / key / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def release(self, key: str, folder: Path) -> None:
        """Nothing was copied."""

    def keys(self, target: str) -> tuple[str, ...]:
        found = sorted((self.root / target).glob(f"*/{manifest.NAME}"))
        return tuple(f"{target}/{path.parent.name}" for path in found if not path.parent.name.startswith("."))

    def leftovers(self, target: str) -> tuple[str, ...]:
        complete = set(self.keys(target))
        found = sorted(path.name.removeprefix(self.PARTIAL) for path in (self.root / target).glob("*/"))
        return tuple(key for key in (f"{target}/{name}" for name in found) if key not in complete)

    def delete(self, key: str) -> None:
        final = self.root / key
        for folder in (final, final.with_name(self.PARTIAL + final.name)):
            shutil.rmtree(folder, ignore_errors=True)


def local_storage(uri: str) -> LocalStorage:
    """
    :param uri: file:///a/directory, or an absolute path.
    :raises UsageError: it is somewhere else; the caller has to bring a Storage of its own for that.
    """
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return LocalStorage(Path(unquote(parts.path)))
    if parts.scheme and "://" in uri:
        raise UsageError(f"snapshots at {parts.scheme}:// need the Airflow layer; give a directory or a file:// URI")
    path = Path(uri)
    if not path.is_absolute():
        raise UsageError(f"the storage {uri!r} must be an absolute path or a URI")
    return LocalStorage(path)
