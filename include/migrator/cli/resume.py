"""`migrator resume`: let a paused migration go on."""

from __future__ import annotations

import argparse

from migrator.cli import asking
from migrator.cli.output import Output
from migrator.ledger.controls import RESUME


def add_arguments(parser: argparse.ArgumentParser) -> None:
    asking.add_arguments(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    asking.ask(args, RESUME)
    return asking.done(out, f"{args.version} goes on, within two seconds if it is being executed")
