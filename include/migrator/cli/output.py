"""What a command prints: text for people (rich on a terminal, plain when piped) or one JSON document.

Results go to standard output, remarks and errors to standard error. With `--format json` standard output is exactly
one JSON document, so `line`, `table` and `problems` write nothing there.
"""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

from migrator import documents
from migrator.parsing.unseen import one_line
from migrator.problems import Problem
from migrator.reports.paint import printable

if TYPE_CHECKING:
    from rich.console import Console

STYLES: Mapping[str, str] = {
    "error": "bold red",
    "warning": "yellow",
    "good": "green",
    "bad": "red",
    "faint": "dim",
    "strong": "bold",
}
"""The only styles there are; a style is decoration, never the only carrier of a fact."""


MANY_COLUMNS = 5
"""From so many on a table that is too wide is shown in blocks."""


class Output:
    """Where one command writes. `format` is what `--format` says: "text", "json" or a command's own third."""

    def __init__(self, *, format: str = "text", stdout: IO[str] | None = None, stderr: IO[str] | None = None) -> None:
        self.format = format
        self._stdout = stdout
        self._stderr = stderr
        self._console: Console | None = None

    @property
    def stdout(self) -> IO[str]:
        return self._stdout if self._stdout is not None else sys.stdout

    @property
    def stderr(self) -> IO[str]:
        return self._stderr if self._stderr is not None else sys.stderr

    @property
    def json(self) -> bool:
        return self.format == "json"

    def document(self, value: Any) -> None:
        """The result, as the one JSON document; nothing in text form. Takes dataclasses, mappings and sequences."""
        if self.json:
            json.dump(documents.to_dict(value), self.stdout, indent=2, ensure_ascii=False)
            self.stdout.write("\n")

    def line(self, text: str = "", *, style: str | None = None) -> None:
        """One line of the result; nothing in JSON form."""
        if self.format == "text":
            self._write(one_line(text), style)

    def raw(self, text: str) -> None:
        """Text that is the result itself (a schema, an iCalendar file), in every format, unaltered."""
        self.stdout.write(text)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
        """Rows under headings; nothing in JSON form. None is shown as "-"."""
        if self.format != "text":
            return
        cells = [["-" if value is None else printable(one_line(str(value))) for value in row] for row in rows]
        if self.is_terminal:
            longest = (max(map(len, " ".join(column).split())) for column in zip(columns, *cells, strict=True))
            width = sum(word + 3 for word in longest) + 1
            if width > self._terminal().width and len(columns) >= MANY_COLUMNS:
                self._blocks(columns, cells, title)
            else:
                self._rich_table(columns, cells, title)
            return
        if title:
            self._write(title, None)
        widths = [max(len(row[i]) for row in [list(columns), *cells]) for i in range(len(columns))]
        for row in [list(columns), ["-" * width for width in widths], *cells]:
            line = "  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True))
            self._write(line.rstrip(), None)

    def problems(self, problems: Sequence[Problem]) -> None:
        """What is wrong, one problem a line as `file:line:column: key: message (hint)`; in JSON form the result."""
        if self.json:
            self.document({"problems": problems})
        for problem in sorted(problems, key=lambda one: (one.file, one.line or 0, one.column or 0)):
            self.line(str(problem), style="error")

    def note(self, text: str) -> None:
        """A remark on standard error, in every format."""
        self._remark(printable(text))

    def error(self, text: str) -> None:
        """Why the command stops, on standard error, in every format."""
        self._remark(f"migrator: {printable(text)}")

    def _remark(self, text: str) -> None:
        if self.stderr.isatty():
            width = shutil.get_terminal_size().columns
            text = "\n".join(_broken(line, width) for line in text.split("\n"))
        self.stderr.write(text + "\n")

    def _write(self, text: str, style: str | None) -> None:
        if self.is_terminal:
            from rich.text import Text

            shown = _broken(printable(text), self._terminal().width)
            self._terminal().print(Text(shown, style=STYLES.get(style or "", "")), soft_wrap=True)
        else:
            self.stdout.write(printable(text) + "\n")

    def _blocks(self, columns: Sequence[str], cells: list[list[str]], title: str | None) -> None:
        """A row under its first value, a line for each further one: in columns words would be broken in the middle."""
        if title:
            self._write(title, "strong")
        for row in cells:
            told = [(column, value) for column, value in zip(columns, row, strict=True) if value != "-"]
            for _, value in told[:1]:
                self._write(value, "strong")
            for column, value in told[1:]:
                self._write(f"    {column.lower()}: {value}", None)

    def _rich_table(self, columns: Sequence[str], cells: list[list[str]], title: str | None) -> None:
        from rich.table import Table
        from rich.text import Text

        table = Table(title=title, title_justify="left", header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in cells:
            table.add_row(*(Text(value) for value in row))
        self._terminal().print(table)

    @property
    def is_terminal(self) -> bool:
        return self.stdout.isatty()

    def _terminal(self) -> Console:
        if self._console is None:
            from rich.console import Console

            self._console = Console(file=self.stdout, highlight=False)
        return self._console


def _broken(line: str, width: int) -> str:
    """A line broken at blanks, the rest of it further in. A path is never broken: terminals make it a link."""
    indent = " " * (len(line) - len(line.lstrip(" ")))
    if len(line) <= width or not line.strip():
        return line
    return textwrap.fill(
        line.strip(" "),
        max(width, len(indent) + 20),
        initial_indent=indent,
        subsequent_indent=indent + "    ",
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
    )
