"""The seal: who committed the files of each migration, and what was in them, written where the repository is.

A deployment has no repository: the image and Airflow's bundles leave it out. So `migrator seal` writes what history
says into a file beside the migrations, and the analysis believes it as long as the files are the same, byte by byte.
Whoever may write the deployed files may write this one: it ends where the deployment's own rights begin.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from migrator import documents
from migrator.errors import AuthorsUnknown, InvalidInput
from migrator.problems import Problem

if TYPE_CHECKING:
    from migrator.catalogue.migration import Migration

SEAL_FILE = "seal.json"
FORMAT = 1


@dataclass(frozen=True)
class Sealed:
    """One migration's folder as it was committed."""

    files: Mapping[str, str]
    """The digest of each file's bytes, by name."""
    authors: tuple[str, ...]
    """`Name <address>`, the last commit's first."""


@dataclass(frozen=True)
class Seal:
    commit: str
    migrations: Mapping[str, Sealed]
    """By the folder as seen from the catalogue's root."""
    format: int = FORMAT


def to_text(seal: Seal) -> str:
    return json.dumps(documents.to_dict(seal), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def read(root: Path) -> Seal | None:
    """None when the catalogue has none. :raises InvalidInput: it is there and no seal."""
    path = root / SEAL_FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        seal = documents.from_dict(Seal, data) if isinstance(data, dict) else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        raise InvalidInput(problems=(Problem(str(path), f"is no seal: {exc}", hint=AGAIN),)) from exc
    if seal is None or seal.format != FORMAT:
        raise InvalidInput(problems=(Problem(str(path), "is no seal that this engine can read", hint=AGAIN),))
    return seal


AGAIN = "run `migrator seal` in the repository and deploy what it writes"


def authors(seal: Seal, migration: Migration, here: Mapping[str, str]) -> tuple[str, ...]:
    """Who committed the migration.

    :param here: the digests of its files as they lie here, by name (`content.checksums`).
    :raises AuthorsUnknown: they are not what was sealed.
    """
    commit = f"commit {seal.commit[:12]}"
    sealed = seal.migrations.get(migration.relative)
    if sealed is None:
        raise AuthorsUnknown(
            f"{migration.relative!r} is not in the seal of {commit}, so nobody can say who wrote it: commit it, then"
            f" {AGAIN}",
            problems=(migration.relative,),
        )
    wrong = [
        *(f"{name!r} was added" for name in sorted(here.keys() - sealed.files.keys())),
        *(f"{name!r} is gone" for name in sorted(sealed.files.keys() - here.keys())),
        *(f"{name!r} was changed" for name in sorted(here) if sealed.files.get(name, here[name]) != here[name]),
    ]
    if wrong:
        raise AuthorsUnknown(
            f"{migration.relative!r} is not what was sealed with {commit}, so nobody can say who wrote it:"
            f" {', '.join(wrong)}. put it back, or commit it, then {AGAIN}",
            problems=tuple(wrong),
        )
    return sealed.authors
