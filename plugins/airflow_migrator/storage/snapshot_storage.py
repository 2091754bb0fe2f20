"""Snapshots on object storage: made and restored in a local directory, kept wherever Airflow's filesystems reach."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from migrator.backups import manifest
from migrator.backups.storage import local_storage
from migrator.errors import EnvironmentFault, MigratorError, TransientError

if TYPE_CHECKING:
    from migrator.backups.storage import Storage

CHUNK = 8 * 1024 * 1024


def storage_at(location: str) -> Storage:
    """
    :param location: what `Settings.location` gives for the target's `storage`.
    """
    if urlsplit(location).scheme in ("", "file"):
        return local_storage(location)
    return ObjectStorage(location)


class ObjectStorage:
    """The manifest is uploaded last: a tree without it is no snapshot.

    Local directories hold production's data, so they are removed whatever happens.
    """

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")
        self._workplaces: dict[str, Path] = {}

    def location(self, key: str) -> str:
        return f"{self.root}/{key}"

    def workplace(self, key: str) -> Path:
        self._workplaces[key] = Path(tempfile.mkdtemp(prefix="migrator-snapshot-"))
        return self._workplaces[key] / key.rpartition("/")[2]

    def keep(self, key: str, folder: Path) -> None:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        with self._reaching():
            for path in sorted(files, key=lambda found: found.name == manifest.NAME):
                with path.open("rb") as source, self._path(key, path.relative_to(folder).as_posix()).open("wb") as sink:
                    shutil.copyfileobj(source, sink, CHUNK)
        self._leave(key)

    def fetch(self, key: str) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="migrator-restore-"))
        try:
            with self._reaching():
                self._download(self._path(key), folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return folder

    def read(self, key: str, name: str) -> bytes | None:
        with self._reaching():
            path = self._path(key, name)
            return bytes(path.read_bytes()) if path.exists() else None

    def release(self, key: str, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)

    def keys(self, target: str) -> tuple[str, ...]:
        with self._reaching():
            base = self._path(target)
            if not base.exists():
                return ()
            found = (path.name for path in base.iterdir() if (path / manifest.NAME).exists())
            return tuple(f"{target}/{name}" for name in sorted(found))

    def leftovers(self, target: str) -> tuple[str, ...]:
        complete = set(self.keys(target))
        with self._reaching():
            base = self._path(target)
            if not base.exists():
                return ()
            found = (f"{target}/{path.name}" for path in base.iterdir())
            return tuple(sorted(key for key in found if key not in complete))

    def delete(self, key: str) -> None:
        self._leave(key)
        with self._reaching():
            path = self._path(key)
            if path.exists():
                path.rmdir(recursive=True)

    def _leave(self, key: str) -> None:
        if key in self._workplaces:
            shutil.rmtree(self._workplaces.pop(key), ignore_errors=True)

    @staticmethod
    def _download(base: Any, folder: Path) -> None:
        if not base.exists():
            return
        for remote in base.rglob("*"):
            if remote.is_file():
                local = folder / remote.relative_to(base).as_posix()
                local.parent.mkdir(parents=True, exist_ok=True)
                with remote.open("rb") as source, local.open("wb") as sink:
                    shutil.copyfileobj(source, sink, CHUNK)

    def _path(self, *parts: str) -> Any:
        from airflow.sdk import ObjectStoragePath

        return ObjectStoragePath("/".join((self.root, *parts)))

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Each cloud's library has errors of its own. Those that Python has a name for are for a person; the others
        are the network's or the service's, and worth another try.

        :raises EnvironmentFault: no such bucket, no right, no provider. :raises TransientError: anything else.
        """
        try:
            yield
        except MigratorError:
            raise
        except (FileNotFoundError, PermissionError, ImportError, ValueError) as exc:
            raise EnvironmentFault(
                f"cannot use the snapshot storage {self.root}: {exc}; see targets.yaml's storage, the connection in it"
                " and the bucket"
            ) from exc
        except Exception as exc:
            raise TransientError(f"the snapshot storage {self.root} cannot be reached: {exc}") from exc
