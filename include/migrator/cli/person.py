"""Who is at the command line, for what the ledger keeps of it."""

from __future__ import annotations

import argparse
import getpass
import uuid

from migrator.run import RunContext


def add_person_arguments(parser: argparse.ArgumentParser, *, reason: bool = True) -> None:
    group = parser.add_argument_group("for the record")
    group.add_argument("--actor", metavar="NAME", help="who does this (default: the operating system's user)")
    if reason:
        group.add_argument("--reason", required=True, metavar="TEXT", help="why; the ledger keeps it for ever")


def run_context(args: argparse.Namespace, *, version: str = "") -> RunContext:
    """A run of its own for this command."""
    return RunContext(
        run_id=f"cli:{uuid.uuid4()}",
        version=version,
        target=args.target or "",
        actor=args.actor or getpass.getuser(),
    )
