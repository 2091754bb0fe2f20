"""`migrator baseline`: adopt a database whose migrations were applied by hand."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from migrator.cli import options
from migrator.cli.output import Output
from migrator.cli.person import add_person_arguments, run_context
from migrator.errors import UsageError
from migrator.history.foreign_ledgers import TOOLS

if TYPE_CHECKING:
    from migrator.catalogue.catalogue import Catalogue
    from migrator.database.session import Endpoint
    from migrator.history.baseline import Known
    from migrator.history.legacy import LegacyRow
    from migrator.ledger.ledger import Ledger


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "versions",
        nargs="*",
        metavar="VERSION",
        help="what is applied although public.schema_migrations does not say so; none at all records that what is in "
        "the database belongs to no migration",
    )
    parser.add_argument("--schema", default="migrator", help="where the ledger lies (default: %(default)s)")
    parser.add_argument(
        "--ignore-table", action="store_true", help="do not read public.schema_migrations, only what is named here"
    )
    parser.add_argument(
        "--from",
        dest="tool",
        choices=[tool.name for tool in TOOLS],
        metavar="TOOL",
        help="take over what this tool's own table says is applied (%(choices)s); its versions are matched by number"
        " and name",
    )
    options.add_catalogue_arguments(parser)
    options.add_connection_arguments(parser)
    add_person_arguments(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    from migrator.catalogue import catalogue
    from migrator.history import baseline
    from migrator.ledger.ledger import Ledger

    endpoint = options.endpoint(args)
    if endpoint is None:  # unreachable: options.endpoint() raises when a database is required
        raise UsageError("which database?")
    found = catalogue.load_catalogue(options.catalogue_root(args), cache=args.cache)
    with Ledger(endpoint, schema=args.schema) as ledger:
        named = tuple(args.versions)
        if not args.tool:
            _refuse_gaps(found, named, (), ledger)
        rows = _of_tool(args.tool, endpoint, found, named, ledger) if args.tool else ()
        report = baseline.adopt(
            endpoint,
            ledger,
            run=run_context(args),
            reason=args.reason,
            versions=tuple(args.versions),
            known=_known(found),
            from_table=not (args.ignore_table or args.tool),
            rows=rows,
            source=args.tool or baseline.LEGACY_TABLE,
        )
    out.document(report)
    out.table(("version", "adopted from", "note"), ((one.version, one.source, one.note) for one in report.adopted))
    for version, why in report.skipped:
        out.line(f"{version} not adopted: {why}", style="faint")
    count = len(report.adopted)
    out.line(f"{count} version{'' if count == 1 else 's'} adopted, {report.objects} objects in the database")
    return 0


def _of_tool(
    name: str, endpoint: Endpoint, catalogue: Catalogue, named: tuple[str, ...], ledger: Ledger
) -> tuple[LegacyRow, ...]:
    """:raises UsageError: nothing that the tool has applied is in the catalogue."""
    from migrator.database import session
    from migrator.history import foreign_ledgers

    tool = foreign_ledgers.find(name)
    with session.connect(endpoint, purpose="baseline") as connection:
        rows = foreign_ledgers.read(connection, tool)
    migrations = catalogue.migrations
    versions = [migration.version for migration in migrations]
    parts = {one.version: foreign_ledgers.changesets(one.read_sql().decode("utf-8", "replace")) for one in migrations}
    found = foreign_ledgers.matched(
        rows, versions, tool, before=catalogue.dependencies_of, parts_of=lambda version: parts.get(version, ())
    )
    applied = tuple(row.version for row in found if row.not_applied_because is None)
    if applied or named:
        _refuse_gaps(catalogue, applied, named, ledger)
        return found
    told = "".join(f"\n- {row.version}: {row.not_applied_because}" for row in found)
    raise UsageError(f"nothing that {name} has applied is in the catalogue:{told}")


def _known(catalogue: Catalogue) -> dict[str, Known]:
    """What the files say, for every migration of the catalogue."""
    from migrator.catalogue import content
    from migrator.history.baseline import Known

    known: dict[str, Known] = {}
    for migration in catalogue.migrations:
        metadata = migration.metadata
        known[migration.version] = Known(
            filename=migration.filename,
            checksum=content.current_digest(migration, content.read_files(migration)),
            description=metadata.description,
            type=str(metadata.type) if metadata.type else None,
            risk=str(metadata.risk_level),
            raw=migration.read_sql(),
        )
    return known


def _refuse_gaps(catalogue: Catalogue, applied: tuple[str, ...], named: tuple[str, ...], ledger: Ledger) -> None:
    """A version whose dependency is nowhere would be a history that cannot have happened."""
    versions = (*applied, *named)
    present = {row.version for row in ledger.migrations()} if ledger.exists() else set()
    for version in versions:
        catalogue.require(version)
        missing = [name for name in catalogue.dependencies_of(version) if name not in {*versions, *present}]
        if missing:
            raise UsageError(f"{version!r} depends on {', '.join(missing)}: name these too, or adopt them first")
