"""Rules about constraints of tables and of domains."""

from __future__ import annotations

from migrator.rules.constraints import add_constraint, add_unique
from migrator.rules.model import Rule

RULES: tuple[Rule, ...] = (add_constraint.RULE, add_unique.RULE)
