"""Findings as workflow commands, which GitHub Actions shows beside the changed lines of a pull request.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from migrator.plan import Severity
from migrator.reports.document import Analysis, FindingEntry

COMMAND = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def piece(analysis: Analysis) -> str:
    """One line for each finding that nobody allowed; "" when there is none."""
    return "".join(_command(entry) + "\n" for entry in analysis.all_findings if entry.counts)


def _command(entry: FindingEntry) -> str:
    values = {"title": entry.rule}
    if entry.place is not None:
        place = entry.place
        values |= {"file": place.file, "line": str(place.line), "endLine": str(place.end_line)}
        if place.line == place.end_line:  # GitHub takes columns within one line only
            values |= {"col": str(place.column), "endColumn": str(place.end_column)}
    body = [entry.message]
    if entry.effect:
        body.append(f"Why: {entry.effect}")
    if entry.help:
        body.append(f"Instead: {entry.help}")
    if entry.alternative_sql:
        body.append(entry.alternative_sql)
    properties = ",".join(f"{name}={_property(value)}" for name, value in values.items())
    return f"::{COMMAND[entry.severity]} {properties}::{_data(chr(10).join(body))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
