"""Rules about indexes."""

from __future__ import annotations

from migrator.analysis.rules.indexes import (
    concurrently_refused,
    corruption,
    create_index,
    drop_index,
    dropped_first,
    hash_index,
    hidden_invalid,
    reindex,
    rename_as_table,
    wide_index,
)
from migrator.analysis.rules.model import Rule

RULES: tuple[Rule, ...] = (
    create_index.RULE,
    concurrently_refused.RULE,
    hidden_invalid.RULE,
    corruption.RULE,
    drop_index.RULE,
    dropped_first.RULE,
    reindex.RULE,
    rename_as_table.RULE,
    hash_index.RULE,
    wide_index.RULE,
)
