"""`migrator tune`: another size of batches, another pause between them, while a migration runs."""

from __future__ import annotations

import argparse

from migrator.cli import asking
from migrator.cli.output import Output
from migrator.errors import UsageError
from migrator.ledger.controls import BATCH_MS, PAUSE_MS, TUNE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--batch-ms", type=int, metavar="MS", help="how long a batch should take, in milliseconds")
    parser.add_argument("--pause-ms", type=int, metavar="MS", help="how long it rests between two batches")
    asking.add_arguments(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    asked = {BATCH_MS: args.batch_ms, PAUSE_MS: args.pause_ms}
    given = {name: value for name, value in asked.items() if value is not None}
    if not given:
        raise UsageError("what shall be changed? give --batch-ms MS, --pause-ms MS, or both")
    asking.ask(args, TUNE, **given)
    words = " and ".join(f"{name} {value}" for name, value in given.items())
    return asking.done(out, f"{args.version} works with {words} from now on, within two seconds")
