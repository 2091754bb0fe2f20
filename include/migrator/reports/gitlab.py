"""Findings as GitLab's code quality report, shown in merge requests.

https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from migrator.plan import Severity
from migrator.reports.document import Analysis, FindingEntry

SEVERITY = {Severity.ERROR: "critical", Severity.WARNING: "major", Severity.INFO: "info"}


def pieces(analysis: Analysis) -> Iterator[str]:
    """One JSON object for each finding that nobody allowed."""
    for entry in analysis.all_findings:
        if entry.counts:
            yield json.dumps(_issue(analysis, entry), ensure_ascii=False)


def _issue(analysis: Analysis, entry: FindingEntry) -> dict[str, Any]:
    place = entry.place
    return {
        "description": entry.message + (f" (instead: {entry.help})" if entry.help else ""),
        "check_name": entry.rule,
        "fingerprint": entry.fingerprint,
        "severity": SEVERITY[entry.severity],
        "location": {
            # Without a place it concerns the whole: GitLab shows only what has a path, so it gets the first file's.
            "path": place.file if place else _first_file(analysis),
            "lines": {"begin": place.line if place else 1, "end": place.end_line if place else 1},
        },
    }


def _first_file(analysis: Analysis) -> str:
    return analysis.statements[0].file if analysis.statements else analysis.name
