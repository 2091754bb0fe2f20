"""`migrator janitor`: what migrations that are over have left in a target; with `--drop` it takes that away."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from migrator import wording
from migrator.cli import options
from migrator.cli.output import Output
from migrator.cli.person import add_person_arguments, run_context
from migrator.errors import UsageError

if TYPE_CHECKING:
    from migrator.custody.orphans import Orphan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--drop",
        action="store_true",
        help="disable triggers and drop what its migration does not need any more (default: only tell)",
    )
    parser.add_argument("--schema", default="migrator", help="where the ledger lies (default: %(default)s)")
    options.add_connection_arguments(parser)
    add_person_arguments(parser, reason=False)


def run(args: argparse.Namespace, out: Output) -> int:
    """Exit code 1 when something is left that somebody has to do."""
    from migrator.custody import janitor
    from migrator.database.told import names_known
    from migrator.ledger.ledger import Ledger

    endpoint = options.endpoint(args)
    if endpoint is None:  # unreachable: options.endpoint() raises when a database is required
        raise UsageError("which database?")
    # Who stands at a terminal with the target's connection may read all names there.
    with Ledger(endpoint, schema=args.schema) as ledger, names_known(lambda name: True):
        report = janitor.run(endpoint=endpoint, ledger=ledger, run=run_context(args), drop=args.drop)
    out.document({"database": endpoint.label, "report": report})
    if report.orphans:
        out.table(("what", "of", "since", "size", "action", "why"), map(_cells, report.orphans))
    else:
        out.line("no migration has left anything", style="good")
    if report.held:
        out.line(report.held, style="warning")
    open_ = [one for one in report.orphans if one.is_open]
    if any(one.version is not None for one in open_) and not args.drop:
        out.line("what the ledger knows goes with: migrator janitor --drop", style="warning")
    for one in open_:
        if one.version is None or args.drop:
            out.line(f"{one.what}: {one.statement};", style="warning")
    return 0 if report.is_clean else 1


def _cells(one: Orphan) -> tuple[object, ...]:
    whose = None if one.version is None else f"{one.version}, {one.step}"
    since = f"{one.since:%Y-%m-%d %H:%M:%S}" if one.since else None
    size = wording.size(one.bytes) if one.bytes else None
    return one.what, whose, since, size, f"{one.todo.value}{', done' if one.done else ''}", one.why
