"""`migrator pause`: let a migration that works in batches wait, without a lock, until somebody lets it go on."""

from __future__ import annotations

import argparse

from migrator.cli import asking
from migrator.cli.output import Output
from migrator.ledger.controls import PAUSE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    asking.add_arguments(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    asking.ask(args, PAUSE)
    text = f"{args.version} is paused: it begins no further batch, and keeps the migration lock meanwhile"
    return asking.done(out, text)
