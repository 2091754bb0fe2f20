"""`migrator analyze`: what SQL files, or a migration, would do: locks, rewrites, scans, time, type, risk, findings."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from migrator.cli import options
from migrator.errors import EnvironmentFault, UsageError

if TYPE_CHECKING:
    from migrator.analysis.effects import Assumed
    from migrator.cli.analyze_server import Server
    from migrator.cli.batch import Printed
    from migrator.cli.batch_settings import Settings
    from migrator.cli.output import Output
    from migrator.reports.document import Analysis
    from migrator.reports.forms import Form
    from migrator.reports.text import Look

FORMATS = ("text", "json", "sarif", "github", "gitlab", "markdown")
OLDEST, NEWEST = 12, 18
"""Major versions of PostgreSQL whose behaviour the effects know."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what", nargs="*", metavar="VERSION|FILE|DIR", help="a migration of the catalogue, or SQL files and folders"
    )
    parser.add_argument("--file", action="append", default=[], metavar="FILE", help="one more SQL file")
    parser.add_argument("--estimate-time", action="store_true", help="print the estimated time of each statement")
    parser.add_argument(
        "--calibrate-on",
        metavar="DSN",
        help="measure there, once in a while, what work costs: the server for restored copies; needs CREATEDB",
    )
    parser.add_argument("--check-locks", action="store_true", help="print the locks of each statement, all of them")
    parser.add_argument(
        "--validate-syntax",
        action="store_true",
        help="let the server of --target or --dsn parse every statement and look up its names, without running any",
    )
    parser.add_argument(
        "--check-data",
        action="store_true",
        help="look on --target or --dsn, best a replica, for rows that would make a statement fail; reads whole tables",
    )
    parser.add_argument(
        "--server-version",
        type=int,
        metavar="N",
        help=f"analyse for this major, {OLDEST} to {NEWEST}; default: the target's, or {NEWEST}",
    )
    parser.add_argument("--schema", metavar="NAME", help="where unqualified names are looked up; default: the target's")
    parser.add_argument("--strict", action="store_true", help="warnings fail, too")
    parser.add_argument("--jobs", type=int, metavar="N", help="processes for many files (default: one a core)")
    parser.add_argument(
        "--no-cache",
        action="store_true",
        help="analyse every file anew; else what is known of many unchanged files is taken from the last run",
    )
    options.add_catalogue_arguments(parser)
    options.add_connection_arguments(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    from migrator.cli.batch_settings import Settings
    from migrator.run import system_clock

    items = _items(args)
    single = len(items) == 1 and not any(Path(item).is_dir() for item in (*args.what, *args.file))
    settings = Settings(
        _form(args, single), _look(args, out, len(items)), _assumed(args), system_clock().date(), args.migrations
    )
    counts = {"files": 0, "errors": 0, "warnings": 0, "allowed": 0}

    def pieces() -> Iterator[str]:
        for outcome in _outcomes(items, settings, args):
            counts["files"] += 1
            counts["errors"] += outcome.errors
            counts["warnings"] += outcome.warnings
            counts["allowed"] += outcome.allowed
            yield from outcome.pieces

    for part in settings.form.joined(pieces()):
        out.raw(part)
    if args.validate_syntax and options.endpoint(args, required=False) is None:
        out.note(
            f"syntax was checked with PostgreSQL {NEWEST}'s grammar; --target or --dsn lets the server itself check"
        )
    if args.check_data and options.endpoint(args, required=False) is None:
        out.note("no rows were looked at: --check-data needs --target or --dsn")
    if out.format == "text":
        from migrator.reports import text

        out.raw(text.total(**counts, look=settings.look))
    return 1 if counts["errors"] or (args.strict and counts["warnings"]) else 0


def _items(args: argparse.Namespace) -> list[Path | str]:
    """Files, and versions of the catalogue as plain strings."""
    if not args.what and not args.file:
        raise UsageError("analyze what? give a version, a file or a folder")
    items: list[Path | str] = []
    for item in [*args.what, *args.file]:
        path = Path(item)
        if path.is_dir():
            files = sorted(file for file in path.rglob("*.sql") if file.is_file())
            if not files:
                raise UsageError(f"there is no .sql file in {item!r}")
            items.extend(files)
        elif path.is_file():
            items.append(path)
        elif item in args.file or path.suffix == ".sql":
            raise EnvironmentFault(f"there is no file {item!r}")
        else:
            items.append(item)
    return items


def _form(args: argparse.Namespace, single: bool) -> Form:
    from migrator.reports.forms import BY_NAME, ONE_JSON

    return ONE_JSON if single and args.format == "json" else BY_NAME[args.format]


def _look(args: argparse.Namespace, out: Output, count: int) -> Look:
    from migrator.reports.paint import coloured, plain
    from migrator.reports.text import Look

    terminal = out.is_terminal
    return Look(
        paint=coloured if terminal else plain,
        width=min(shutil.get_terminal_size().columns, 120) if terminal else None,
        every_statement=count == 1 or args.check_locks,
        every_lock=args.check_locks,
        times=args.estimate_time,
    )


def _assumed(args: argparse.Namespace) -> Assumed:
    from migrator.analysis.effects import ASSUMED, Assumed

    major: int | None = args.server_version
    if major is not None and not OLDEST <= major <= NEWEST:
        raise UsageError(f"--server-version {major}: give a major version from {OLDEST} to {NEWEST}")
    version = ASSUMED.server_version_num if major is None else major * 10000
    return Assumed(version, args.schema or ASSUMED.schema)


def _outcomes(items: Sequence[Path | str], settings: Settings, args: argparse.Namespace) -> Iterator[Printed]:
    from migrator.cli import batch
    from migrator.cli.analyze_server import Server

    endpoint = options.endpoint(args, required=False)
    if endpoint is not None and args.server_version is not None:
        raise UsageError("--server-version is for an analysis without a connection: the server says its own version")
    files = [item for item in items if isinstance(item, Path)]
    if endpoint is None and len(files) == len(items):
        cache = None if args.no_cache else _cache()
        yield from batch.outcomes(files, settings, jobs=args.jobs, cache=cache)
        return
    from migrator.database.session import Endpoint

    calibrate_on = Endpoint(args.calibrate_on, name="calibration") if args.calibrate_on else None
    with Server(
        endpoint,
        schema=args.schema,
        validate=args.validate_syntax,
        check_data=args.check_data,
        calibrate_on=calibrate_on,
    ) as server:
        for item in items:
            analysis = (_file if isinstance(item, Path) else _migration)(item, server, settings, args)
            yield batch.outcome_of(analysis, settings)


def _cache() -> Path | None:
    """None where there is no folder that only this account can write to: nothing is worth refusing to analyse."""
    from migrator.embedded.cache_folder import cache_directory

    try:
        return cache_directory() / "analyses.sqlite3"
    except (EnvironmentFault, OSError):
        return None


def _file(path: Path | str, server: Server, settings: Settings, args: argparse.Namespace) -> Analysis:
    from migrator.analysis.inspection import inspect
    from migrator.analysis.known import Known, Sources
    from migrator.catalogue import scripts
    from migrator.cli.batch import surroundings
    from migrator.parsing.sql_text import read_sql
    from migrator.reports.building import analysis_of

    version = scripts.version_of(Path(path))
    sources = Sources((scripts.read(read_sql(Path(path)), file=str(path), version=version),))
    before, others = surroundings(Path(path), settings.catalogue, settings.assumed, server.past)
    facts, basis = server.look(sources.files, before.files)
    inspection = inspect(sources, Known(facts, basis, settings.assumed, before, others, settings.today))
    return analysis_of(str(path), inspection, extra=server.findings(inspection.scripts, before))


def _migration(version: Path | str, server: Server, settings: Settings, args: argparse.Namespace) -> Analysis:
    from migrator.analysis.declarations import declared
    from migrator.analysis.inspection import inspect
    from migrator.analysis.known import Known
    from migrator.analysis.walk.pending import NOTHING_BEFORE
    from migrator.catalogue import content
    from migrator.reports.building import analysis_of
    from migrator.stages.analyze import parse_migration

    migration = options.migration(args, str(version))
    content.expected_changes(migration)  # refused here when it is wrong, as the stage refuses it
    sources = parse_migration(migration, major=server.major).sources
    past = server.past(options.catalogue_root(args))
    before, others = (past.before(migration.version), past.others(migration.version)) if past else (NOTHING_BEFORE, ())
    facts, basis = server.look(sources.files, before.files)
    inspection = inspect(sources, Known(facts, basis, settings.assumed, before, others, settings.today))
    extra = (*declared(migration.metadata, inspection), *server.findings(inspection.scripts, before))
    return analysis_of(str(version), inspection, extra=extra)
