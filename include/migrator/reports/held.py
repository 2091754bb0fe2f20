"""How long each lock of a file is held, as a chart: one column a statement, one row a lock."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.reports.document import Analysis, Span
from migrator.reports.paint import Paint

COLUMNS = 24
ROWS = 24
QUIET = ("ACCESS SHARE", "ROW SHARE")


def chart(analysis: Analysis, paint: Paint) -> Iterator[str]:
    """Only of transactions in which a lock outlives its statement: the others hold nothing."""
    for file in dict.fromkeys(span.file for span in analysis.timeline):
        lines = list(dict.fromkeys(item.line for item in analysis.statements if item.file == file))
        spans = [span for span in analysis.timeline if span.file == file and span.mode not in QUIET]
        lasting = {span.transaction for span in spans if span.last_line > span.first_line}
        shown = [span for span in spans if span.transaction in lasting]
        if shown and len(lines) <= COLUMNS:
            yield from _rows(shown, lines, paint)


def _rows(spans: list[Span], lines: list[int], paint: Paint) -> Iterator[str]:
    cell = max(len(str(line)) for line in lines) + 1
    names = [f"{span.relation}  {span.mode}" for span in spans[:ROWS]]
    width = max(len(name) for name in [*names, "held at line"])
    yield ""
    heads = "".join(str(line).rjust(cell) for line in lines)
    yield paint(f"  {'held at line'.ljust(width)}{heads}", "faint")
    for span, name in zip(spans, names, strict=False):
        style = "bad" if span.mode in ("ACCESS EXCLUSIVE", "EXCLUSIVE") else "warning"
        cells = "".join(_cell(span, line, cell) for line in lines)
        yield f"  {paint(name.ljust(width), '')}{paint(cells.rstrip(), style)}"
    if len(spans) > ROWS:
        yield paint(f"  and {len(spans) - ROWS} more locks", "faint")


def _cell(span: Span, line: int, cell: int) -> str:
    if not span.first_line <= line <= span.last_line:
        return " " * cell
    return (" " if line == span.first_line else "=") + "=" * (cell - 1)
