"""All migrations under one folder, in the order of their dependencies, with everything that is wrong at once.

One broken migration never hides the others: `broken` says per file what is wrong there, `migrations` has the rest.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from migrator.catalogue import folder
from migrator.catalogue import order as catalogue_order
from migrator.catalogue.cache import MetadataReader
from migrator.catalogue.folder import Found
from migrator.catalogue.migration import Migration
from migrator.errors import InvalidInput, UsageError
from migrator.problems import Problem

if TYPE_CHECKING:
    from migrator.input.yaml_source import Place


@dataclass(frozen=True)
class Catalogue:
    root: Path
    migrations: tuple[Migration, ...]
    """Each after all that it depends on; otherwise by version. Does not depend on the file system's order."""
    problems: tuple[Problem, ...] = ()
    broken: Mapping[str, tuple[Problem, ...]] = field(default_factory=dict)
    """Problems by file, for those migrations that are left out of `migrations`."""

    @cached_property
    def _by_version(self) -> dict[str, Migration]:
        return {migration.version: migration for migration in self.migrations}

    @cached_property
    def _places(self) -> dict[str, int]:
        return {version: place for place, version in enumerate(self._by_version)}

    @property
    def broken_versions(self) -> frozenset[str]:
        """Those that are there and cannot be read as they are now."""
        return frozenset(Path(file).parent.name for file in self.broken)

    def get(self, version: str) -> Migration | None:
        return self._by_version.get(version)

    def require(self, version: str) -> Migration:
        """The migration `version`.

        :raises UsageError: when there is none; names the nearest one.
        :raises InvalidInput: when it is there but broken.
        """
        migration = self.get(version)
        if migration is not None:
            return migration
        for file, problems in self.broken.items():
            if Path(file).parent.name == version:
                raise InvalidInput(problems=problems)
        raise UsageError(f"there is no migration {version!r}{_nearest(version, self._by_version)}")

    def dependencies_of(self, version: str) -> tuple[str, ...]:
        """Everything that must be applied before `version`, directly or not, in the catalogue's order. Of a broken
        dependency only the name is known."""
        known, places = self._by_version, self._places
        wanted: set[str] = set()
        stack = list(self.require(version).metadata.dependencies)
        while stack:
            current = stack.pop()
            if current not in wanted:
                wanted.add(current)
                if current in known:
                    stack += known[current].metadata.dependencies
        broken = wanted.difference(known)
        return (*sorted(broken), *sorted(wanted - broken, key=places.__getitem__))


def load_catalogue(root: Path, *, cache: Path | None = None) -> Catalogue:
    """Every migration under `root`. `cache` is a folder for what was read from files that have not changed since.

    :raises UsageError: when `root` is no folder; anything below it becomes a problem instead.
    """
    if not root.is_dir():
        raise UsageError(f"there is no folder {str(root)!r}")
    scan = folder.scan(root)
    reader = MetadataReader(cache)
    problems: dict[str, list[Problem]] = {}
    for one in scan.problems:
        problems.setdefault(one.file, []).append(one)
    loaded: list[Migration] = []
    for found in scan.found:
        migration, wrong = _load(found, reader)
        if migration is not None:
            loaded.append(migration)
        if wrong:
            problems.setdefault(str(found.metadata_path), []).extend(wrong)
    names = [found.path.name for found in scan.found]
    for one in (*catalogue_order.duplicates(scan.found), *catalogue_order.dependency_problems(loaded, names)):
        problems.setdefault(one.file, []).append(one)
    good = [migration for migration in loaded if str(migration.metadata_path) not in problems]
    broken = {file: _placed(found) for file, found in sorted(problems.items())}
    return Catalogue(
        root=root,
        migrations=catalogue_order.ordered(good),
        problems=tuple(one for found in broken.values() for one in found),
        broken=broken,
    )


def load_one(root: Path, version: str, *, cache: Path | None = None) -> Migration:
    """The migration `version`; reads its folder and no other. What concerns several (an unknown or circular
    dependency) is not looked at here.

    :raises UsageError: when there is no such folder under `root`.
    :raises InvalidInput: when there are two, or the migration is broken.
    """
    places = folder.find(root, version)
    if not places:
        known = [found.path.name for found in folder.scan(root).found] if root.is_dir() else []
        raise UsageError(f"there is no migration {version!r} under {str(root)!r}{_nearest(version, known)}")
    problems = list(catalogue_order.duplicates(places))
    migration, wrong = _load(places[0], MetadataReader(cache))
    problems.extend(wrong)
    if problems or migration is None:
        raise InvalidInput(problems=_placed(problems))
    return migration


def _load(found: Found, reader: MetadataReader) -> tuple[Migration | None, tuple[Problem, ...]]:
    """One migration from its folder. With problems that leave it readable there is still a Migration, so that what
    depends on it is judged rightly; the caller leaves it out."""
    if found.metadata is None:
        return None, tuple(found.problems)
    metadata, problems = reader.read(found.metadata)
    if metadata is None:
        return None, (*found.problems, *problems)
    version, file = metadata.version, str(found.metadata_path)
    wrong = [*found.problems]
    if version != found.path.name:
        wrong.append(
            Problem(
                file,
                f"version {version!r} and folder {found.path.name!r} differ",
                key="version",
                hint="give both the same name",
            )
        )
    own = f"{version}.sql"
    forward = [step.file or own for step in metadata.steps if step.reads_file] if metadata.steps else [own]
    rollback = f"{version}_rollback.sql"
    expected = {*forward, *([rollback] if metadata.rollback_available else [])}
    for name in sorted(expected - found.files.keys()):
        wrong.append(_missing(found, name, rollback=rollback))
    for name in sorted(name for name in found.files.keys() - expected if name.lower().endswith(".sql")):
        wrong.append(_unused(found, name, rollback=rollback))
    return (
        Migration(
            folder=found.path,
            relative=found.relative,
            metadata=metadata,
            sql_path=found.path / (own if own in forward or not forward else forward[0]),
            rollback_path=found.path / rollback if rollback in found.files and metadata.rollback_available else None,
            changes_path=found.changes,
        ),
        tuple(wrong),
    )


def _missing(found: Found, name: str, *, rollback: str) -> Problem:
    file, close = str(found.metadata_path), _nearest(name, [one for one in found.files if one.endswith(".sql")])
    if name == rollback:
        message = f"is true, but there is no {name!r}{close}"
        return Problem(file, message, key="rollback_available", hint="write it, or say false")
    return Problem(file, f"there is no {name!r} beside it{close}", hint="every step needs its SQL file")


def _unused(found: Found, name: str, *, rollback: str) -> Problem:
    if name == rollback:
        hint = "say rollback_available: true, or remove the file"
    else:
        hint = "name it in a step, or remove it"
    return Problem(str(found.metadata_path), f"{name!r} lies in the folder, but nothing runs it", hint=hint)


def _placed(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The problems with the line of the key that each names, where only the key is known (the cache keeps no lines)."""
    from migrator.input.yaml_source import dotted, read

    result: list[Problem] = []
    places: dict[str, Place] = {}
    for one in dict.fromkeys(problems):
        if one.key and one.line is None:
            if not places:
                try:
                    document = read(Path(one.file))
                    places = {dotted(key): place for key, place in (*document.values.items(), *document.keys.items())}
                except InvalidInput:  # gone meanwhile
                    pass
            place = places.get(one.key)
            result.append(replace(one, line=place.line, column=place.column) if place else one)
        else:
            result.append(one)
    return tuple(result)


def _nearest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
