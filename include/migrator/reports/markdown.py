"""An analysis as markdown: for comments on pull requests, and the review task's table of findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from migrator import wording
from migrator.plan import Severity
from migrator.reports.document import Analysis, FindingEntry, StatementEntry
from migrator.reports.markup import fenced, table, text

SEVERITY = {Severity.ERROR: "❌ error", Severity.WARNING: "⚠️ warning", Severity.INFO: "ℹ️ info"}
SHOWN_STATEMENTS = 200


def piece(analysis: Analysis) -> str:
    """One section for one analysis."""
    return "\n\n".join(part for part in _parts(analysis) if part) + "\n"


def _parts(analysis: Analysis) -> Iterator[str]:
    summary = analysis.summary
    downtime = wording.downtime(summary.requires_downtime, known=not summary.coverage.gaps)
    yield f"## {text(analysis.name)}"
    yield f"**{text(summary.type.replace('_', ' '))}**, risk **{summary.risk}**, {downtime}" + (
        f": {text('; '.join(summary.reasons))}" if summary.reasons else ""
    )
    found = [entry for entry in analysis.all_findings if entry.counts]
    if found:
        yield "\n\n".join(_finding(entry) for entry in sorted(found, key=_weight))
    allowed = [entry for entry in analysis.all_findings if not entry.counts]
    if allowed:
        rows = [(_where(entry), entry.rule, entry.message, entry.allowed_because or "") for entry in allowed]
        yield "Allowed:\n\n" + table(("Where", "Rule", "What", "Because"), rows)
    if analysis.statements:
        yield "<details><summary>Statements</summary>\n\n" + _statements(analysis.statements) + "\n\n</details>"
    coverage = summary.coverage
    if coverage.gaps:
        yield (
            f"⚠️ {len(coverage.gaps)} of {wording.count(coverage.statements, 'statement')} could not be looked into: "
            "not analysed is not safe.\n\n"
            + "\n".join(f"- {text(f'{gap.file}:{gap.line}: {gap.what}: {gap.why}')}" for gap in coverage.gaps)
        )
    if summary.assumptions:
        yield "\n".join(f"- assumed: {text(item)}" for item in summary.assumptions)


def _weight(entry: FindingEntry) -> int:
    return tuple(Severity).index(entry.severity)


def _where(entry: FindingEntry) -> str:
    return f"{entry.place.file}:{entry.place.line}" if entry.place else ""


def _finding(entry: FindingEntry) -> str:
    where = f" at `{_where(entry).replace('`', '')}`" if entry.place else ""
    lines = [f"{SEVERITY[entry.severity]} **{text(entry.rule)}**{where}: {text(entry.message)}"]
    if entry.effect:
        lines.append(f"Why: {text(entry.effect)}")
    if entry.help:
        lines.append(f"Instead: {text(entry.help)}")
    if entry.alternative_sql:
        lines.append(fenced(entry.alternative_sql, "sql"))
    if entry.steps:
        lines.append("As steps of the metadata, in its place:\n\n" + fenced(entry.steps, "yaml"))
    if entry.suggested_step:
        lines.append("Step for the metadata, after it:\n\n" + fenced(entry.suggested_step, "yaml"))
    return "\n\n".join(lines)


def _statements(statements: Sequence[StatementEntry]) -> str:
    rows = []
    for statement in statements[:SHOWN_STATEMENTS]:
        locks = ", ".join(f"{lock.mode} on {lock.relation}" for lock in statement.locks) or "none"
        work = [f"rewrites {name}" for name in statement.rewrites] + [
            f"reads all of {name}" for name in statement.scans
        ]
        if not statement.known:
            work.append("⚠️ not analysed")
        rows.append((f"{statement.file}:{statement.line}", statement.kind, locks, ", ".join(work) or "-"))
    shown = table(("Where", "Statement", "Locks", "Work"), rows)
    left = len(statements) - SHOWN_STATEMENTS
    return shown if left <= 0 else f"{shown}\n\n... and {left} more"
