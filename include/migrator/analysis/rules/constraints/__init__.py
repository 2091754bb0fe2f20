"""Rules about constraints of tables and of domains."""

from __future__ import annotations

from migrator.analysis.rules.constraints import (
    add_check,
    add_exclusion,
    add_foreign_key,
    add_not_null,
    add_unique,
    domain_constraint,
    drop_foreign_key,
    enforced,
    foreign_key_index,
    foreign_key_partitioned,
    foreign_key_types,
    primary_key_nullable,
)
from migrator.analysis.rules.model import Rule

RULES: tuple[Rule, ...] = (
    add_check.RULE,
    add_not_null.RULE,
    add_foreign_key.RULE,
    foreign_key_partitioned.RULE,
    foreign_key_index.RULE,
    foreign_key_types.RULE,
    drop_foreign_key.RULE,
    add_unique.RULE,
    primary_key_nullable.RULE,
    add_exclusion.RULE,
    enforced.RULE,
    domain_constraint.RULE,
)
