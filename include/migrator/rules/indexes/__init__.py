"""Rules about indexes."""

from __future__ import annotations

from migrator.rules.indexes import create_index, drop_index
from migrator.rules.model import Rule

RULES: tuple[Rule, ...] = (create_index.RULE, drop_index.RULE)
