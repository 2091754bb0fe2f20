"""`migrator check`: everything that can be said about the files without a database, all at once.

With `--target`, also what keeps that database from being snapshotted and restored.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from migrator.cli import check_target, options
from migrator.errors import InvalidInput
from migrator.problems import Problem
from migrator.run import system_clock

if TYPE_CHECKING:
    from migrator.catalogue.catalogue import Catalogue
    from migrator.catalogue.migration import Migration
    from migrator.cli.output import Output
    from migrator.history.past import Past
    from migrator.plan import Finding
    from migrator.targets.targets import Targets


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("versions", nargs="*", metavar="VERSION", help="check only these; default: all")
    options.add_catalogue_arguments(parser)
    check_target.add_arguments(parser)
    parser.add_argument("--no-sql", action="store_true", help="look at the YAML files only, not at the SQL")
    parser.add_argument("--strict", action="store_true", help="warnings count as findings, too")


def run(args: argparse.Namespace, out: Output) -> int:
    from migrator.catalogue.catalogue import load_catalogue
    from migrator.history.past import Past

    if args.template_script:
        return check_target.print_script(args, out)
    catalogue = load_catalogue(options.catalogue_root(args), cache=args.cache)
    problems: list[Problem] = []
    targets = None
    try:
        targets = options.targets(args)
    except InvalidInput as error:
        problems.extend(error.problems)
    chosen, wrong = _chosen(catalogue, args.versions)
    problems.extend(wrong)
    findings: list[Finding] = [*check_target.findings(args)]
    past = Past(catalogue)
    for migration in chosen:
        problems.extend(_schedule_problems(migration, targets))
        if args.no_sql:
            problems.extend(_changes_problems(migration))
        else:
            found, wrong = _analyse(migration, past)
            findings.extend(found)
            problems.extend(wrong)
    return _print(out, chosen, problems, findings, strict=args.strict)


def _chosen(catalogue: Catalogue, versions: Sequence[str]) -> tuple[tuple[Migration, ...], tuple[Problem, ...]]:
    """The migrations to look at and what keeps others from being looked at.

    :raises UsageError: when a version does not exist.
    """
    if not versions:
        return catalogue.migrations, catalogue.problems
    migrations: dict[str, Migration] = {}
    problems: list[Problem] = []
    for version in versions:
        try:
            migrations[version] = catalogue.require(version)
        except InvalidInput as error:
            problems.extend(error.problems)
    return tuple(migrations.values()), tuple(problems)


def _analyse(migration: Migration, past: Past) -> tuple[list[Finding], tuple[Problem, ...]]:
    """What the rules say about one migration, with the paths of its files."""
    from dataclasses import replace

    from migrator.analysis.effects import ASSUMED
    from migrator.analysis.known import Known
    from migrator.stages.analyze import analyze

    try:
        plan = analyze(migration, known=Known(before=past.before(migration.version, assumed=ASSUMED)))
    except InvalidInput as error:
        return [], error.problems
    findings = [
        replace(one, file=str(migration.folder / one.file if one.file else migration.metadata_path))
        for one in plan.findings
        if one.allowed_because is None
    ]
    return findings, ()


def _changes_problems(migration: Migration) -> Sequence[Problem]:
    from migrator.catalogue.expected_changes_model import load_expected

    if migration.changes_path is None:
        return ()
    try:
        load_expected(migration.changes_path)
    except InvalidInput as error:
        problems: Sequence[Problem] = error.problems
        return problems
    return ()


def _schedule_problems(migration: Migration, targets: Targets | None) -> Iterator[Problem]:
    """A schedule that can never be kept is worth knowing before the night. What is past is left alone."""
    from migrator.targets.windows import WindowState, decide

    schedule = migration.metadata.schedule
    if schedule is None or targets is None:
        return
    file, now = str(migration.metadata_path), system_clock()
    target = targets.targets.get(schedule.target)
    if target is None:
        from migrator.input.validation import nearest

        message = f"{targets.file} has no target {schedule.target!r}"
        yield Problem(file, message, key="schedule.target", hint=nearest(schedule.target, targets.targets))
        return
    decision = decide(
        min(now, schedule.window_start),
        schedule=schedule,
        windows=target.windows,
        freezes=target.freezes,
        needed_seconds=migration.metadata.estimated_seconds,
    )
    never = decision.state is WindowState.DOES_NOT_FIT or (
        decision.state is WindowState.FROZEN and decision.opens_at is None
    )
    if never and now < schedule.window_end:
        yield Problem(file, f"target {target.name!r}: {decision.reason}", key="schedule.window_start")


def _print(
    out: Output, chosen: Sequence[Migration], problems: Sequence[Problem], findings: Sequence[Finding], *, strict: bool
) -> int:
    from migrator.plan import Severity

    errors = [one for one in findings if one.severity is Severity.ERROR]
    warnings = [one for one in findings if one.severity is Severity.WARNING]
    out.document({"migrations": len(chosen), "problems": list(problems), "findings": list(findings)})
    if not out.json:
        out.problems(problems)
        for finding in (*errors, *warnings):
            _print_finding(out, finding)
    count = len(problems) + len(errors)
    good = f"{len(chosen)} migration{'s' if len(chosen) != 1 else ''} checked"
    if count or warnings:
        out.line(
            f"{good}: {count} error{'s' if count != 1 else ''}, {len(warnings)} warning{_s(warnings)}",
            style="bad" if count or strict else "warning",
        )
    else:
        out.line(f"{good}: no problems", style="good")
    return 1 if count or (strict and warnings) else 0


def _print_finding(out: Output, finding: Finding) -> None:
    place = ":".join(str(part) for part in (finding.file, finding.line, finding.column) if part is not None)
    out.line(f"{place}: {finding.severity}: {finding.rule}: {finding.message}", style=str(finding.severity))
    if finding.help:
        out.line(f"    {finding.help}", style="faint")


def _s(items: Sequence[object]) -> str:
    return "" if len(items) == 1 else "s"
