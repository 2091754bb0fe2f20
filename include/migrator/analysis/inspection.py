"""Looks at SQL files statement by statement: effects, findings, type and risk. Pure; used with and without metadata."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING

from migrator.analysis import assertions
from migrator.analysis.allowances import settled
from migrator.analysis.classify import Classification, classify
from migrator.analysis.effects import Effects, World
from migrator.analysis.effects.table import FAULTS
from migrator.analysis.known import NOTHING_KNOWN, Known, Sources
from migrator.analysis.rules import PRIVILEGES, RULES, checks_at, checks_on
from migrator.analysis.rules.guard import guarded
from migrator.analysis.rules.model import Hit, Rule
from migrator.analysis.rules.privileges import half_known
from migrator.analysis.rules.transaction import lock_timeout, not_analysed
from migrator.analysis.walk import pending as earlier
from migrator.analysis.walk.coverage import Coverage, coverage_of
from migrator.analysis.walk.script import Script, Whole
from migrator.analysis.walk.spots import Spot, spots_of
from migrator.analysis.walk.subject import Subject
from migrator.analysis.walk.walk import walk
from migrator.facts.facts import CatalogFacts
from migrator.frozen import frozen
from migrator.parsing import lexer
from migrator.parsing.generated import as_block
from migrator.parsing.routines.drafts import MARK, UNKNOWN
from migrator.parsing.routines.plpgsql_faults import without_limit
from migrator.parsing.routines.sql_body import place
from migrator.parsing.statements import ParsedFile
from migrator.parsing.unseen import one_line
from migrator.plan import GATE, MAY_FAIL, Finding, Severity
from migrator.problems import Problem

if TYPE_CHECKING:
    from migrator.analysis.estimate import Basis, Estimate, LockWait

HIGH = PRIVILEGES | {lock_timeout.RULE.id}
"""Rules whose warnings make the risk high: who may do more than before, and who keeps all others waiting."""
UNSEEN = frozenset([half_known.RULE.id, not_analysed.RULE.id])
"""Rules about what runs and could not be looked into, whatever their severity."""
NOT_SQL = "not-analysable"
"""Rule id of everything that keeps a file from being run at all: syntax, psql commands, encodings. Never allowed."""


@frozen
class Inspection:
    scripts: tuple[Script, ...]
    rollback: Script | None
    findings: tuple[Finding, ...]
    classification: Classification
    estimated_seconds: float | None
    assumptions: tuple[str, ...]
    coverage: Coverage
    """How much of the files, the rollback script included, was analysed."""
    major: int
    """Version of PostgreSQL that all this is about."""
    facts: CatalogFacts | None = None
    """None: without a connection."""
    estimates: Mapping[tuple[str, int], Estimate] = field(default_factory=dict)
    """By file and statement index; empty without a catalog, which alone knows the sizes."""
    waits: tuple[LockWait, ...] = ()
    """Tables whose readers or writers have to wait, and for how long; likewise empty."""

    @property
    def effects(self) -> dict[tuple[str, int], Effects]:
        """By file and statement index."""
        everything = (*self.scripts, *((self.rollback,) if self.rollback else ()))
        return {
            (script.parsed.file, subject.statement.index): subject.all_effects
            for script in everything
            for subject in script.subjects
        }


def inspect(sources: Sources, known: Known = NOTHING_KNOWN) -> Inspection:
    """What the files do, statement by statement, with what the rules have to say about it."""
    facts, before, parsed, transaction = known.facts, known.before, sources.sql, sources.transaction
    rollback = sources.rollback
    begun = earlier.start(before, parsed, World(facts, known.assumed), transaction)
    world, scripts = begun.world, list[Script]()
    for file in parsed:
        script, world = walk(file, world.in_another_session() if scripts else world, wanted=transaction)
        scripts.append(script)
    begun = earlier.doubted(begun, before, scripts, World(facts, known.assumed), transaction)
    undo = walk(rollback, world.in_another_session(), wanted=None, rollback=True)[0] if rollback is not None else None
    whole = Whole(tuple(scripts), undo, sources.has_metadata, known.pending)
    files = tuple(script.parsed for script in whole.all_scripts)
    told = [*_problems(whole), *_once(_findings(whole), begun), *earlier.findings(before, begun, scripts)]
    findings = settled(told, files, sources.allow, known.today)
    findings += [found for file in sources.assertions for found in _asserted(file, world)]
    findings += [found for script in scripts for found in _condition(script)]
    for script in whole.all_scripts:
        for subject in script.everything():
            subject.memo.clear()  # it refers to the subject: without it all of this goes away by itself
    subjects = [subject for script in scripts for subject in script.everything()]
    estimates, waits = _forecast(scripts, known.basis) if facts is not None else ({}, ())
    return Inspection(
        scripts=tuple(scripts),
        rollback=undo,
        findings=tuple(findings),
        classification=classify(
            subjects,
            waits,
            unread=sum(len(file.problems) for file in parsed),
            rights=_rights(findings),
            unseen=_unseen(findings, parsed),
        ),
        estimated_seconds=None if facts is None else _total(estimates.values()),
        assumptions=(*_assumptions(subjects, facts), *earlier.assumptions(before, scripts)),
        coverage=coverage_of(whole.all_scripts),
        major=world.major,
        facts=facts,
        estimates=estimates,
        waits=waits,
    )


def _rights(findings: Iterable[Finding]) -> list[str]:
    found = (one for one in findings if one.rule in HIGH and one.severity is not Severity.INFO)
    return list(dict.fromkeys(f"{one.file}:{one.line}: {one.message}" for one in found))


def _unseen(findings: Iterable[Finding], parsed: Iterable[ParsedFile]) -> list[str]:
    """Of what is applied; the rollback script is no part of the risk."""
    files = {file.file for file in parsed}
    found = (one for one in findings if one.rule in UNSEEN and one.file in files)
    return list(dict.fromkeys(f"{one.file}:{one.line}: {one.message}" for one in found))


def _asserted(file: ParsedFile, world: World) -> Iterator[Finding]:
    """What the metadata asserts runs when all is applied. No finding of it can be allowed."""
    script, _ = walk(file, world.in_another_session(), wanted=None)
    yield from assertions.faults(script)
    whole = Whole((script,), None, has_metadata=False)
    yield from (*_problems(whole), *_findings(whole))


def _condition(script: Script) -> Iterator[Finding]:
    """What a gate waits for only reads, as an assertion does. No finding of it can be allowed."""
    if script.parsed.step_kind == GATE and script.parsed.text.strip():
        yield from assertions.faults(script, "condition")


def _forecast(
    scripts: Sequence[Script], basis: Basis | None
) -> tuple[dict[tuple[str, int], Estimate], tuple[LockWait, ...]]:
    from migrator.analysis.estimate import (  # not loaded for an analysis without a connection
        Basis,
        estimates_of,
        waits_of,
    )

    basis, costs = basis or Basis(), {}
    subjects = [subject for script in scripts for subject in script.subjects]
    for script in scripts:
        for subject, estimate in zip(script.subjects, estimates_of(script.subjects, basis), strict=True):
            costs[script.parsed.file, subject.statement.index] = estimate
    return costs, waits_of(subjects, tuple(costs.values()), basis.traffic)


def _total(estimates: Iterable[Estimate]) -> float | None:
    """None: it is not known of all."""
    seconds = [one.seconds_p50 for one in estimates]
    known = [one for one in seconds if one is not None]
    return round(sum(known), 3) if len(known) == len(seconds) else None


def _problems(whole: Whole) -> Iterator[Finding]:
    for script in whole.all_scripts:
        for problem in script.parsed.problems:
            yield replace(_from_problem(problem), alternative_sql=_instead(script.parsed, problem))
        for fault in dict.fromkeys(script.faults):
            line, column = script.parsed.lines.place(fault.offset)
            finding = _from_problem(Problem(script.parsed.file, fault.message, line, column, hint=fault.hint))
            yield replace(finding, alternative_sql=fault.alternative)


def _instead(parsed: ParsedFile, problem: Problem) -> str | None:
    """UPDATE and DELETE with LIMIT, and psql's \\gexec, the way PostgreSQL does it."""
    if problem.message.startswith("\\gexec ") and problem.line is not None:
        offset = place(parsed.text, problem.line, problem.column or 1)
        ends = (segment for segment in lexer.scan(parsed.text).segments if segment.cut_by == "\\gexec")
        before = [segment for segment in ends if segment.end <= offset]
        return as_block(before[-1].sql) if before else None
    if not problem.message.endswith(('"LIMIT"', '"limit"', '"ORDER"', '"order"')) or problem.line is None:
        return None
    offset = place(parsed.text, problem.line, problem.column or 1)
    for segment in lexer.scan(parsed.text).segments:
        if segment.start <= offset <= segment.end:
            return without_limit(parsed.text[segment.start : segment.end], offset - segment.start)
    return None


