"""Snapshots on object storage: made and restored in a local directory, kept wherever Airflow's filesystems reach."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from migrator.backups import manifest
from migrator.backups.storage import local_storage

if TYPE_CHECKING:
    from migrator.backups.storage import Storage


def storage_at(location: str) -> Storage:
    """
    :param location: what `Settings.location` gives for the target's `storage`.
    """
    if urlsplit(location).scheme in ("", "file"):
        return local_storage(location)
    return ObjectStorage(location)


class ObjectStorage:
    """The manifest is uploaded last: a tree without it is no snapshot."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")

    def location(self, key: str) -> str:
        return f"{self.root}/{key}"

    def workplace(self, key: str) -> Path:
        return Path(tempfile.mkdtemp(prefix="migrator-snapshot-")) / key.rpartition("/")[2]

    def keep(self, key: str, folder: Path) -> None:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        for path in sorted(files, key=lambda found: found.name == manifest.NAME):
            with path.open("rb") as source, self._path(key, path.relative_to(folder).as_posix()).open("wb") as sink:
                shutil.copyfileobj(source, sink, 8 * 1024 * 1024)
        shutil.rmtree(folder.parent)

    def fetch(self, key: str) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="migrator-restore-"))
        base = self._path(key)
        if base.exists():
            for remote in base.rglob("*"):
                if remote.is_file():
                    local = folder / remote.relative_to(base).as_posix()
                    local.parent.mkdir(parents=True, exist_ok=True)
                    with remote.open("rb") as source, local.open("wb") as sink:
                        shutil.copyfileobj(source, sink, 8 * 1024 * 1024)
        return folder

    def release(self, key: str, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)

    def keys(self, target: str) -> tuple[str, ...]:
        base = self._path(target)
        if not base.exists():
            return ()
        found = (path.name for path in base.iterdir() if (path / manifest.NAME).exists())
        return tuple(f"{target}/{name}" for name in sorted(found))

    def leftovers(self, target: str) -> tuple[str, ...]:
        base, complete = self._path(target), set(self.keys(target))
        if not base.exists():
            return ()
        found = (f"{target}/{path.name}" for path in base.iterdir())
        return tuple(sorted(key for key in found if key not in complete))

    def delete(self, key: str) -> None:
        path = self._path(key)
        if path.exists():
            path.rmdir(recursive=True)

    def _path(self, *parts: str) -> Any:
        from airflow.sdk import ObjectStoragePath

        return ObjectStoragePath("/".join((self.root, *parts)))
