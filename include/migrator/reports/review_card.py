"""The page that a reviewer decides on, as markdown for Airflow's form. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from migrator import wording
from migrator.analysis.rules import PREDICTIONS, PRIVILEGES
from migrator.analysis.walk.pending import CONFLICT, UNDECLARED
from migrator.evidence import LACKING, NOTHING_CHANGED, Check, EvidenceBundle, Match, ObservedLock, Verdict
from migrator.gates import emergency
from migrator.plan import LEFT_OUT, Author, Finding, Plan, PredictedLock, Severity, Source
from migrator.reports import gates, lock_budget, traffic
from migrator.reports.markdown import SEVERITY
from migrator.reports.markup import Markup, bullets, fenced, table, text
from migrator.steps.contract import undoing
from migrator.steps.kinds import irreversible
from migrator.steps.suggestions import as_yaml

MARK = {Verdict.PASSED: "✅ passed", Verdict.FAILED: "❌ FAILED", Verdict.UNVERIFIED: "⚠️ not verified"}
BUT = "⚠️ passed, but:"

ROLLBACK, DATA = ("rollback", "rollback_schema_equal"), "rollback_data"
"""The checks of a dry run that together prove a rollback."""
FORESEEN = PREDICTIONS | {CONFLICT, UNDECLARED}
"""Rules that say what a server may refuse."""
MATCH = {
    Match.CONFIRMED: "✅ confirmed",
    Match.MISMATCH: "⚠️ mismatch",
    Match.NOT_PREDICTED: "– not predicted",
    Match.NOT_OBSERVED: "⚠️ not observed",
}

SHOWN_DIFF_LINES = 200
SHOWN_SQL_CHARACTERS = 20_000
"""A form is no place for a megabyte of SQL; the plan document has all of it."""


def card(
    plan: Plan, bundle: EvidenceBundle | None, *, answers: Sequence[str] = (), when: str = "", again: str = ""
) -> str:
    """What will happen, what was proved about it, and what to look at twice; the most important first.

    :param bundle: None while nothing is proved yet; then it is the plan's page.
    :param answers: what people have said already, one line each.
    :param when: when it will be applied, in words.
    :param again: why the question is asked once more.
    """
    return "\n\n".join(part for part in _parts(plan, bundle, answers, when, again) if part) + "\n"


def _parts(plan: Plan, bundle: EvidenceBundle | None, answers: Sequence[str], when: str, again: str) -> Iterator[str]:
    yield text(plan.description)
    yield f"## ⚠️ Asked again\n\n{text(again)}" if again else ""
    if plan.emergency is not None:
        yield f"## ⚠️ Emergency\n\n{text(plan.emergency)}\n\nYour approval lifts {emergency.LIFTS}."
    if bundle is not None:
        yield _summary(plan, bundle)
    yield "### Answered already\n\n" + bullets(answers) if answers else ""
    yield _facts(plan, bundle, when)
    if bundle is not None:
        yield "## What was proved\n\n" + _proof(plan, bundle)
        yield _failed_checks(bundle)
    yield "## Findings\n\n" + (_findings(plan.findings) or "None.")
    yield from _alternatives(plan.findings)
    if bundle is None:
        yield "## Statements\n\n" + _planned(plan)
        yield lock_budget.section(plan, None)
    else:
        yield "## Statements: predicted and observed\n\n" + _statements(plan, bundle)
        yield lock_budget.section(plan, bundle.dry_run)
        yield "## Schema changes on the restored copy\n\n" + _diff(bundle.dry_run.schema_diff)
    yield gates.section(plan, bundle)
    yield _left_out(plan)
    yield from _sql(plan)
    if plan.assertions:
        shown = "\n\n".join(fenced(query, "sql") for query in plan.assertions)
        yield f"## Assertions\n\nEach must give one true value when all is applied, and only reads.\n\n{shown}"
    if bundle is not None:
        yield covered(plan, bundle).rstrip()


def covered(plan: Plan, bundle: EvidenceBundle) -> str:
    """How a card about this plan and this evidence ends: what an answer covers."""
    return (
        "---\n\nAn answer covers exactly this:\n\n"
        f"- plan `{plan.digest}`\n- evidence `{bundle.digest}`\n\n"
        "A changed file, plan or evidence makes it void.\n"
    )


def concerns(plan: Plan, bundle: EvidenceBundle) -> tuple[Markup, ...]:
    """What a reviewer should not overlook, the worst first."""
    rights = [item.message for item in plan.findings if item.rule in PRIVILEGES and item.severity is not Severity.INFO]
    found = [Markup(f"**privileges**: {text(message)}") for message in rights]
    found += [
        Markup(f"**privileges that change**: {text(line)}") for line in bundle.dry_run.extra.get("privileges", ())
    ]
    if lacking := bundle.dry_run.extra.get(LACKING):
        found.append(Markup(f"**rehearsed without**: {text('; '.join(lacking))}"))
    found += traffic.concerns(bundle.dry_run)
    checks = [*bundle.restore.checks, *bundle.dry_run.checks]
    for verdict, words in ((Verdict.FAILED, "failed"), (Verdict.UNVERIFIED, "could not be verified")):
        if names := [check.name for check in checks if check.verdict is verdict]:
            found.append(Markup(f"**{words}**: {text(', '.join(names))}"))
    if bundle.dry_run.stands:
        found += [Markup(f"**not proved**: {text(check.detail)}") for check in bundle.dry_run.unproved if check.detail]
    if bundle.dry_run.idle:
        found.append(Markup(f"**changes nothing**: {text(NOTHING_CHANGED)}"))
    if irreversible(plan):
        found.append(Markup("**cannot be undone**: there is no rollback script"))
    foretold = [item for item in plan.findings if item.rule in FORESEEN and item.severity is Severity.WARNING]
    if foretold:
        ran = any(check.name == "apply" and check.verdict is Verdict.PASSED for check in bundle.dry_run.checks)
        said = "; ".join(f"{item.file}:{item.line}: {item.message}" for item in foretold)
        proof = "; on the restored copy **it ran**" if ran else ""
        found.append(Markup(f"**may fail**, says the analysis: {text(said)}{proof}"))
    for severity in (Severity.ERROR, Severity.WARNING):
        findings = [finding for finding in plan.findings if finding.severity is severity]
        if findings:
            allowed = sum(1 for finding in findings if finding.allowed_because)
            excused = f", {allowed} of them allowed by the author" if allowed else ""
            found.append(Markup(f"{wording.count(len(findings), severity.value)} of the analysis{excused}"))
    traces = bundle.dry_run.statements
    if rewritten := sorted({name for trace in traces for name in trace.rewrites}):
        found.append(Markup(f"**rewritten**, and locked meanwhile: {text(', '.join(rewritten))}"))
    for trace in traces:
        if trace.match is Match.MISMATCH:
            told = text("; ".join(trace.differences))
            found.append(Markup(f"{text(trace.place)} **is not as predicted**: {told}"))
    opaque = [trace.place for trace in traces if trace.match is Match.NOT_PREDICTED]
    if opaque:
        found.append(Markup(f"nothing could be predicted for {text(', '.join(opaque))}: see what was observed"))
    for name, number in _hidden(plan).items():
        found.append(Markup(f"**not shown here**: {number:,} characters of {text(name)}; the plan document has them"))
    more = len(bundle.dry_run.schema_diff) - SHOWN_DIFF_LINES
    if more > 0:
        found.append(
            Markup(f"**not shown here**: {more:,} lines of the schema changes; the evidence document has them")
        )
    if plan.requires_downtime:
        found.append(Markup("**downtime** is required, says the author"))
    return tuple(found)


def _summary(plan: Plan, bundle: EvidenceBundle) -> str:
    took, undone = bundle.dry_run.seconds, bundle.dry_run.rollback_seconds
    worries = concerns(plan, bundle)
    if bundle.dry_run.verdict is Verdict.FAILED:
        return f"❌ **It failed on the restored copy**\n\n{bullets(worries)}"
    proved = f"Applied to a restored copy in **{wording.seconds(took)}**"
    proved += "." if undone is None else f"; undone in **{wording.seconds(undone)}**."
    if not worries:
        return f"{proved} Everything that was checked there passed, and the analysis has no warning."
    return f"{proved}\n\n⚠️ **Look twice at this**\n\n{bullets(worries)}"


def _facts(plan: Plan, bundle: EvidenceBundle | None, when: str) -> str:
    declared = "" if plan.declared_risk is plan.risk else f" (declared {plan.declared_risk.value})"
    authors = [f"{plan.author} (declared in the metadata)", *map(_author, plan.authors)]
    rows = [
        ("Type", plan.type.value.replace("_", " ")),
        ("Risk", plan.risk.value + declared),
        ("Author" if len(authors) == 1 else "Authors", "; ".join(authors)),
        ("Duration", _duration(plan, bundle)),
        ("Downtime", "required" if plan.requires_downtime else "none"),
        ("When it fails", _on_failure(plan)),
        ("Depends on", ", ".join(plan.dependencies) or "nothing"),
        ("Lock timeout", wording.seconds(plan.lock_timeout_ms / 1000)),
        ("Why this type and risk", "; ".join(plan.reasons) or "-"),
    ]
    if plan.ahead or plan.behind:
        order = [*(one.version for one in plan.ahead), f"{plan.version} (this one)", *plan.behind]
        proof = ". It was rehearsed on top of those before it" if plan.ahead and bundle is not None else ""
        rows.insert(0, ("Order in its window", ", then ".join(order) + proof))
    if when:
        rows.insert(0, ("Will be applied", when))
    if plan.assumptions:
        rows.append(("Assumed", "; ".join(plan.assumptions)))
    return table(("", ""), rows)


def _author(author: Author) -> str:
    how = {Source.SEALED: "committed the files", Source.STARTED: "started the run"}.get(author.source, "declared")
    return f"{author.name} ({how}; {f'reviewer {author.reviewer}' if author.reviewer else 'none of the reviewers'})"


def _duration(plan: Plan, bundle: EvidenceBundle | None) -> str:
    parts = []
    if bundle is not None:
        parts.append(f"{wording.seconds(bundle.dry_run.seconds)} on the restored copy")
    if plan.estimated_seconds is not None:
        parts.append(f"{wording.seconds(plan.estimated_seconds)} estimated by the analysis")
    return ", ".join(parts) or "not known yet"


def _on_failure(plan: Plan) -> str:
    if irreversible(plan):
        return Markup("**no rollback script: the only way out is a forward fix**")
    return {"rollback": "rolled back automatically", "hold": "left as it is, for a person", "ask": "a person is asked"}[
        plan.on_failure.value
    ]


def _proof(plan: Plan, bundle: EvidenceBundle) -> str:
    snapshot, restore, dry_run = bundle.snapshot, bundle.restore, bundle.dry_run
    verdicts = {check.name: check for check in dry_run.checks}
    assertions = _verdict(verdicts, "assertions") if plan.assertions else "– none"
    expected = _verdict(verdicts, "expected_changes") if plan.expected_changes is not None else "– none"
    rows = [
        (
            "Snapshot",
            MARK[Verdict.PASSED],
            f"{wording.size(snapshot.size_bytes)} in {wording.seconds(snapshot.seconds)},"
            f" taken {snapshot.taken_at:%Y-%m-%d %H:%M %Z}: {snapshot.id}",
        ),
        (
            "Restore",
            MARK[restore.verdict],
            f"{wording.count(restore.tables_compared, 'table')} and {wording.count(restore.rows_compared, 'row')}"
            f" equal; recovery takes {wording.seconds(restore.restore_seconds)}",
        ),
        (
            "Dry run",
            BUT if dry_run.verdict is Verdict.PASSED and dry_run.unproved else MARK[dry_run.verdict],
            f"{_but(dry_run.unproved)}{wording.seconds(dry_run.seconds)} on production's data,"
            f" {wording.size(dry_run.wal_bytes)} of WAL, as role {dry_run.role}",
        ),
        ("Rollback", _rollback_verdict(plan, bundle), _rollback(plan, bundle)),
        *_halfway(verdicts),
        *traffic.row(dry_run),
        ("Apply again", _verdict(verdicts, "reapply", "reapply_schema_equal"), "after the rollback"),
        ("Expected changes", expected, _detail(verdicts, "expected_changes")),
        ("Assertions", assertions, wording.count(len(plan.assertions), "assertion")),
    ]
    return table(("What", "Result", ""), rows, solid=(0, 1))


def _halfway(verdicts: Mapping[str, Check]) -> list[tuple[str, str, str]]:
    check = verdicts.get("rollback_halfway")
    return [("Rollback half-way", MARK[check.verdict], check.detail)] if check is not None else []


def _but(unproved: Sequence[Check]) -> str:
    return "".join(f"{check.detail}; " for check in unproved)


def _rollback_verdict(plan: Plan, bundle: EvidenceBundle) -> str:
    """The script may give back the schema, and not the rows."""
    checks = {check.name: check for check in bundle.dry_run.checks}
    proved = _verdict(checks, *ROLLBACK, DATA)
    only_data = proved == MARK[Verdict.UNVERIFIED] and _verdict(checks, *ROLLBACK) == MARK[Verdict.PASSED]
    return BUT if only_data and not irreversible(plan) else proved


def _verdict(checks: dict[str, Check], *names: str) -> str:
    """The worst of the named checks; a check that is not there proves nothing."""
    found = [checks[name].verdict for name in names if name in checks]
    if not found:
        return "– not done"
    order = (Verdict.FAILED, Verdict.UNVERIFIED, Verdict.PASSED)
    return MARK[min(found, key=order.index)]


def _detail(checks: dict[str, Check], name: str) -> str:
    return checks[name].detail if name in checks else "nothing declared in schema_changes.yaml"


def _rollback(plan: Plan, bundle: EvidenceBundle) -> str:
    if irreversible(plan) or bundle.dry_run.irreversible:
        return "there is none: this cannot be undone"
    wrong = [check for check in bundle.dry_run.checks if check.name in ROLLBACK and check.verdict is not Verdict.PASSED]
    if wrong:
        return wrong[0].detail
    took = bundle.dry_run.rollback_seconds
    duration = "" if took is None else f" in {wording.seconds(took)}"
    data = [check for check in bundle.dry_run.checks if check.name == DATA and check.verdict is not Verdict.PASSED]
    return f"{_but(data)}gives back the very schema from before{duration}"


def _findings(findings: Iterable[Finding]) -> str:
    rows = []
    for finding in _worst_first(finding for finding in findings if finding.rule != LEFT_OUT):
        where = "" if finding.line is None else f"{finding.file}:{finding.line}"
        advice = f"; {finding.help}" if finding.help else ""
        said = text(finding.message + advice)
        if finding.allowed_because:
            said = Markup(f"{said} **Allowed by the author**: {text(finding.allowed_because)}")
        rows.append((SEVERITY[finding.severity], finding.rule, where, said))
    return table(("Severity", "Rule", "Where", "What"), rows, solid=(0,)) if rows else ""


def _alternatives(findings: Iterable[Finding]) -> Iterator[str]:
    """What to write instead, where a rule knows it; of several findings about one statement the same steps once."""
    shown: set[str] = set()
    for finding in _worst_first(findings):
        if finding.alternative_sql:
            where = "" if finding.line is None else f" in line {finding.line}"
            yield f"Instead{where} ({text(finding.rule)}):\n\n" + fenced(finding.alternative_sql, "sql")
        steps = as_yaml(*finding.steps)
        if steps and steps not in shown:
            shown.add(steps)
            yield f"As steps ({text(finding.rule)}):\n\n" + fenced(steps, "yaml")
        if finding.suggestion:
            yield f"Step to add ({text(finding.rule)}):\n\n" + fenced(as_yaml(finding.suggestion), "yaml")


def _worst_first(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda item: tuple(Severity).index(item.severity))


def _planned(plan: Plan) -> str:
    rows = [
        (step.name, f"{one.line}: {one.kind}", _locks(one.locks) or "none", ", ".join(one.rewrites) or "none")
        for step in plan.steps
        for one in step.statements
    ]
    return table(("Step", "Line", "Predicted locks", "Rewrites"), rows)


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
                    "⚠️ not observed" if trace is None else _locks(trace.locks) or "none",
                    MATCH[Match.NOT_OBSERVED if trace is None else trace.match],
                    "-" if trace is None else ", ".join(trace.rewrites) or "none",
                    "-" if statement.estimated_seconds is None else wording.seconds(statement.estimated_seconds),
                    "-" if trace is None else wording.seconds(trace.seconds),
                    "-" if trace is None else wording.size(trace.wal_bytes),
                )
            )
    head = ("Step", "Line", "Predicted locks", "Observed locks", "Prediction", "Rewritten", "Estimate", "Took", "WAL")
    return table(head, rows, solid=(4, 6, 7, 8))


def _left_out(plan: Plan) -> str:
    if not plan.left_out:
        return ""
    rows = [(f"{one.file}:{one.line}", one.what) for one in plan.left_out]
    why = "In the files, but not sent to the server: the engine opens the transaction and keeps the ledger."
    return f"## Left out\n\n{why}\n\n" + table(("Where", "What"), rows)


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
    return "## Not passed\n\n" + table(("Result", "Check", "Detail"), rows, solid=(0,)) if rows else ""


def _hidden(plan: Plan) -> dict[str, int]:
    """By file, how many characters stand behind what is shown."""
    lengths = ((name, len(content)) for name, content in plan.files.items() if name.endswith(".sql"))
    return {name: length - SHOWN_SQL_CHARACTERS for name, length in lengths if length > SHOWN_SQL_CHARACTERS}


def _sql(plan: Plan) -> Iterator[str]:
    hidden = _hidden(plan)
    for name, content in plan.files.items():
        if not name.endswith(".sql"):
            continue
        yield f"## {text(name)}\n\n" + fenced(content[:SHOWN_SQL_CHARACTERS], "sql")
        if name in hidden:
            yield f"⚠️ **{hidden[name]:,} more characters are not shown here**; the plan document has them."
    for step in plan.steps:
        made = [statement.sql for statement in step.statements if statement.file not in plan.files]
        if made:
            yield f"## Step {text(step.name)} ({step.kind})\n\n" + fenced(";\n".join(made) + ";", "sql")
        if back := undoing(step):
            head = "A rollback sends for it, as far as it got; what was there before it stays:"
            yield f"{head}\n\n" + fenced(";\n".join(back) + ";", "sql")
