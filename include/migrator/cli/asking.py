"""What `pause`, `resume` and `tune` share: a person asks something of a migration that runs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from migrator.cli import options
from migrator.cli.output import Output
from migrator.cli.person import add_person_arguments, run_context
from migrator.errors import UsageError

if TYPE_CHECKING:
    from migrator.ledger.ledger import Ledger


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("version", metavar="VERSION")
    parser.add_argument("--schema", default="migrator", help="where the ledger lies (default: %(default)s)")
    options.add_connection_arguments(parser)
    add_person_arguments(parser)


def ask(args: argparse.Namespace, kind: str, **detail: int) -> None:
    """:raises UsageError: nothing of it could obey."""
    from migrator.ledger.ledger import Ledger

    endpoint = options.endpoint(args)
    if endpoint is None:  # unreachable: options.endpoint() raises when a database is required
        raise UsageError("which database?")
    with Ledger(endpoint, schema=args.schema) as ledger:
        ledger.check()
        _require_batches(args.version, ledger, detail)
        run = run_context(args, version=args.version)
        ledger.ask(args.version, kind, run=run, reason=args.reason, **detail)


def _require_batches(version: str, ledger: Ledger, given: dict[str, int]) -> None:
    """A step that works in batches is to come; and what is given is within its bounds."""
    from dataclasses import fields

    from migrator.ledger.rows import StepStatus
    from migrator.steps.kinds import kind_named

    if ledger.migration(version) is None:
        return  # the ledger says which there are
    kinds = {row.kind for row in ledger.steps(version) if row.status is not StepStatus.SUCCESS}
    batched = [
        kind for kind in map(kind_named, sorted(kinds)) if "batch_ms" in {one.name for one in fields(kind.PARAMETERS)}
    ]
    if not batched:
        raise UsageError(f"no step of {version!r} that is still to be done works in batches: nothing of it could obey")
    for kind in batched:
        for name, wrong, hint in kind.contradictions(kind.PARAMETERS(**given)):
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option} {given[name]} {wrong}" + (f": {hint}" if hint else ""))


def done(out: Output, text: str) -> int:
    out.document({"message": text})
    out.line(text, style="good")
    return 0
