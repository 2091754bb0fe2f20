"""Each rule fires on its bad.sql and is silent on its good.sql; a rule without the pair fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.inspection import inspect
from migrator.plan import Finding
from migrator.rules import BY_ID, RULES
from migrator.rules.reference import page
from migrator.statements import parse

EXAMPLES = Path(__file__).parents[1] / "rules"
PAGE = Path(__file__).parents[2] / "include" / "migrator" / "rules" / "README.md"


def findings(path: Path) -> tuple[Finding, ...]:
    """A first line "-- transaction: true" stands for the metadata, "-- no rollback" for a folder without the script."""
    text = path.read_text()
    rollback = None if text.startswith("-- no rollback") else parse("SELECT 1;", file="rollback.sql")
    wanted = True if text.startswith("-- transaction: true") else None
    return inspect((parse(text, file=path.name),), rollback=rollback, transaction=wanted, has_metadata=True).findings


@pytest.mark.parametrize("rule", sorted(BY_ID))
def test_bad_example_is_found(rule: str) -> None:
    found = [finding for finding in findings(EXAMPLES / rule / "bad.sql") if finding.rule == rule]
    assert found
    assert all(finding.message and finding.help for finding in found)


@pytest.mark.parametrize("rule", sorted(BY_ID))
def test_good_example_is_not(rule: str) -> None:
    assert rule not in {finding.rule for finding in findings(EXAMPLES / rule / "good.sql")}


@pytest.mark.parametrize("rule", sorted(BY_ID))
def test_alternative_is_sql(rule: str) -> None:
    for finding in findings(EXAMPLES / rule / "bad.sql"):
        if finding.alternative_sql:
            assert parse(finding.alternative_sql, file="alternative.sql").problems == ()


def test_no_example_without_a_rule() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} == set(BY_ID)
    assert len(BY_ID) == len(RULES)


def test_reference_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run: python -m migrator.rules.reference"
