"""Rules about columns: adding them, changing their type, their default and their NOT NULL."""

from __future__ import annotations

from migrator.rules.columns import add_column, alter_type, set_not_null
from migrator.rules.model import Rule

RULES: tuple[Rule, ...] = (add_column.RULE, alter_type.RULE, set_not_null.RULE)
