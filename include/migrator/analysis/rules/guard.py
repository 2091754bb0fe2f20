"""A rule that fails on one statement must not take the whole analysis with it, and must not be silent either."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

from migrator.analysis.effects.table import FAULTS
from migrator.analysis.rules.model import Hit, Rule
from migrator.plan import Severity

logger = logging.getLogger(__name__)

FAILED = Rule(
    id="rule-failed",
    severity=Severity.WARNING,
    condition="a rule of the analyser failed on a statement",
    effect="nothing is known of what the rule looks for",
    alternative="look at the statement yourself, and report it to those who maintain the analyser",
    source="",
)

T = TypeVar("T")


def guarded(rule: Rule, check: Callable[[T], Iterator[Hit]], about: T) -> list[tuple[Rule, Hit]]:
    """The hits of one check; when it fails, what it found before and a hit of FAILED."""
    found: list[tuple[Rule, Hit]] = []
    try:
        for hit in check(about):
            found.append((rule, hit))
    except FAULTS as fault:
        logger.debug("rule %s failed", rule.id, exc_info=True)
        found.append((FAILED, Hit(f"rule {rule.id} failed here: {type(fault).__name__}: {fault}")))
    return found
