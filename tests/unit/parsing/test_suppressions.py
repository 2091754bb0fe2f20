"""Allowing a finding: for the next statement by a comment, for the migration in its metadata, and what goes wrong."""

from __future__ import annotations

from datetime import date

import pytest

from migrator.analysis.inspection import inspect
from migrator.analysis.known import Known, Sources
from migrator.catalogue.content import file_digest
from migrator.catalogue.metadata import Allow
from migrator.parsing.statements import parse
from migrator.plan import Finding, Severity

TODAY = date(2026, 6, 1)
ALLOW = "-- migrator: allow {} because the table is empty until 2026-12-31\n"


def findings(sql: str, *allow: Allow) -> tuple[Finding, ...]:
    return inspect(Sources((parse(sql, file="x.sql"),), allow=allow), Known(today=TODAY)).findings


def notes(sql: str, *allow: Allow) -> list[Finding]:
    return [finding for finding in findings(sql, *allow) if finding.rule == "allow"]


def test_the_next_statement_and_no_other() -> None:
    sql = ALLOW.format("truncate") + "TRUNCATE a;\nTRUNCATE b;"
    found = [item for item in findings(sql) if item.rule == "truncate"]
    assert [(item.line, item.allowed_because) for item in found] == [(2, "the table is empty"), (3, None)]


@pytest.mark.parametrize(
    "comment",
    [
        "-- migrator: allow truncate, change-without-where because of x until 2026-12-31\n",
        "/* Migrator: ALLOW change-without-where BECAUSE of x UNTIL 2026-12-31 */ ",
        "-- migrator: allow change-without-where because of x until 2026-12-31\n-- and another comment\n\n",
    ],
)
def test_ways_to_write_it(comment: str) -> None:
    found = [item for item in findings(comment + "DELETE FROM a;") if item.rule == "change-without-where"]
    assert [item.allowed_because for item in found] == ["of x"]


@pytest.mark.parametrize("name", ["squawk:ban-truncate-cascade", "ban-truncate-cascade"])
def test_names_of_other_tools(name: str) -> None:
    found = findings(ALLOW.format(name) + "TRUNCATE a CASCADE;")
    assert found[0].allowed_because == "the table is empty"
    assert found[1].severity is Severity.INFO
    assert f"{name!r} is called 'truncate' here" in found[1].message


@pytest.mark.parametrize(
    "sql, severity, message, hint",
    [
        (ALLOW.format("truncat") + "TRUNCATE a;", Severity.ERROR, "no rule 'truncat'", "did you mean 'truncate'?"),
        (ALLOW.format("truncate") + "SELECT 1;", Severity.WARNING, "nothing on the statement that follows", "remove"),
        ("-- migrator: allow truncate until 2026-12-31\nTRUNCATE a;", Severity.ERROR, "has no reason", "because"),
        ("-- migrator: allow truncate because x\nTRUNCATE a;", Severity.ERROR, "has no end", "until"),
        ("-- migrator: allow truncate because x until soon\nTRUNCATE a;", Severity.ERROR, "'soon' is not", "YYYY"),
        ("-- migrator: allow truncate because x until 2026-05-31\nTRUNCATE a;", Severity.WARNING, "expired on", ""),
        ("-- migrator: ignore truncate\nTRUNCATE a;", Severity.ERROR, "not understood", "-- migrator: allow"),
        ("TRUNCATE a; " + ALLOW.format("truncate"), Severity.ERROR, "stands before its statement", "the line above"),
        ("TRUNCATE\n" + ALLOW.format("truncate") + "a;", Severity.ERROR, "no statement that could", "right before"),
        (ALLOW.format("truncate") + "TRUNCATE a b c;\nTRUNCATE a;", Severity.ERROR, "no statement that could", "right"),
        (ALLOW.format("truncate"), Severity.ERROR, "no statement that could", "right before"),
    ],
)  # fmt: skip
def test_what_allows_nothing_is_said(sql: str, severity: Severity, message: str, hint: str) -> None:
    (note,) = notes(sql)
    assert note.severity is severity
    assert message in note.message
    assert hint in note.help
    assert (note.file, note.column) == ("x.sql", sql.splitlines()[(note.line or 0) - 1].index("--") + 1)
    assert all(item.allowed_because is None for item in findings(sql))


def test_a_string_is_no_comment() -> None:
    assert notes("SELECT '-- migrator: allow truncate';") == []


def test_the_metadata_allows_everywhere() -> None:
    allow = Allow(rule="truncate", reason="empty", until=date(2026, 12, 31))
    found = [item for item in findings("TRUNCATE a; TRUNCATE b;", allow) if item.rule == "truncate"]
    assert [item.allowed_because for item in found] == ["empty", "empty"]
    (note,) = notes("SELECT 1;", allow)
    assert note.message == "nothing needs the allowance for 'truncate'"


def test_what_does_not_parse_is_never_allowed() -> None:
    sql = ALLOW.format("not-analysable") + "TRUNCAT a;"
    assert [item.allowed_because for item in findings(sql)] == [None, None]


@pytest.mark.parametrize(
    "before, after, same",
    [
        ("", ALLOW.format("truncate"), False),
        (ALLOW.format("truncate"), ALLOW.format("truncate").replace("2026", "2027"), False),
        (ALLOW.format("truncate"), ALLOW.format("truncate").replace("empty", "small"), False),
        (ALLOW.format("truncate"), ALLOW.format("truncate").replace("allow ", "allow   "), True),
        ("-- a comment\n", "-- another\n", True),
    ],
)
def test_a_changed_allowance_changes_what_was_reviewed(before: str, after: str, same: bool) -> None:
    digests = [file_digest(parse(comment + "TRUNCATE a;", file="x.sql")) for comment in (before, after)]
    assert (digests[0] == digests[1]) is same
