"""Each rule fires on its bad examples and is silent on its good ones; a rule without both fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.plan import Severity
from migrator.rules import BY_ID, RULES
from migrator.rules.reference import page
from migrator.rules.rewrite import migrations_of
from migrator.statements import parse
from tests.rule_examples import Example, examples

PAGE = Path(__file__).parents[2] / "include" / "migrator" / "rules" / "README.md"
EXAMPLES = examples()
BAD = [item for item in EXAMPLES if item.bad and not item.needs_catalog]
GOOD = [item for item in EXAMPLES if not item.bad]


@pytest.mark.parametrize("example", BAD, ids=str)
def test_bad_example_is_found_without_a_connection(example: Example) -> None:
    found = [finding for finding in example.findings() if finding.rule == example.rule]
    assert found
    assert all(finding.message and finding.help for finding in found)


@pytest.mark.parametrize("example", GOOD, ids=str)
def test_good_example_is_no_warning_without_a_connection(example: Example) -> None:
    """What only the catalog can tell is `info` at most."""
    found = [finding for finding in example.findings() if finding.rule == example.rule]
    assert [finding for finding in found if finding.severity is not Severity.INFO] == []


@pytest.mark.parametrize("example", BAD, ids=str)
def test_alternative_is_sql(example: Example) -> None:
    for finding in example.findings():
        for text in migrations_of(finding.alternative_sql or ""):
            assert parse(text, file="alternative.sql").problems == ()


def test_each_rule_has_examples_and_each_example_a_rule() -> None:
    assert {example.rule for example in EXAMPLES} == set(BY_ID)
    for rule in BY_ID:
        assert {example.bad for example in EXAMPLES if example.rule == rule} == {True, False}, rule
    assert len(BY_ID) == len(RULES)


def test_reference_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run: python -m migrator.rules.reference"