def _from_problem(problem: Problem) -> Finding:
    return Finding(
        rule=NOT_SQL,
        severity=Severity.ERROR,
        message=one_line(problem.message),
        help=problem.hint or "",
        file=problem.file,
        line=problem.line,
        column=problem.column,
    )


def _findings(whole: Whole) -> Iterator[Finding]:
    """What stands anywhere, statement by statement, then what concerns a whole file, then the whole migration."""
    for script in whole.all_scripts:
        yield from dict.fromkeys(_sighted(script))
        for subject in script.everything():
            for rule, hit in _hits(subject, script):
                size = rule.id not in PRIVILEGES
                if script.rollback and size and hit.severity is Severity.ERROR:  # because of the size of a table
                    hit = replace(hit, severity=Severity.WARNING)  # it may still be the best that there is
                yield _finding(rule, hit, script, hit.subject or subject)
        for rule in RULES:
            if rule.script is not None and (rule.in_rollback or not script.rollback):
                for told, hit in guarded(rule, rule.script, script):
                    yield _finding(told, hit, script, hit.subject)
    for rule in RULES:
        if rule.whole is not None and whole.scripts:
            for told, hit in guarded(rule, rule.whole, whole):
                yield _finding(told, hit, _script_of(hit.subject, whole), hit.subject)


