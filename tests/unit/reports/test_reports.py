"""Every form of an analysis: valid where there is a schema, harmless to where it is shown, stable between runs.

`schemas/sarif-2.1.0.json` is OASIS's schema as SchemaStore (Apache-2.0) distributes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from migrator.analysis.inspection import inspect
from migrator.analysis.known import Known, Sources
from migrator.parsing.statements import parse
from migrator.plan import Severity
from migrator.reports import markup, text
from migrator.reports.building import analysis_of
from migrator.reports.document import Analysis
from migrator.reports.forms import BY_NAME, ONE_JSON, Form
from migrator.reports.json_text import json_schema
from migrator.reports.paint import coloured
from migrator.reports.text import Look

EXAMPLES = sorted((Path(__file__).parents[2] / "rules").rglob("*.sql"))
SARIF = json.loads((Path(__file__).parents[1] / "schemas" / "sarif-2.1.0.json").read_text())
MIXED = """\
ALTER TABLE lm.messages
  ADD CONSTRAINT c CHECK (size > 0);
-- migrator: allow squawk:require-concurrent-index-creation because it is tiny until 2030-01-01
CREATE INDEX messages_size ON lm.messages (size);
CREATE TABL x (a int);
SELECT '\x1b[31m\u202e', 'größe'; TRUNCATE lm.a;
DO $$ BEGIN EXECUTE 'DROP TABLE x'; END $$;
"""


def analysis(sql: str | bytes, name: str = "m/x.sql") -> Analysis:
    return analysis_of(name, inspect(Sources((parse(sql, file=name),)), Known(today=date(2026, 1, 1))))


def whole(form: Form, *analyses: Analysis) -> str:
    return "".join(form.joined(piece for one in analyses for piece in form.pieces(one, Look())))


@pytest.fixture(scope="module")
def everything() -> list[Analysis]:
    return [
        analysis(MIXED),
        analysis(b"\xff\xfeS\x00"),
        analysis(b""),
        analysis("SELECT 'open"),
        *(analysis(path.read_bytes(), path.as_posix()) for path in EXAMPLES),
    ]


def test_json_has_the_documented_keys() -> None:
    document = json.loads(whole(ONE_JSON, analysis(MIXED)))
    first = document["statements"][0]
    assert list(first) == [
        "index", "file", "line", "column", "sql", "kind", "transactional", "locks", "rewrites", "scans",
        "waits_for_old_transactions", "known", "fails", "estimate", "findings",
    ]  # fmt: skip
    assert first["locks"] == [{"relation": "lm.messages", "mode": "ACCESS EXCLUSIVE"}]
    assert {"rule", "severity", "message", "help", "alternative_sql"} <= set(first["findings"][0])
    assert {"type", "risk", "requires_downtime"} <= set(document["summary"])


def test_json_is_valid_and_many_are_a_list(everything: list[Analysis]) -> None:
    schema = _strict(json_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    documents = json.loads(whole(BY_NAME["json"], *everything))
    assert len(documents) == len(everything)
    for document in documents:
        validator.validate(document)
    assert json.loads(whole(BY_NAME["json"])) == []


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema that allows no field that it does not document."""
    for definition in (schema, *schema["$defs"].values()):
        if definition.get("type") == "object":
            definition["additionalProperties"] = False
    return schema


def test_json_schema_documents_its_fields() -> None:
    schema = json_schema()
    assert schema["$id"] == "urn:migrator:analysis:1"
    assert "schema-qualified" in schema["$defs"]["StatementEntry"]["properties"]["locks"]["description"]


