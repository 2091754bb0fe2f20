"""`migrator analyze`: what SQL files, or a migration, would do: locks, rewrites, scans, time, type, risk, findings."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migrator import documents
from migrator.cli import options
from migrator.errors import EnvironmentFault, UsageError
from migrator.plan import Finding, Severity

if TYPE_CHECKING:
    from migrator.cli.output import Output
    from migrator.facts import CatalogFacts
    from migrator.inspection import Inspection
    from migrator.rules.model import Subject
    from migrator.statements import ParsedFile


@dataclass(frozen=True)
class Analysis:
    """One file, or the files of one migration."""

    name: str
    inspection: Inspection
    facts: CatalogFacts | None
    extra: tuple[Finding, ...] = ()
    """What the metadata adds: a risk or type that the statements contradict."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        return (*self.inspection.findings, *self.extra)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what", nargs="*", metavar="VERSION|FILE|DIR", help="a migration of the catalogue, or SQL files and folders"
    )
    parser.add_argument("--file", action="append", default=[], metavar="FILE", help="one more SQL file")
    parser.add_argument("--estimate-time", action="store_true", help="print the estimated seconds of each statement")
    parser.add_argument("--check-locks", action="store_true", help="print the locks of each statement, all of them")
    parser.add_argument("--validate-syntax", action="store_true", help="print what was parsed, with its kind")
    parser.add_argument("--server-version", type=int, metavar="N", help="analyse for this major; default: the target's")
    parser.add_argument("--strict", action="store_true", help="warnings count as findings, too")
    options.add_catalogue_arguments(parser)
    options.add_connection_arguments(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    if not args.what and not args.file:
        raise UsageError("analyze what? give a version, a file or a folder")
    analyses = list(_analyses(args))
    documents_ = [_document(analysis) for analysis in analyses]
    single = len(analyses) == 1 and not any(Path(item).is_dir() for item in args.what)
    out.document(documents_[0] if single else documents_)
    bad = 0
    for analysis in analyses:
        _print(out, analysis, args)
        open_ = [item for item in analysis.findings if item.allowed_because is None]
        bad += sum(
            item.severity is Severity.ERROR or (args.strict and item.severity is Severity.WARNING) for item in open_
        )
    return 1 if bad else 0


def _analyses(args: argparse.Namespace) -> Iterator[Analysis]:
    endpoint = options.endpoint(args, required=False)
    for item in [*args.what, *args.file]:
        path = Path(item)
        if path.is_dir():
            files = sorted(path.rglob("*.sql"))
            if not files:
                raise UsageError(f"there is no .sql file in {item!r}")
            for file in files:
                yield _file(file, endpoint, args)
        elif path.is_file():
            yield _file(path, endpoint, args)
        elif item in args.file or path.suffix == ".sql":
            raise EnvironmentFault(f"there is no file {item!r}")
        else:
            yield _migration(item, endpoint, args)


def _file(path: Path, endpoint: Any, args: argparse.Namespace) -> Analysis:
    from migrator.inspection import inspect
    from migrator.statements import parse

    parsed = parse(path.read_bytes(), file=str(path))
    facts = _facts(endpoint, [parsed], args)
    return Analysis(str(path), inspect((parsed,), facts=facts), facts)


def _migration(version: str, endpoint: Any, args: argparse.Namespace) -> Analysis:
    from migrator.analyze import analyze, parse_migration
    from migrator.inspection import inspect
    from migrator.run import system_clock

    migration = options.migration(args, version)
    parsed = parse_migration(migration)
    files = [*parsed.sql.values(), *((parsed.rollback,) if parsed.rollback else ())]
    facts = _facts(endpoint, files, args)
    inspection = inspect(
        tuple(parsed.sql.values()),
        rollback=parsed.rollback,
        facts=facts,
        transaction=migration.metadata.transaction,
        has_metadata=True,
        allow=migration.metadata.allow,
        today=system_clock().date(),
    )
    plan = analyze(migration, target=options.target(args), facts=facts, parsed=parsed)
    extra = plan.findings[len(inspection.findings) :]
    return Analysis(version, inspection, facts, extra)


def _facts(endpoint: Any, files: Sequence[ParsedFile], args: argparse.Namespace) -> CatalogFacts | None:
    from migrator.facts import CatalogFacts
    from migrator.facts_query import collect_facts
    from migrator.session import connect

    if endpoint is None:
        return None if args.server_version is None else CatalogFacts(server_version_num=args.server_version * 10000)
    if args.server_version is not None:
        raise UsageError("--server-version is for an analysis without a connection: the server says its own version")
    with connect(endpoint, purpose="observe") as conn:
        return collect_facts(conn, files, role=endpoint.role)


def _document(analysis: Analysis) -> dict[str, Any]:
    from migrator.estimate import estimate_statement

    inspection, statements = analysis.inspection, []
    for script in inspection.scripts:
        for subject in script.subjects:
            statement, effects = subject.statement, subject.all_effects
            found = inspection.findings_of(script.parsed.file, statement.index)
            statements.append(
                {
                    "index": statement.index,
                    "file": script.parsed.file,
                    "line": statement.line,
                    "column": statement.column,
                    "sql": statement.sql,
                    "kind": statement.kind,
                    "transactional": statement.transactional,
                    "locks": [{"relation": lock.relation, "mode": lock.mode} for lock in effects.locks],
                    "rewrites": list(effects.rewrites),
                    "scans": list(effects.scans),
                    "waits_for_old_transactions": effects.waits_for_old_transactions,
                    "known": effects.known,
                    "fails": documents.to_dict(effects.fails),
                    "estimate": {"seconds": estimate_statement(subject) if analysis.facts is not None else None},
                    "findings": [documents.to_dict(finding) for finding in found],
                }
            )
    verdict = inspection.classification
    return {
        "name": analysis.name,
        "statements": statements,
        "findings": [documents.to_dict(item) for item in analysis.findings if item.statement is None],
        "summary": {
            "type": verdict.type.value,
            "risk": verdict.risk.value,
            "requires_downtime": verdict.requires_downtime,
            "reasons": list(verdict.reasons),
            "estimated_seconds": inspection.estimated_seconds,
            "assumptions": list(inspection.assumptions),
        },
    }


def _print(out: Output, analysis: Analysis, args: argparse.Namespace) -> None:
    inspection, verdict = analysis.inspection, analysis.inspection.classification
    downtime = "the application waits" if verdict.requires_downtime else "no downtime"
    title = f"{analysis.name}: {verdict.type.value.replace('_', ' ')}, risk {verdict.risk.value}, {downtime}"
    out.line(title, style="strong")
    for reason in verdict.reasons:
        out.line(f"  {reason}", style="faint")
    for script in inspection.scripts:
        how = "one transaction" if script.transactional else "statement by statement, outside a transaction"
        out.line(f"  {script.parsed.file}: {len(script.subjects)} statements, {how}")
        for subject in script.subjects:
            _print_statement(out, subject, args, with_time=analysis.facts is not None)
    for finding in analysis.findings:
        _print_finding(out, finding)
    unknown = sum(not subject.effects.known for script in inspection.scripts for subject in script.subjects)
    total = sum(len(script.subjects) for script in inspection.scripts)
    if unknown:
        out.line(
            f"  {unknown} of {total} statements could not be looked into: not analysed is not safe", style="warning"
        )
    for text in inspection.assumptions:
        out.line(f"  assumed: {text}", style="faint")
    if inspection.estimated_seconds is not None and args.estimate_time:
        out.line(f"  estimated: {inspection.estimated_seconds:.2f} s, without waiting for locks")
    elif args.estimate_time:
        out.line(
            "  estimated: nothing, without a connection nobody knows the sizes (--target or --dsn)", style="warning"
        )


def _print_statement(out: Output, subject: Subject, args: argparse.Namespace, *, with_time: bool) -> None:
    from migrator.estimate import estimate_statement

    parts = [f"line {subject.statement.line}: {subject.statement.kind}"]
    for relation in subject.effects.rewrites:
        parts.append(f"rewrites {relation}")
    for relation in subject.effects.scans:
        parts.append(f"reads all of {relation}")
    if subject.effects.waits_for_old_transactions:
        parts.append("waits for old transactions")
    if with_time and args.estimate_time:
        parts.append(f"about {estimate_statement(subject):.2f} s")
    out.line("    " + "; ".join(parts))
    strong = [lock for lock in subject.effects.locks if args.check_locks or lock.mode not in ("ACCESS SHARE",)]
    for lock in strong:
        out.line(f"      {lock.mode} on {lock.relation}")


def _print_finding(out: Output, finding: Finding) -> None:
    place = ":".join(str(part) for part in (finding.file, finding.line, finding.column) if part is not None)
    style = str(finding.severity)
    if finding.allowed_because is not None:
        out.line(
            f"{place}: allowed: {finding.rule}: {finding.message} (because {finding.allowed_because})", style="faint"
        )
        return
    out.line(f"{place}: {finding.severity}: {finding.rule}: {finding.message}", style=style)
    if finding.help:
        out.line(f"    {finding.help}", style="faint")
    for line in (finding.alternative_sql or "").splitlines():
        out.line(f"    > {line}", style="good")
