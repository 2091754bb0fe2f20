"""`migrator new`: the files of a new migration, with the next number, ready to be filled in."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import tempfile
from email.utils import parseaddr
from pathlib import Path
from typing import TYPE_CHECKING

from migrator import errors
from migrator.catalogue.metadata import CHANGES_FILE, METADATA_FILE
from migrator.cli import options
from migrator.plan import MigrationType, Risk
from migrator.run import system_clock

if TYPE_CHECKING:
    from migrator.cli.output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="what it does, in words: 'add analytics tables'")
    options.add_catalogue_arguments(parser)
    parser.add_argument("--description", metavar="TEXT", help="one line; default: NAME")
    parser.add_argument("--author", metavar="EMAIL", help="default: Git's user.email")
    parser.add_argument("--risk", choices=[str(risk) for risk in Risk], default="low", help="default: %(default)s")
    parser.add_argument(
        "--type",
        choices=[str(kind) for kind in MigrationType],
        metavar="TYPE",
        help="one of %(choices)s; default: computed from the SQL",
    )
    parser.add_argument("--year", metavar="FOLDER", help="folder below the catalogue; default: this year")
    parser.add_argument(
        "--depends-on",
        action="append",
        metavar="VERSION",
        help="a migration that must be applied before; may be given several times; default: the newest",
    )
    parser.add_argument("--irreversible", action="store_true", help="without a rollback script")
    parser.add_argument("--concurrent-index", action="store_true", help="a step that builds an index concurrently")


def run(args: argparse.Namespace, out: Output) -> int:
    from migrator.catalogue.folder import scan
    from migrator.catalogue.metadata_model import version_problem
    from migrator.catalogue.order import sort_key

    root = options.catalogue_root(args)
    versions = sorted((found.path.name for found in scan(root).found), key=sort_key)
    words = re.sub(r"[^a-z0-9]+", "_", args.name.lower()).strip("_")
    version = f"{_next_number(versions)}_{words}"
    wrong = version_problem(version) if words else "has no letter or digit"
    if wrong:
        raise errors.UsageError(f"NAME {args.name!r}: the version {wrong}")
    dependencies = versions[-1:] if args.depends_on is None else list(args.depends_on)
    unknown = sorted(set(dependencies) - set(versions))
    if unknown:
        raise errors.UsageError(f"--depends-on: there is no migration {unknown[0]!r}")
    year = args.year or f"{system_clock():%Y}"
    if not re.match(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z", year):
        raise errors.UsageError(f"--year {year!r} is not the name of a folder")
    author, description = args.author or _git_email(), " ".join((args.description or args.name).split())
    if not author:
        raise errors.UsageError("who writes it? give --author EMAIL, or set Git's user.email")
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", parseaddr(author)[1]):
        raise errors.UsageError(f"author {author!r} is no e-mail address: give --author EMAIL")
    files = _files(args, version, author=author, description=description, dependencies=dependencies)
    _check(files, root / year / version / METADATA_FILE)
    folder = _write(root / year / version, files)
    out.document({"version": version, "folder": str(folder), "files": [str(folder / name) for name in files]})
    for name in files:
        out.line(str(folder / name))
    out.line(f"next: write the SQL, then `migrator check {version}`", style="faint")
    return 0


def _next_number(versions: list[str]) -> str:
    """One more than the highest, as wide as the widest. Timestamps as numbers stay timestamps."""
    numbers = [digits[0] for version in versions if (digits := re.match(r"[0-9]+", version))]
    if not numbers:
        return "000"
    if len(numbers[-1]) == 14:
        return f"{system_clock():%Y%m%d%H%M%S}"
    return str(int(numbers[-1]) + 1).zfill(len(numbers[-1]))


def _git_email() -> str:
    git = shutil.which("git")
    if git is None:
        return ""
    found = subprocess.run([git, "config", "user.email"], capture_output=True, text=True, check=False)
    return found.stdout.strip()


def _files(
    args: argparse.Namespace, version: str, *, author: str, description: str, dependencies: list[str]
) -> dict[str, str]:
    """Content by name, in the order in which people read them."""
    header = f"-- Author: {author}\n-- Date: {system_clock():%Y-%m-%d}\n-- Description: {description}\n\n"
    metadata = [
        f"version: {_quoted(version)}",
        f"description: {_quoted(description)}",
        f"author: {_quoted(author)}",
        "reviewed_by: []",
        f"risk_level: {args.risk}",
        *([f"type: {args.type}"] if args.type else []),
        'estimated_duration: "1 minute"',
        "requires_downtime: false",
        f"rollback_available: {'false' if args.irreversible else 'true'}",
        "testing:",
        "  - unit_tests: false",
        "  - integration_tests: false",
        "  - performance_tests: false",
        "  - production_like_test: false",
        "dependencies:" + ("" if dependencies else " []"),
        *(f"  - {_quoted(name)}" for name in dependencies),
        *(["steps:", "  - {name: create_index, kind: create_index}"] if args.concurrent_index else []),
        "verify: []",
        "notes: |",
        "  What reviewers and operators should know.",
    ]
    forward, back = "-- The change, as pure SQL: no BEGIN, no COMMIT, no psql commands.\n", "-- What undoes it.\n"
    if args.concurrent_index:
        forward += "-- CREATE INDEX CONCURRENTLY idx_table_column ON table (column);\n"
        back += "-- DROP INDEX CONCURRENTLY IF EXISTS idx_table_column;\n"
    files = {METADATA_FILE: "\n".join(metadata) + "\n", f"{version}.sql": f"-- Migration: {version}\n{header}{forward}"}
    if not args.irreversible:
        files[f"{version}_rollback.sql"] = f"-- Rollback: {version}\n{header}{back}"
    files[CHANGES_FILE] = (
        f"# What {version} changes: added, dropped, changed; under each tables, columns, indexes and so on.\n"
        "# An added table covers its columns, constraints, indexes and sequences.\n"
        "added: {}\ndropped: {}\nchanged: {}\n"
    )
    return files


def _quoted(text: str) -> str:
    """A YAML string that is one line, whatever is in it."""
    import json

    return json.dumps(text, ensure_ascii=False)


def _check(files: dict[str, str], place: Path) -> None:
    """Nothing is written that `migrator check` would refuse to read."""
    from migrator.catalogue import metadata_model
    from migrator.input import yaml_source

    try:
        metadata_model.check(yaml_source.parse(files[METADATA_FILE].encode(), file=str(place)))
    except errors.InvalidInput as error:
        raise errors.UsageError("; ".join(f"{one.key}: {one.message}" for one in error.problems)) from error


def _write(folder: Path, files: dict[str, str]) -> Path:
    """All files or none: they are written beside and moved into place, and an existing folder is never touched."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        for name, content in files.items():
            (draft / name).write_text(content, encoding="utf-8")
        draft.chmod(0o755)
        if folder.exists():
            raise errors.UsageError(f"{str(folder)!r} exists already")
        os.rename(draft, folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return folder
