"""`migrator calendar`: which migration runs when, on which target, and how far it is; also as iCalendar."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING

from migrator import errors
from migrator.cli import options
from migrator.input.durations import format_duration
from migrator.reports.calendar import Entry, entries, to_ics
from migrator.run import system_clock

if TYPE_CHECKING:
    from migrator.cli.output import Output

FORMATS = ("text", "json", "ics")
COLUMNS = ("Date", "Migration", "Type", "Risk", "Owner", "Target", "State")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_catalogue_arguments(parser)
    options.add_connection_arguments(parser)
    parser.add_argument("--from", dest="since", type=_day, metavar="DATE", help="leave out what is scheduled before")
    parser.add_argument("--to", dest="until", type=_day, metavar="DATE", help="leave out what is scheduled after")
    parser.add_argument("--scheduled", action="store_true", help="leave out what has no schedule")


def run(args: argparse.Namespace, out: Output) -> int:
    from migrator.catalogue.catalogue import load_catalogue

    catalogue = load_catalogue(options.catalogue_root(args), cache=args.cache)
    now = system_clock()
    found = [one for one in entries(catalogue.migrations, now=now, applied=_applied(args)) if _wanted(one, args)]
    if out.format == "ics":
        targets = options.targets(args)
        freezes = [
            (target.name, freeze)
            for target in (targets.targets.values() if targets else ())
            if args.target in (None, target.name)
            for freeze in target.freezes
        ]
        out.raw(to_ics(found, freezes=freezes, stamp=now))
    else:
        out.document(found)
        out.table(COLUMNS, [_row(one) for one in found])
        if not found:
            out.line("nothing to show" + (": no migration has a schedule" if args.scheduled else ""))
    for problem in catalogue.problems:
        out.note(f"left out: {problem}")
    return 1 if catalogue.problems else 0


def _row(entry: Entry) -> tuple[object, ...]:
    when = f"{entry.date_text} ({format_duration(entry.duration)})" if entry.duration else None
    kind = entry.type.replace("_", " ") if entry.type else None
    return (when, f"{entry.version}: {entry.description}", kind, entry.risk, entry.owner, entry.target, entry.state)


def _wanted(entry: Entry, args: argparse.Namespace) -> bool:
    if entry.start is None:
        return not (args.scheduled or args.since or args.until or args.target)
    day = entry.start.date()
    return (
        (args.since is None or day >= args.since)
        and (args.until is None or day <= args.until)
        and (args.target is None or entry.target == args.target)
    )


def _applied(args: argparse.Namespace) -> Mapping[str, str] | None:
    """Status by version from the ledger of the database that was asked for; None without one.

    A target alone only filters: the calendar must not need a connection.
    """
    if args.dsn is None and args.connections is None:
        return None
    from migrator.ledger.ledger import Ledger

    endpoint = options.endpoint(args)
    if endpoint is None:  # unreachable: a database is required here
        raise errors.UsageError("which database?")
    with Ledger(endpoint) as ledger:
        return {row.version: str(row.status) for row in ledger.migrations()} if ledger.exists() else {}


def _day(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date such as 2025-01-15") from None
