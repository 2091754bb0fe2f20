"""`migrator plan`: the frozen plan of a migration for a target: steps, statements, locks, what rolls it back."""

from __future__ import annotations

import argparse
from datetime import timedelta
from typing import TYPE_CHECKING

from migrator import wording
from migrator.cli import options
from migrator.plan import LEFT_OUT, Severity

if TYPE_CHECKING:
    from migrator.cli.output import Output
    from migrator.plan import Plan, Step

LONGEST_SQL = 90
"""Characters of a statement that are shown."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("version", metavar="VERSION")
    options.add_catalogue_arguments(parser)
    options.add_connection_arguments(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    from migrator.analysis.known import Known
    from migrator.analysis.walk.lock_order import LockOrder
    from migrator.analysis.walk.pending import NOTHING_BEFORE
    from migrator.catalogue.catalogue import load_catalogue
    from migrator.database.session import connect, major_of
    from migrator.facts.query import collect_facts
    from migrator.history.past import Past, rows_of
    from migrator.stages.analyze import Standing, analyze, parse_migration

    migration = options.migration(args, args.version)
    endpoint = options.endpoint(args, required=False)
    facts, applied = None, None
    parsed = parse_migration(migration, major=None if endpoint is None else major_of(endpoint))
    rows = {} if endpoint is None else rows_of(endpoint)
    before, others = NOTHING_BEFORE, tuple[LockOrder, ...]()
    if rows is not None:  # else nobody knows what is applied
        past = Past(load_catalogue(options.catalogue_root(args), cache=args.cache), rows if endpoint else None)
        before, others = past.before(migration.version), past.others(migration.version)
    if endpoint is not None:
        files = [*parsed.sources.files, *before.files]
        with connect(endpoint, purpose="observe") as conn:
            facts = collect_facts(conn, files, role=endpoint.role)
        applied = (rows or {}).get(migration.version)
    plan = analyze(
        migration,
        target=options.target(args),
        known=Known(facts, before=before, pending=others),
        standing=Standing(applied),
        parsed=parsed,
    )
    out.document(plan)
    _print(out, plan)
    errors = [item for item in plan.findings if item.severity is Severity.ERROR and item.allowed_because is None]
    return 1 if errors else 0


def _print(out: Output, plan: Plan) -> None:
    from migrator.input.durations import format_duration

    out.line(f"{plan.version}: {plan.description}", style="strong")
    out.line(f"  {plan.type.value.replace('_', ' ')}, risk {plan.risk.value}, by {plan.author}")
    if plan.applied_note:
        out.line(f"  {plan.applied_note}: nothing would be executed", style="good")
    if plan.dependencies:
        out.line(f"  after {', '.join(plan.dependencies)}")
    if plan.estimated_seconds is not None:
        out.line(f"  about {format_duration(timedelta(seconds=plan.estimated_seconds))}, without waiting for locks")
    out.line(f"  lock_timeout {plan.lock_timeout_ms} ms, statement_timeout {plan.statement_timeout_ms or 'none'}")
    for step in plan.steps:
        _print_step(out, step)
    if plan.rollback_steps:
        number = sum(len(step.statements) for step in plan.rollback_steps)
        out.line(f"rollback: {wording.count(number, 'statement')}", style="strong")
        for step in plan.rollback_steps:
            _print_step(out, step)
    else:
        out.line("rollback: none", style="warning")
    if plan.left_out:
        out.line("left out, the engine does it", style="strong")
    for one in plan.left_out:
        out.line(f"  {one.file}:{one.line} {one.what}")
    for finding in plan.findings:
        if finding.rule == LEFT_OUT:
            continue  # shown above
        note = f" (allowed because {finding.allowed_because})" if finding.allowed_because else ""
        place = f"{finding.file}:{finding.line}: " if finding.file and finding.line else ""
        out.line(f"{place}{finding.severity}: {finding.rule}: {finding.message}{note}", style=str(finding.severity))
    out.line(f"content {plan.content_digest}", style="faint")


def _shown(sql: str) -> str:
    """A statement in one line, as far as it fits."""
    text = " ".join(sql.split())
    return text if len(text) <= LONGEST_SQL else f"{text[: LONGEST_SQL - 4]} ..."


def _print_step(out: Output, step: Step) -> None:
    how = "in one transaction" if step.transactional else "outside a transaction, resumable"
    out.line(f"step {step.name} ({step.kind}), {how}")
    for statement in step.statements:
        out.line(f"  {statement.file}:{statement.line} {_shown(statement.sql)}")
        for lock in statement.locks:
            out.line(f"      {lock.mode} on {lock.relation}", style="faint")
