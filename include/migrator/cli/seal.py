"""`migrator seal`: write down who committed each migration, for a deployment that has no repository."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from migrator import errors
from migrator.cli import options

if TYPE_CHECKING:
    from migrator.catalogue import seal
    from migrator.catalogue.migration import Migration
    from migrator.cli.output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_catalogue_arguments(parser)
    parser.description = (
        "Write down who committed each migration, and the digests of its files. Run it in the repository, in CI or"
        " before the image is built: the deployment needs no repository then, and the analysis counts those who"
        " committed as authors."
    )


def run(args: argparse.Namespace, out: Output) -> int:
    from migrator.catalogue import content, seal
    from migrator.catalogue.catalogue import load_catalogue
    from migrator.cli.repository import Repository

    root = options.catalogue_root(args)
    catalogue = load_catalogue(root, cache=args.cache)
    if catalogue.problems:
        raise errors.InvalidInput(problems=catalogue.problems)
    read = {one.relative: content.read_files(one) for one in catalogue.migrations}
    digests = {folder: content.checksums(files) for folder, files in read.items()}
    repository = Repository(root)
    files = {f"{folder}/{name}": raw for folder, some in read.items() for name, raw in some.items()}
    names = list(files)
    _require_committed(root, repository.uncommitted(files))
    wrote = repository.authors(names)
    _require_authors(root, tuple(name for name in names if not wrote[name]))
    made = seal.Seal(
        repository.commit,
        {one.relative: _sealed(one, digests[one.relative], wrote) for one in catalogue.migrations},
    )
    path = root / seal.SEAL_FILE
    _write(path, seal.to_text(made))
    out.document({"file": str(path), "commit": made.commit, "migrations": len(made.migrations)})
    for folder, sealed in made.migrations.items():
        out.line(f"{folder}: {', '.join(sealed.authors)}")
    out.line(f"{path}: {len(made.migrations)} sealed with commit {made.commit[:12]}", style="faint")
    return 0


def _sealed(migration: Migration, digests: dict[str, str], wrote: dict[str, tuple[str, ...]]) -> seal.Sealed:
    from migrator.catalogue import seal

    authors = [author for name in digests for author in wrote[f"{migration.relative}/{name}"]]
    return seal.Sealed(digests, tuple(dict.fromkeys(authors)))


def _require_committed(root: Path, names: tuple[str, ...]) -> None:
    if names:
        raise errors.AuthorsUnknown(
            "these are not in the last commit as they lie here, byte by byte, so nobody can say who wrote them: "
            + ", ".join(str(root / name) for name in names)
            + ". commit them, or put them back (`git restore`, `git clean`), in a checkout that converts nothing"
            " (`core.autocrlf`, .gitattributes), then seal again",
            problems=names,
        )


def _require_authors(root: Path, names: tuple[str, ...]) -> None:
    """History always says; should Git write it in a way that is not understood here, nothing is sealed."""
    if names:
        raise errors.AuthorsUnknown(
            "no commit that leads here has written these, so nobody can say who did: "
            + ", ".join(str(root / name) for name in names)
            + ". see what `git log` says of them",
            problems=names,
        )


def _write(path: Path, text: str) -> None:
    """Whole or not at all: a half seal would look like an attack."""
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)
