"""The page that a reviewer decides on, as markdown for Airflow's form. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from migrator import wording
from migrator.evidence import Check, EvidenceBundle, ObservedLock, StatementTrace, Verdict
from migrator.plan import Finding, Plan, PredictedLock, Severity, Statement
from migrator.reports.markdown import SEVERITY, fenced, table, text

MARK = {Verdict.PASSED: "✅ passed", Verdict.FAILED: "❌ FAILED", Verdict.UNVERIFIED: "⚠️ not verified"}

SHOWN_DIFF_LINES = 200
SHOWN_SQL_CHARACTERS = 20_000
"""A form is no place for a megabyte of SQL; the plan document has all of it."""


def card(plan: Plan, bundle: EvidenceBundle) -> str:
    """What will happen, what was proved about it, and what to look at twice; the most important first."""
    return "\n\n".join(part for part in _parts(plan, bundle) if part) + "\n"


def _parts(plan: Plan, bundle: EvidenceBundle) -> Iterator[str]:
    yield f"# {text(plan.version)} on {text(plan.target)}"
    yield text(plan.description)
    yield _facts(plan)
    yield "## What was proved\n\n" + _proof(plan, bundle)
    yield "## Findings\n\n" + (_findings(plan.findings) or "None.")
    yield "## Statements: predicted and observed\n\n" + _statements(plan, bundle)
    yield "## Schema changes on the restored copy\n\n" + _diff(bundle.dry_run.schema_diff)
    yield _failed_checks(bundle)
    yield from _sql(plan)
    yield (
        "---\n\nYour answer covers exactly this:\n\n"
        f"- plan `{plan.digest}`\n- evidence `{bundle.digest}`\n\n"
        "A changed file, plan or evidence makes it void."
    )


def _facts(plan: Plan) -> str:
    declared = "" if plan.declared_risk is plan.risk else f" (declared {plan.declared_risk.value})"
    rows = [
        ("Type", plan.type.value.replace("_", " ")),
        ("Risk", plan.risk.value + declared),
        ("Author", plan.author),
        ("Downtime", "required" if plan.requires_downtime else "none"),
        ("When it fails", _on_failure(plan)),
        ("Depends on", ", ".join(plan.dependencies) or "nothing"),
        ("Lock timeout", wording.seconds(plan.lock_timeout_ms / 1000)),
        ("Why this type and risk", "; ".join(plan.reasons) or "-"),
    ]
    if plan.assumptions:
        rows.append(("Assumed", "; ".join(plan.assumptions)))
    return table(("", ""), rows)


def _on_failure(plan: Plan) -> str:
    if not plan.rollback_steps:
        return "**no rollback script: the only way out is a forward fix**"
    return {"rollback": "rolled back automatically", "hold": "left as it is, for a person", "ask": "a person is asked"}[
        plan.on_failure.value
    ]


def _proof(plan: Plan, bundle: EvidenceBundle) -> str:
    snapshot, restore, dry_run = bundle.snapshot, bundle.restore, bundle.dry_run
    verdicts = {check.name: check for check in dry_run.checks}
    rows = [
        (
            "Snapshot",
            MARK[Verdict.PASSED],
            f"{snapshot.id}, {wording.size(snapshot.size_bytes)} in {wording.seconds(snapshot.seconds)},"
            f" taken {snapshot.taken_at:%Y-%m-%d %H:%M %Z}",
        ),
        (
            "Restore",
            MARK[restore.verdict],
            f"{wording.count(restore.tables_compared, 'table')} and {wording.count(restore.rows_compared, 'row')}"
            f" equal; recovery takes {wording.seconds(restore.restore_seconds)}",
        ),
        (
            "Dry run",
            MARK[dry_run.verdict],
            f"{wording.seconds(dry_run.seconds)} on production's data, {wording.size(dry_run.wal_bytes)} of WAL,"
            f" as role {dry_run.role}",
        ),
        ("Rollback", _verdict(verdicts, "rollback", "rollback_schema_equal"), _rollback(plan, bundle)),
        ("Apply again", _verdict(verdicts, "reapply", "reapply_schema_equal"), "after the rollback"),
        ("Expected changes", _verdict(verdicts, "expected_changes"), _detail(verdicts, "expected_changes")),
        ("Assertions", _verdict(verdicts, "assertions"), wording.count(len(plan.assertions), "assertion")),
    ]
    return table(("What", "Result", ""), rows)


def _verdict(checks: dict[str, Check], *names: str) -> str:
    """The worst of the named checks; a check that is not there proves nothing."""
    found = [checks[name].verdict for name in names if name in checks]
    if not found:
        return "– not done"
    order = (Verdict.FAILED, Verdict.UNVERIFIED, Verdict.PASSED)
    return MARK[min(found, key=order.index)]


def _detail(checks: dict[str, Check], name: str) -> str:
    return checks[name].detail if name in checks else "nothing declared"


def _rollback(plan: Plan, bundle: EvidenceBundle) -> str:
    if not plan.rollback_steps or bundle.dry_run.irreversible:
        return "there is none: this cannot be undone"
    took = bundle.dry_run.rollback_seconds
    duration = "" if took is None else f" in {wording.seconds(took)}"
    return f"gives back the very schema from before{duration}"


def _findings(findings: Iterable[Finding]) -> str:
    rows = []
    for finding in sorted(findings, key=lambda item: tuple(Severity).index(item.severity)):
        where = "" if finding.line is None else f"{finding.file}:{finding.line}"
        allowed = f" (allowed: {finding.allowed_because})" if finding.allowed_because else ""
        advice = f" {finding.help}" if finding.help else ""
        rows.append((SEVERITY[finding.severity], finding.rule, where, finding.message + advice + allowed))
    return table(("Severity", "Rule", "Where", "What"), rows) if rows else ""


def _statements(plan: Plan, bundle: EvidenceBundle) -> str:
    traces = {(trace.step, trace.statement): trace for trace in bundle.dry_run.statements}
    rows = []
    for step in plan.steps:
        for statement in step.statements:
            trace = traces.get((step.name, statement.index))
            rows.append(
                (
                    step.name,
                    f"{statement.line}: {statement.kind}",
                    _locks(statement.locks) or "none",
                    _observed(statement, trace),
                    "-" if trace is None else ", ".join(trace.rewrites) or "none",
                    "-" if trace is None else wording.seconds(trace.seconds),
                    "-" if trace is None else wording.size(trace.wal_bytes),
                )
            )
    return table(("Step", "Line", "Predicted locks", "Observed locks", "Rewritten", "Took", "WAL"), rows)


def _observed(statement: Statement, trace: StatementTrace | None) -> str:
    if trace is None:
        return "⚠️ not observed"
    predicted = {(lock.relation, lock.mode) for lock in statement.locks}
    surprises = {(lock.relation, lock.mode) for lock in trace.locks} - predicted
    mark = "⚠️ " if surprises else ""
    return mark + (_locks(trace.locks) or "none")


def _locks(locks: Sequence[PredictedLock | ObservedLock]) -> str:
    return ", ".join(f"{lock.mode} on {lock.relation}" for lock in locks)


def _diff(lines: Sequence[str]) -> str:
    if not lines:
        return "The schema does not change."
    shown = [*lines[:SHOWN_DIFF_LINES]]
    if len(lines) > SHOWN_DIFF_LINES:
        shown.append(f"... and {len(lines) - SHOWN_DIFF_LINES} more, in the evidence document")
    return fenced("\n".join(shown), "diff")


def _failed_checks(bundle: EvidenceBundle) -> str:
    checks = [*bundle.restore.checks, *bundle.dry_run.checks]
    rows = [(MARK[check.verdict], check.name, check.detail) for check in checks if check.verdict is not Verdict.PASSED]
    return "## Not passed\n\n" + table(("Result", "Check", "Detail"), rows) if rows else ""


def _sql(plan: Plan) -> Iterator[str]:
    for name, content in plan.files.items():
        if not name.endswith(".sql"):
            continue
        cut = content if len(content) <= SHOWN_SQL_CHARACTERS else content[:SHOWN_SQL_CHARACTERS] + "\n-- cut here"
        yield f"## {text(name)}\n\n" + fenced(cut, "sql")