def test_sarif_is_valid(everything: list[Analysis]) -> None:
    log = json.loads(whole(BY_NAME["sarif"], *everything))
    jsonschema.Draft7Validator(SARIF).validate(log)
    run = log["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert "ruleIndex" not in result or rules[result["ruleIndex"]]["id"] == result["ruleId"]
    assert json.loads(whole(BY_NAME["sarif"]))["runs"][0]["results"] == []


def test_sarif_has_regions_fixes_and_suppressions() -> None:
    results = {
        result["ruleId"]: result
        for result in json.loads(whole(BY_NAME["sarif"], analysis(MIXED)))["runs"][0]["results"]
    }
    check = results["add-check"]
    region = {"startLine": 1, "startColumn": 1, "endLine": 2, "endColumn": 36}
    assert check["locations"][0]["physicalLocation"]["region"] == region
    replacement = check["fixes"][0]["artifactChanges"][0]["replacements"][0]
    assert replacement["deletedRegion"] == region
    assert "NOT VALID" in replacement["insertedContent"]["text"]
    assert "suppressions" not in check
    assert results["create-index"]["suppressions"][0]["justification"] == "it is tiny"
    broken = results["not-analysable"]["locations"][0]["physicalLocation"]["region"]
    assert broken == {"startLine": 5, "startColumn": 8, "endLine": 5, "endColumn": 12}


@pytest.mark.parametrize("width", [60, 80, 160])
def test_heads_of_findings_are_broken_at_spaces(width: int) -> None:
    analysis = analysis_of("some/file.sql", inspect(Sources((parse("DROP TABLE orders;", file="some/file.sql"),))))
    shown = text.piece(analysis, Look(width=width)).splitlines()
    (entry,) = [entry for entry in analysis.all_findings if entry.rule == "drop-loses-data"]
    begin = next(place for place, line in enumerate(shown) if line.startswith("some/file.sql:1:1: warning: table"))
    end = next(place for place, line in enumerate(shown) if line.endswith("[drop-loses-data]"))
    head = shown[begin : end + 1]
    assert max(map(len, head)) <= width
    assert " ".join(map(str.strip, head)) == f"some/file.sql:1:1: warning: {entry.message} [drop-loses-data]"


def test_gitlab_report(everything: list[Analysis]) -> None:
    issues = json.loads(whole(BY_NAME["gitlab"], *everything))
    assert issues
    assert len({issue["fingerprint"] for issue in issues}) == len(issues)
    for issue in issues:
        assert set(issue) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert issue["severity"] in ("info", "minor", "major", "critical", "blocker")
        assert 1 <= issue["location"]["lines"]["begin"] <= issue["location"]["lines"]["end"]
    assert "create-index" not in {
        issue["check_name"] for issue in json.loads(whole(BY_NAME["gitlab"], analysis(MIXED)))
    }


@pytest.mark.parametrize("change", [lambda sql: "-- new\n\n" + sql, lambda sql: sql.replace("\n  ADD", " ADD")])
def test_fingerprints_survive_edits_elsewhere(change: Callable[[str], str]) -> None:
    def prints(sql: str) -> list[str]:
        return sorted(entry.fingerprint for entry in analysis(sql).all_findings if entry.rule != "not-analysable")

    assert prints(MIXED) == prints(change(MIXED))
    twice = prints("TRUNCATE a;\nTRUNCATE a;")
    assert len(set(twice)) == len(twice) == 2


def test_github_commands_are_one_line_each() -> None:
    lines = whole(BY_NAME["github"], analysis(MIXED, "a,b: 100%.sql")).splitlines()
    assert len(lines) == sum(entry.counts for entry in analysis(MIXED).all_findings)
    for line in lines:
        assert re.match(r"::(error|warning|notice) title=[a-z-]+(,\w+=[^,:]*)*::", line)
    assert "file=a%2Cb%3A 100%25.sql,line=1,endLine=2::" in lines[0]
    assert "%0AInstead: " in lines[0]
    assert whole(BY_NAME["github"], analysis("SELECT 1;")) == ""


def test_text_points_at_the_token() -> None:
    lines = text.piece(analysis("SELECT 1;\nSELECT 'größe 日本'; CREATE TABL x (a int);"), Look()).splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("m/x.sql:2:27: error: "))
    assert lines[at + 1] == "    2 | SELECT 'größe 日本'; CREATE TABL x (a int);"
    # two wide characters take four columns, so the caret stands two further to the right than the column says
    assert lines[at + 2] == " " * 6 + "|" + " " * (26 + 2 + 1) + "^^^^"


def test_text_shows_effect_and_way_out() -> None:
    shown = text.piece(analysis(MIXED), Look())
    assert "ACCESS EXCLUSIVE on lm.messages" in shown
    assert "why     " in shown
    assert "+ ALTER TABLE lm.messages VALIDATE CONSTRAINT c;" in shown
    assert "allowed: nobody can write to lm.messages" in shown
    assert "because it is tiny" in shown
    assert "1 of 7 statements could not be looked into: not analysed is not safe" in shown


@pytest.mark.parametrize("look", [Look(), Look(paint=coloured, width=60)])
def test_nothing_in_a_file_drives_the_terminal(look: Look) -> None:
    shown = text.piece(analysis(MIXED + "TRUNCAT '\x1b]0;x\x07\u202e';", "\x1b[2Jx.sql"), look)
    rest = re.sub(r"\x1b\[(1;31|[0-9]{1,2})m", "", shown) if look.paint is coloured else shown
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", rest)
    assert "\\x1b]0;x" in shown


def test_markdown_keeps_names_from_being_markup() -> None:
    shown = whole(BY_NAME["markdown"], analysis('TRUNCATE "a|<b>`_x_";', "dir/[x](y).sql"))
    assert "<b>" not in shown
    assert "## dir/\\[x](y).sql" in shown
    table = [line for line in shown.splitlines() if "TRUNCATE |" in line]
    assert len(table) == 1
    assert len(re.findall(r"(?<!\\)\|", table[0])) == 5
    assert "```sql\nALTER TABLE" in whole(BY_NAME["markdown"], analysis(MIXED))


@pytest.mark.parametrize(
    "given, shown",
    [
        ("1. Add a column", r"1\. Add a column"),
        ("12) x", r"12\) x"),
        ("- x", r"\- x"),
        ("> x", r"\> x"),
        ("1 x", "1 x"),
        (".5", ".5"),
        ("1234567890. x", "1234567890. x"),
    ],
)
def test_a_line_of_text_begins_no_block(given: str, shown: str) -> None:
    assert markup.text(given) == shown


def test_severities_come_out_in_every_form(everything: list[Analysis]) -> None:
    seen = {entry.severity for one in everything for entry in one.all_findings}
    assert seen == set(Severity)