def _sighted(script: Script) -> Iterator[Finding]:
    checks = checks_at(rollback=script.rollback)
    for spot in spots_of(script, checks):
        for rule, check in checks.get(spot.kind, ()):
            for told, hit in guarded(rule, check, spot):
                yield _finding_at(told, hit, script, spot)


def _finding_at(rule: Rule, hit: Hit, script: Script, spot: Spot) -> Finding:
    around = spot.around
    return Finding(
        rule=rule.id,
        severity=hit.severity or rule.severity,
        message=", in ".join((hit.message, *reversed(around.within))).replace(UNKNOWN, MARK),
        help=rule.alternative if hit.help is None else hit.help,
        file=script.parsed.file,
        line=around.statement.line,
        column=around.statement.column,
        statement=around.index,
    )


def _once(findings: Iterable[Finding], begun: earlier.Start) -> Iterator[Finding]:
    """Without what may fail only once others are applied that need not be: pending.py tells it."""
    for finding in findings:
        place = (finding.file or "", -1 if finding.statement is None else finding.statement)
        if finding.rule != MAY_FAIL or place not in begun.conflicts:
            yield finding


def _hits(subject: Subject, script: Script) -> list[tuple[Rule, Hit]]:
    """What the rules say about one statement; a failure that one of them explains is not told twice."""
    checks = checks_on(subject.statement.name, subject.statement.subtypes, rollback=script.rollback)
    try:
        found = [(rule, hit) for rule, check in checks for hit in check(subject)]
    except FAULTS:  # asked again one by one, to tell which it is
        found = [told for rule, check in checks for told in guarded(rule, check, subject)]
    failure = subject.effects.fails
    if failure is None or not any(failure.sqlstate in rule.explains for rule, _ in found):
        return found
    return [(rule, hit) for rule, hit in found if rule.id != MAY_FAIL]


def _script_of(subject: Subject | None, whole: Whole) -> Script:
    holds = (script for script in whole.all_scripts if any(item is subject for item in script.everything()))
    return next(holds, whole.scripts[0])


def _finding(rule: Rule, hit: Hit, script: Script, subject: Subject | None) -> Finding:
    line, column = hit.place or (_place_of(hit, script.parsed, subject) if subject else (None, None))
    return Finding(
        rule=rule.id,
        severity=hit.severity or rule.severity,
        message=one_line(hit.message),
        help=rule.alternative if hit.help is None else hit.help,
        alternative_sql=None if subject is not None and subject.nested else hit.alternative_sql,
        suggestion=hit.suggestion,
        steps=() if subject is not None and subject.nested else hit.steps,
        file=script.parsed.file,
        line=line,
        column=column,
        statement=subject.statement.index if subject else None,
    )


def _place_of(hit: Hit, parsed: ParsedFile, subject: Subject) -> tuple[int, int]:
    """The part of the statement that the hit is about, where there are several; else the statement."""
    statement = subject.statement
    parts = statement.parts if hit.part is not None and not subject.nested else ()
    if hit.part is None or len(parts) < 2 or hit.part >= len(parts):
        return statement.line, statement.column
    return parsed.lines.place(statement.start + parts[hit.part][0])


def _assumptions(subjects: Sequence[Subject], facts: CatalogFacts | None) -> tuple[str, ...]:
    texts = dict.fromkeys(text for subject in subjects for text in subject.effects.assumptions)
    if facts is None and subjects:
        texts = {"no connection: sizes, types and constraints of existing tables are unknown": None, **texts}
    return tuple(texts)
