"""What is wrong with somebody's input, where it is, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable

from migrator.frozen import frozen


@frozen
class Problem:
    """One fault in a file that a person wrote. Lines and columns count from 1."""

    file: str
    message: str
    line: int | None = None
    column: int | None = None
    key: str | None = None
    hint: str | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        key = f"{self.key}: " if self.key else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}: {key}{self.message}{hint}"


def listing(problems: Iterable[Problem]) -> str:
    """One problem a line, in the order of files and lines."""
    ordered = sorted(problems, key=lambda problem: (problem.file, problem.line or 0, problem.column or 0))
    return "\n".join(str(problem) for problem in ordered)
