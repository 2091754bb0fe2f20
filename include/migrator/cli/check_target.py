"""`migrator check --target`: what would keep the target from being snapshotted, or its copies from being restored."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from migrator.cli import options
from migrator.errors import UsageError

if TYPE_CHECKING:
    from migrator.cli.output import Output
    from migrator.database.session import Endpoint
    from migrator.plan import Finding


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_connection_arguments(parser)
    group = parser.add_argument_group("server for restored copies")
    group.add_argument(
        "--copies",
        metavar="DSN",
        help="how to reach it, when --connections does not name the target's copies_connection",
    )
    group.add_argument(
        "--template-script",
        action="store_true",
        help="print nothing but the script for psql that makes a template database there, for --target",
    )


def findings(args: argparse.Namespace) -> tuple[Finding, ...]:
    """Empty without --target: then no database is asked.

    :raises MigratorError: the target cannot be asked.
    """
    if not args.target:
        return ()
    from migrator.backups import obstacle_facts, obstacles

    endpoint, copies = _endpoints(args)
    found = obstacles.findings(*obstacle_facts.look(endpoint, copies))
    return tuple(replace(one, file=f"target {args.target}") for one in found)


def print_script(args: argparse.Namespace, out: Output) -> int:
    """:raises UsageError: no target, or no server for its copies."""
    from migrator.backups import obstacle_facts, obstacles

    if not args.target:
        raise UsageError("for which target? give --target NAME")
    endpoint, copies = _endpoints(args)
    if copies is None:
        raise UsageError(
            f"where is the server for restored copies of {args.target!r}? give --copies DSN, or a file of connections"
            " that names its copies_connection"
        )
    source, server = obstacle_facts.look(endpoint, copies, required=True)
    assert server is not None  # required
    out.stdout.write(obstacles.script(source, server))
    return 0


def _endpoints(args: argparse.Namespace) -> tuple[Endpoint, Endpoint | None]:
    from migrator.database.session import Endpoint

    endpoint, target = options.endpoint(args), options.target(args)
    if endpoint is None or target is None:  # unreachable with --target
        raise UsageError("which database? give --target NAME")
    dsn = args.copies
    if dsn is None and args.connections is not None:
        dsn = options.connections(args.connections).get(target.copies_connection)
    return endpoint, None if dsn is None else Endpoint(conninfo=dsn, name=target.copies_connection)
