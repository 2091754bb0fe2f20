"""Which findings somebody took responsibility for, in the metadata or in a comment, and what is wrong with that."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from migrator.analysis.rules import BY_ID, rules_called
from migrator.frozen import frozen
from migrator.parsing import suppressions
from migrator.parsing.statements import ParsedFile
from migrator.plan import Finding, Severity
from migrator.problems import Problem

if TYPE_CHECKING:
    from migrator.catalogue.metadata import Allow

ALLOW = "allow"
"""Rule id of what is wrong with an allowance. Never allowed."""


@frozen
class _Allowance:
    """One allowance from either source; `file` and the rest are None for the metadata's, which hold everywhere."""

    rule: str
    reason: str
    until: date
    file: str | None = None
    statement: int | None = None
    line: int | None = None
    column: int | None = None

    def covers(self, finding: Finding) -> bool:
        return self.file is None or (finding.file == self.file and finding.statement == self.statement)

    def note(self, severity: Severity, message: str, hint: str) -> Finding:
        return Finding(ALLOW, severity, message, hint, file=self.file, line=self.line, column=self.column)


def settled(
    findings: Iterable[Finding], files: Sequence[ParsedFile], allow: Sequence[Allow], today: date | None
) -> list[Finding]:
    """The findings, marked where they are allowed, then what is wrong with the allowances.

    `today` None: none expires.
    """
    result = list(findings)
    notes: list[Finding] = []
    allowances = [_Allowance(item.rule, item.reason, item.until) for item in allow]
    for file in files:
        found = suppressions.read(file)
        notes.extend(_fault(problem) for problem in found.faults)
        allowances.extend(
            _Allowance(item.rule, item.reason, item.until, file.file, item.statement, item.line, item.column)
            for item in found.valid
        )
    for allowance in allowances:
        notes.extend(_apply(allowance, result, today))
    return result + notes


def _fault(problem: Problem) -> Finding:
    return Finding(
        ALLOW,
        Severity.ERROR,
        problem.message,
        problem.hint or "",
        file=problem.file,
        line=problem.line,
        column=problem.column,
    )


def _apply(allowance: _Allowance, findings: list[Finding], today: date | None) -> Iterable[Finding]:
    """Marks in place what the allowance covers, and gives what is to be said about it."""
    name = allowance.rule
    rules = (name,) if name in BY_ID else rules_called(name)
    if not rules:
        yield allowance.note(Severity.ERROR, f"there is no rule {name!r} to allow", _nearest(name))
        return
    if name not in BY_ID:
        ours = " and ".join(repr(rule) for rule in rules)
        yield allowance.note(Severity.INFO, f"{name!r} is called {ours} here", f"write {ours}: other names may change")
    if not all(BY_ID[rule].allowable for rule in rules):
        yield allowance.note(Severity.ERROR, f"{name!r} cannot be allowed", "take out of the SQL what it finds")
        return
    if today is not None and allowance.until < today:
        message = f"the allowance for {name!r} expired on {allowance.until.isoformat()}"
        yield allowance.note(Severity.WARNING, message, "decide again: change the SQL, or give a new date")
        return
    covered = [index for index, item in enumerate(findings) if item.rule in rules and allowance.covers(item)]
    if not covered:
        where = "" if allowance.file is None else " on the statement that follows"
        yield allowance.note(Severity.WARNING, f"nothing{where} needs the allowance for {name!r}", "remove it")
    for index in covered:
        findings[index] = replace(findings[index], allowed_because=allowance.reason)


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, list(BY_ID), 1)
    return f"did you mean {near[0]!r}?" if near else "all rules are in include/migrator/analysis/rules/README.md"
