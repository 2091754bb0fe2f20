"""The list of a snapshot's files with their checksums: what is restored must be what was dumped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from migrator import documents
from migrator.errors import RestoreNotProven

NAME = "manifest.json"
"""Written last: a directory without it is no snapshot."""
CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Entry:
    path: str
    """Relative, with slashes."""
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    snapshot: str
    files: tuple[Entry, ...]

    @property
    def digest(self) -> str:
        return documents.digest(self)

    @property
    def size_bytes(self) -> int:
        return sum(entry.size for entry in self.files)


def build(snapshot: str, folder: Path) -> Manifest:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != NAME)
    return Manifest(
        snapshot,
        tuple(Entry(path.relative_to(folder).as_posix(), path.stat().st_size, _sha256(path)) for path in files),
    )


def write(manifest: Manifest, folder: Path) -> None:
    path = folder / NAME
    path.touch(mode=0o600)
    path.write_text(documents.canonical_json(manifest) + "\n", encoding="utf-8")


def read_one(name: str, read: Callable[[str], bytes | None], *, digest: str) -> bytes | None:
    """One small file of a snapshot, as it was written with it; None: it was written without.

    :param read: a file of the snapshot by name.
    :raises RestoreNotProven: it is another one.
    """
    found = read(name)
    try:
        known = documents.from_dict(Manifest, json.loads(read(NAME) or b""))
    except ValueError:
        known = Manifest("", ())
    wanted = next((entry.sha256 for entry in known.files if entry.path == name), None)
    if known.digest != digest or wanted != (None if found is None else hashlib.sha256(found).hexdigest()):
        raise RestoreNotProven(
            f"{name} is not the one that was written with the snapshot; take a new one, and find out what happened to"
            " this one",
            differences=(name,),
        )
    return found


def check(folder: Path, *, digest: str) -> Manifest:
    """Every file as it was dumped, none missing, none more.

    :param digest: of the manifest, as the record of the snapshot has it.
    :raises RestoreNotProven: with every difference.
    """
    try:
        known = documents.from_dict(Manifest, json.loads((folder / NAME).read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        raise RestoreNotProven(
            f"there is no complete snapshot at {folder}: its {NAME} is missing; take a new one", differences=(NAME,)
        ) from None
    except ValueError as exc:
        raise RestoreNotProven(f"{folder / NAME} is damaged: {exc}; take a new snapshot", differences=(NAME,)) from None
    problems = [f"{NAME} is another one than was written with the snapshot"] if known.digest != digest else []
    there = {entry.path: entry for entry in build(known.snapshot, folder).files}
    for entry in known.files:
        found = there.pop(entry.path, None)
        if found is None:
            problems.append(f"{entry.path} is missing")
        elif found != entry:
            problems.append(f"{entry.path} is damaged ({found.size:,} bytes, {entry.size:,} were written)")
    problems += [f"{path} does not belong to the snapshot" for path in there]
    if problems:
        raise RestoreNotProven(
            f"the files of snapshot {known.snapshot} are not those that were dumped: {'; '.join(problems)}. take a new"
            " snapshot, and find out what happened to this one",
            differences=tuple(problems),
        )
    return known


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            found.update(block)
    return found.hexdigest()
