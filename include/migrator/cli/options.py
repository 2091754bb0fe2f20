"""Options that several commands share: where the migrations are, which target, and how to reach its database."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from migrator import errors

if TYPE_CHECKING:
    from migrator.catalogue.migration import Migration
    from migrator.database.session import Endpoint
    from migrator.targets.targets import Target, Targets

DEFAULT_MIGRATIONS = Path("migrations")
DEFAULT_TARGETS = Path("include/config/targets.yaml")


def _given(variable: str) -> Path | None:
    """What the environment says in the place of an option; options count more."""
    value = os.environ.get(variable)  # noqa: TID251  a command line is where the environment comes in
    return Path(value) if value else None


def add_catalogue_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("catalogue")
    group.add_argument(
        "--migrations",
        type=Path,
        default=_given("MIGRATOR_MIGRATIONS") or DEFAULT_MIGRATIONS,
        metavar="DIR",
        help="the catalogue (default: $MIGRATOR_MIGRATIONS, now %(default)s)",
    )
    group.add_argument("--cache", type=Path, metavar="DIR", help="keep what was read from unchanged files here")


def add_target_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("target")
    group.add_argument("--target", metavar="NAME", help="a target of the targets file")
    group.add_argument(
        "--targets",
        type=Path,
        default=_given("MIGRATOR_TARGETS"),
        metavar="FILE",
        help=f"the targets file (default: $MIGRATOR_TARGETS, else {DEFAULT_TARGETS})",
    )


def add_connection_arguments(parser: argparse.ArgumentParser) -> None:
    """`--target`, `--targets`, `--dsn` and `--connections`."""
    add_target_arguments(parser)
    group = parser.add_argument_group(
        "connection",
        "Without --dsn and --connections libpq decides: its service file and its PG* variables.\n"
        "Prefer these, or a password file, to a password in --dsn: other users of the machine see it.",
    )
    group.add_argument("--dsn", metavar="DSN", help="libpq connection string or URI of the target's database")
    group.add_argument(
        "--connections",
        type=Path,
        metavar="FILE",
        help="YAML file with one connection string a target (name: dsn; default: $MIGRATOR_CONNECTIONS)",
    )


def catalogue_root(args: argparse.Namespace) -> Path:
    """The folder of `--migrations`.

    :raises EnvironmentFault: when it is not there.
    """
    root: Path = args.migrations
    if not root.is_dir():
        raise errors.EnvironmentFault(f"there is no folder {str(root)!r} here: name it with --migrations DIR")
    return root


def migration(args: argparse.Namespace, version: str) -> Migration:
    """The one migration `version`; reads only its folder."""
    from migrator.catalogue import catalogue

    return catalogue.load_one(catalogue_root(args), version, cache=args.cache)


def targets(args: argparse.Namespace) -> Targets | None:
    """The targets file, or None when the default one is not there and nobody asked for it.

    :raises EnvironmentFault: when `--targets` names a file that is not there.
    """
    from migrator.targets.targets_model import load_targets

    path: Path = args.targets or DEFAULT_TARGETS
    if not path.is_file():
        if args.targets is not None or getattr(args, "target", None):
            raise errors.EnvironmentFault(f"there is no targets file {str(path)!r}: name it with --targets FILE")
        return None
    return load_targets(path)


def target(args: argparse.Namespace) -> Target | None:
    """The target that `--target` names, or None without `--target`."""
    if not args.target:
        return None
    known = targets(args)
    if known is None:  # unreachable: targets() raises when --target is given
        raise errors.EnvironmentFault("there is no targets file")
    return known.get(args.target)


def endpoint(args: argparse.Namespace, *, required: bool = True) -> Endpoint | None:
    """Where to connect, from `--dsn`, `--connections` and `--target`; role and search path come from the target.

    None when nothing was asked for and a database is not `required`.
    """
    chosen = target(args)
    if args.dsn is not None and args.connections is not None:
        raise errors.UsageError("--dsn and --connections exclude each other")
    if args.dsn is None and args.connections is None and chosen is not None:
        args.connections = _given("MIGRATOR_CONNECTIONS")
    if args.dsn is None and args.connections is None and chosen is None:
        if required:
            raise errors.UsageError("which database? give --target NAME, or --dsn DSN")
        return None
    from migrator.database.session import (
        Endpoint,  # and with it the driver, which an analysis without a database does without
    )

    if args.connections is not None:
        if chosen is None:
            raise errors.UsageError("--connections needs --target NAME")
        conninfo = connections(args.connections).get(chosen.name)
        if conninfo is None:
            raise errors.UsageError(f"{args.connections}: has no connection for target {chosen.name!r}")
    else:
        conninfo = args.dsn or ""
    if chosen is None:
        return Endpoint(conninfo=conninfo, name="the database of --dsn")
    return Endpoint(conninfo=conninfo, role=chosen.role, search_path=chosen.search_path, name=chosen.name)


def connections(path: Path) -> Mapping[str, str]:
    from migrator.input import yaml_source

    document = yaml_source.read(path)
    data = document.data
    if not isinstance(data, dict) or not all(isinstance(value, str) for value in data.values()):
        raise errors.InvalidInput(f"{path}: must map the names of targets to connection strings")
    return data
