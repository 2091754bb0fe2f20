"""From an inspection to the document that is printed."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from migrator import documents
from migrator.analysis.inspection import Inspection
from migrator.analysis.rules import BY_ID
from migrator.analysis.walk.script import Script
from migrator.analysis.walk.subject import Subject
from migrator.parsing import lexer
from migrator.parsing.statements import ParsedFile
from migrator.plan import Finding, Severity
from migrator.reports.document import (
    Analysis,
    Coverage,
    EstimateEntry,
    FailureEntry,
    FindingEntry,
    Gap,
    Place,
    Span,
    StatementEntry,
    Summary,
    WaitEntry,
)
from migrator.steps.suggestions import as_yaml

UNKNOWN_COST = EstimateEntry()
EXCERPT_LINES = 12
EXCERPT_WIDTH = 400
"""Characters of a line that are shown; a line of a megabyte helps nobody."""


def analysis_of(name: str, inspection: Inspection, *, extra: Sequence[Finding] = ()) -> Analysis:
    """`extra`: findings that are not the inspection's, such as a risk that the metadata understates."""
    scripts = (*inspection.scripts, *((inspection.rollback,) if inspection.rollback else ()))
    entries = _Entries({script.parsed.file: script.parsed for script in scripts})
    of_statement: dict[tuple[str, int], list[FindingEntry]] = defaultdict(list)
    others: list[FindingEntry] = []
    analysed = {script.parsed.file for script in inspection.scripts}
    for finding in (*inspection.findings, *extra):
        entry = entries.entry(finding)
        if finding.statement is not None and finding.file in analysed:
            of_statement[finding.file, finding.statement].append(entry)
        else:
            others.append(entry)
    statements = tuple(
        _statement(script, subject, of_statement, _estimate(inspection, script, subject))
        for script in inspection.scripts
        for subject in script.subjects
    )
    everything = (*others, *(entry for found in of_statement.values() for entry in found))
    timeline = tuple(span for script in inspection.scripts for span in _timeline(script))
    waits = tuple(WaitEntry(**documents.to_dict(item)) for item in inspection.waits)
    return Analysis(name, statements, tuple(others), timeline, _summary(inspection, everything), waits=waits)


def _timeline(script: Script) -> Iterator[Span]:
    for span in script.timeline.spans():
        yield Span(script.parsed.file, span.transaction, span.relation, span.mode, span.first.line, span.last.line)


def _statement(
    script: Script,
    subject: Subject,
    findings: Mapping[tuple[str, int], Sequence[FindingEntry]],
    estimate: EstimateEntry,
) -> StatementEntry:
    statement, effects, file = subject.statement, subject.all_effects, script.parsed.file
    return StatementEntry(
        index=statement.index,
        file=file,
        line=statement.line,
        column=statement.column,
        sql=statement.sql,
        kind=statement.kind,
        transactional=statement.transactional,
        locks=effects.locks,
        rewrites=effects.rewrites,
        scans=effects.scans,
        waits_for_old_transactions=effects.waits_for_old_transactions,
        known=effects.known,
        fails=FailureEntry(effects.fails.sqlstate, effects.fails.message) if effects.fails else None,
        estimate=estimate,
        findings=tuple(findings.get((file, statement.index), ())),
    )


def _estimate(inspection: Inspection, script: Script, subject: Subject) -> EstimateEntry:
    found = inspection.estimates.get((script.parsed.file, subject.statement.index))
    return UNKNOWN_COST if found is None else EstimateEntry(**documents.to_dict(found))


def _summary(inspection: Inspection, findings: Iterable[FindingEntry]) -> Summary:
    verdict, coverage = inspection.classification, inspection.coverage
    counts = Counter(entry.severity for entry in findings if entry.counts)
    return Summary(
        type=verdict.type.value,
        risk=verdict.risk.value,
        requires_downtime=verdict.requires_downtime,
        reasons=verdict.reasons,
        estimated_seconds=inspection.estimated_seconds,
        assumptions=inspection.assumptions,
        server_version=inspection.major,
        connected=inspection.facts is not None,
        coverage=Coverage(
            coverage.statements,
            coverage.analysed,
            tuple(Gap(gap.file, gap.line, gap.column, gap.what, gap.why) for gap in coverage.gaps),
        ),
        errors=counts[Severity.ERROR],
        warnings=counts[Severity.WARNING],
        allowed=sum(not entry.counts for entry in findings),
        in_one_transaction=all(script.transactional for script in inspection.scripts),
    )


class _Entries:
    """Makes entries; equal findings of one file get different fingerprints by their order."""

    def __init__(self, files: Mapping[str, ParsedFile]) -> None:
        self._files = files
        self._seen: Counter[str] = Counter()

    def entry(self, finding: Finding) -> FindingEntry:
        parsed = self._files.get(finding.file or "")
        place = _place(finding, parsed)
        rule = BY_ID.get(finding.rule)
        return FindingEntry(
            rule=finding.rule,
            severity=finding.severity,
            message=finding.message,
            effect=rule.effect if rule else "",
            help=finding.help,
            alternative_sql=finding.alternative_sql,
            suggested_step=None if finding.suggestion is None else as_yaml(finding.suggestion),
            steps=as_yaml(*finding.steps) if finding.steps else None,
            place=place,
            excerpt=_excerpt(place, parsed) if place and parsed else (),
            source=rule.source if rule else "",
            fingerprint=self._fingerprint(finding, parsed, place),
            allowed_because=finding.allowed_because,
        )

    def _fingerprint(self, finding: Finding, parsed: ParsedFile | None, place: Place | None) -> str:
        about = finding.message
        if parsed is not None and finding.statement is not None:
            about = " ".join(parsed.statements[finding.statement].sql.split())
        elif parsed is not None and place is not None:
            about += "\n" + parsed.lines.text_of(place.line).strip()[:EXCERPT_WIDTH]
        key = "\n".join((finding.rule, finding.file or "", about))
        self._seen[key] += 1
        return hashlib.sha256(f"{key}\n{self._seen[key]}".encode()).hexdigest()[:32]


def _place(finding: Finding, parsed: ParsedFile | None) -> Place | None:
    if finding.file is None:
        return None
    line, column = finding.line or 1, finding.column or 1
    if parsed is None or finding.line is None:
        return Place(finding.file, line, column, line, column + 1)
    if finding.statement is not None:
        statement = parsed.statements[finding.statement]
        if (statement.line, statement.column) == (line, column):
            return Place(finding.file, line, column, *parsed.lines.place(statement.end))
        for start, end in statement.parts:
            if parsed.lines.place(statement.start + start) == (line, column):
                return Place(finding.file, line, column, *parsed.lines.place(statement.start + end))
    return Place(finding.file, line, column, line, column + _token_length(parsed, line, column))


def _token_length(parsed: ParsedFile, line: int, column: int) -> int:
    """Of the token that an error points at, within its line; at least 1."""
    rest = parsed.lines.text_of(line)[column - 1 : column - 1 + EXCERPT_WIDTH]
    token = next(lexer.tokens(rest), None)
    return max(1, len(token.text) if token else 1)


def _excerpt(place: Place, parsed: ParsedFile) -> tuple[str, ...]:
    """Nothing when the place is too far to the right to be shown."""
    if place.column > EXCERPT_WIDTH:
        return ()
    last = min(place.end_line, place.line + EXCERPT_LINES - 1, parsed.lines.count)
    return tuple(parsed.lines.text_of(number)[:EXCERPT_WIDTH] for number in range(place.line, last + 1))
