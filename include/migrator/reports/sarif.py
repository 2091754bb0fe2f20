"""Findings as SARIF 2.1.0 (OASIS), for code scanning: rules with their texts, regions, fixes and suppressions.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from migrator import __version__
from migrator.analysis.rules import RULES, Rule
from migrator.plan import Severity
from migrator.reports.document import Analysis, FindingEntry, Place

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVEL = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_INDEX = {rule.id: index for index, rule in enumerate(RULES)}


def head() -> str:
    """Everything before the results: the tool and all its rules."""
    driver = {"name": "migrator", "semanticVersion": __version__, "rules": [_rule(rule) for rule in RULES]}
    opening = {"$schema": SCHEMA, "version": "2.1.0"}
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints"}
    return f'{json.dumps(opening)[:-1]}, "runs": [{json.dumps(run, ensure_ascii=False)[:-1]}, "results": [\n'


TAIL = "\n]}]}\n"


def pieces(analysis: Analysis) -> Iterator[str]:
    """One result for each finding, the allowed ones with their suppression."""
    for entry in analysis.all_findings:
        yield json.dumps(_result(analysis, entry), ensure_ascii=False)


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.condition},
        "fullDescription": {"text": rule.effect},
        "help": {
            "text": rule.alternative,
            "markdown": f"{rule.alternative}\n\n[PostgreSQL documentation]({rule.source})",
        },
        "helpUri": rule.source,
        "defaultConfiguration": {"level": LEVEL[rule.severity]},
        "properties": {"tags": ["postgresql", "migration"], "aliases": list(rule.aliases)},
    }


def _result(analysis: Analysis, entry: FindingEntry) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": entry.rule,
        "level": LEVEL[entry.severity],
        "message": {"text": entry.message + (f"\n\nInstead: {entry.help}" if entry.help else "")},
        "locations": [_location(analysis, entry)],
        "partialFingerprints": {"migrator/v1": entry.fingerprint},
    }
    if entry.rule in _INDEX:
        result["ruleIndex"] = _INDEX[entry.rule]
    if entry.alternative_sql and entry.place:
        result["fixes"] = [_fix(entry.place, entry.help, entry.alternative_sql)]
    if entry.allowed_because is not None:
        result["suppressions"] = [{"kind": "inSource", "status": "accepted", "justification": entry.allowed_because}]
    return result


def _location(analysis: Analysis, entry: FindingEntry) -> dict[str, Any]:
    if entry.place is None:  # what concerns the whole migration
        name = analysis.statements[0].file if analysis.statements else analysis.name
        return {"physicalLocation": {"artifactLocation": {"uri": _uri(name)}}}
    physical: dict[str, Any] = {
        "artifactLocation": {"uri": _uri(entry.place.file)},
        "region": _region(entry.place),
    }
    if entry.excerpt:
        physical["contextRegion"] = {
            "startLine": entry.place.line,
            "endLine": entry.place.line + len(entry.excerpt) - 1,
            "snippet": {"text": "\n".join(entry.excerpt)},
        }
    return {"physicalLocation": physical}


def _region(place: Place) -> dict[str, int]:
    return {
        "startLine": place.line,
        "startColumn": place.column,
        "endLine": place.end_line,
        "endColumn": place.end_column,
    }


def _fix(place: Place, description: str, sql: str) -> dict[str, Any]:
    return {
        "description": {"text": description or "the safe way"},
        "artifactChanges": [
            {
                "artifactLocation": {"uri": _uri(place.file)},
                "replacements": [
                    {"deletedRegion": _region(place), "insertedContent": {"text": sql.rstrip().removesuffix(";")}}
                ],
            }
        ],
    }


def _uri(file: str) -> str:
    """A relative path stays relative, to the root of the checkout; an absolute one becomes a file URI."""
    path = PurePath(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
