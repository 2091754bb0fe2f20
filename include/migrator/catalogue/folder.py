"""Find the folders of migrations under a catalogue's root, without opening a file.

Nothing outside the root is ever read: a symbolic link that leaves is reported, not followed. `os.scandir` tells the
kind of an entry without asking the file system again, so a thousand folders take a few milliseconds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from migrator.catalogue.metadata import CHANGES_FILE, METADATA_FILE
from migrator.problems import Problem

DEEPEST = 6
"""Levels of folders below the root; by convention there are two, the year and the migration."""

_LIKE_A_VERSION = re.compile(r"[0-9]{3,}_")


@dataclass(frozen=True)
class Found:
    """One folder that has a metadata file, or should have one."""

    path: Path
    relative: str
    files: Mapping[str, os.DirEntry[str]]
    """The regular files in it that stay inside of it."""
    problems: tuple[Problem, ...] = ()

    @property
    def metadata_path(self) -> Path:
        return self.path / METADATA_FILE

    @property
    def metadata(self) -> os.DirEntry[str] | None:
        """None when the metadata file itself is a link that leaves the folder."""
        return self.files.get(METADATA_FILE)

    @property
    def changes(self) -> Path | None:
        return self.path / CHANGES_FILE if CHANGES_FILE in self.files else None


@dataclass
class Scan:
    found: list[Found] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def scan(root: Path) -> Scan:
    """Every migration's folder below `root`, by path."""
    result = Scan()
    _scan(root, "", root.resolve(), 0, result)
    result.found.sort(key=lambda found: found.relative)
    return result


def find(root: Path, version: str) -> list[Found]:
    """The folders called `version`. Opens no folder that looks like another migration, unless there is no other way."""
    if not version or "/" in version or "\\" in version or version.startswith("."):
        return []
    places = list(_named(root, "", version, 0, everywhere=False)) or list(_named(root, "", version, 0, everywhere=True))
    result = Scan()
    for path, relative in places:
        _scan(path, relative, root.resolve(), DEEPEST, result)
    return [found for found in result.found if found.path.name == version]


def _named(path: Path, relative: str, name: str, depth: int, *, everywhere: bool) -> Iterator[tuple[Path, str]]:
    try:
        with os.scandir(path) as listing:
            folders = sorted(one.name for one in listing if one.is_dir(follow_symlinks=False) and not _is_hidden(one))
    except OSError:
        return
    if name in folders:
        yield path / name, f"{relative}{name}"
    for folder in folders if depth < DEEPEST else ():
        if folder != name and (everywhere or not _LIKE_A_VERSION.match(folder)):
            yield from _named(path / folder, f"{relative}{folder}/", name, depth + 1, everywhere=everywhere)


def _is_hidden(entry: os.DirEntry[str]) -> bool:
    return entry.name.startswith(".") or entry.name == "__pycache__"


def _scan(path: Path, relative: str, root: Path, depth: int, result: Scan) -> None:
    try:
        with os.scandir(path) as listing:
            entries = [one for one in listing if not _is_hidden(one)]
    except OSError as exc:
        result.problems.append(Problem(str(path), f"cannot be read: {exc.strerror or exc}"))
        return
    files: dict[str, os.DirEntry[str]] = {}
    problems: list[Problem] = []
    for entry in sorted(entries, key=lambda one: one.name):
        if entry.is_symlink():
            wrong = _link_problem(path, entry, root)
            if wrong is not None:
                problems.append(wrong)
            elif entry.is_file():
                files[entry.name] = entry
        elif entry.is_dir(follow_symlinks=False):
            if depth < DEEPEST:
                inner = f"{relative}/{entry.name}" if relative else entry.name
                _scan(path / entry.name, inner, root, depth + 1, result)
        elif entry.is_file(follow_symlinks=False):
            files[entry.name] = entry
        else:
            problems.append(Problem(str(path / entry.name), "is no regular file"))
    _judge(path, relative, files, problems, result)


def _judge(
    path: Path, relative: str, files: dict[str, os.DirEntry[str]], problems: list[Problem], result: Scan
) -> None:
    if METADATA_FILE in files or any(one.file == str(path / METADATA_FILE) for one in problems):
        if relative:
            mine = tuple(Problem(str(path / METADATA_FILE), *_without_file(one, path)) for one in problems)
            result.found.append(Found(path, relative, files, mine))
        else:
            result.problems.append(
                Problem(str(path / METADATA_FILE), "lies in the catalogue's root", hint="give it a folder of its own")
            )
        return
    result.problems.extend(problems)
    misnamed = sorted(name for name in files if _is_misnamed(name))
    for name in misnamed:
        result.problems.append(Problem(str(path / name), "is not read", hint=f"call it {METADATA_FILE!r}"))
    scripts = sorted(name for name in files if name.lower().endswith(".sql"))
    if scripts and not misnamed:
        result.problems.append(
            Problem(
                str(path / scripts[0]),
                f"lies in a folder without {METADATA_FILE!r}, so it is never run",
                hint="`migrator new` makes the files of a migration",
            )
        )


def _is_misnamed(name: str) -> bool:
    stem, _, ending = name.lower().replace("_", "-").rpartition(".")
    return ending in ("yaml", "yml") and stem in ("migration-metadata", "migrationmetadata", "metadata")


def _without_file(problem: Problem, path: Path) -> tuple[str]:
    name = Path(problem.file).name
    return (problem.message if name == METADATA_FILE else f"{name!r} {problem.message}",)


def _link_problem(path: Path, entry: os.DirEntry[str], root: Path) -> Problem | None:
    """A link may point to a file of the same folder (as Kubernetes' volumes do) or to a folder that the scan meets
    anyway; every other one is a problem."""
    name = str(path / entry.name)
    try:
        target = Path(entry.path).resolve(strict=True)
    except (OSError, RuntimeError):
        return Problem(name, "is a symbolic link to nothing")
    if entry.is_dir():
        inside = target == root or root in target.parents
        return None if inside else Problem(name, f"is a symbolic link that leaves the catalogue (to {str(target)!r})")
    if path.resolve() in target.parents:
        return None
    return Problem(name, f"is a symbolic link that leaves the folder (to {str(target)!r})")
