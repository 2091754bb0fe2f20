"""How much of some files was analysed, and what was not, and why: what was not looked at is never reported as safe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from migrator.frozen import frozen

if TYPE_CHECKING:
    from migrator.analysis.walk.script import Script


@frozen
class NotAnalysed:
    file: str
    line: int
    column: int
    what: str
    why: str


@frozen
class Coverage:
    statements: int = 0
    """All statements, those inside of DO blocks and called functions included."""
    gaps: tuple[NotAnalysed, ...] = ()

    @property
    def analysed(self) -> int:
        return self.statements - len(self.gaps)

    @property
    def complete(self) -> bool:
        return not self.gaps

    def __str__(self) -> str:
        if self.statements == 0:
            return "there is no statement to analyse"
        plural = "s" if self.statements != 1 else ""
        if self.complete:
            return f"analysed all {self.statements} statement{plural}" if plural else "analysed the statement"
        return f"analysed {self.analysed} of {self.statements} statement{plural}; nothing is known about the rest"


def coverage_of(scripts: Iterable[Script]) -> Coverage:
    counted, gaps = 0, []
    for script in scripts:
        places = [(subject.statement.line, subject.statement.column) for subject in script.everything()]
        found: dict[tuple[int, int], NotAnalysed] = {}
        for gap in _gaps(script):
            found.setdefault((gap.line, gap.column), gap)
        counted += len(places) + len(found.keys() - set(places))
        gaps += sorted(found.values(), key=lambda gap: (gap.line, gap.column))
    return Coverage(counted, tuple(gaps))


def _gaps(script: Script) -> Iterator[NotAnalysed]:
    name, lines = script.parsed.file, script.parsed.lines
    for problem in script.parsed.problems:
        yield NotAnalysed(name, problem.line or 1, problem.column or 1, "statement", problem.message)
    for fault in script.faults:
        yield NotAnalysed(name, *lines.place(fault.offset), "statement", fault.message)
    for gap in script.gaps:
        yield NotAnalysed(name, *lines.place(gap.offset), gap.what, gap.why)
