"""Rules about the transaction, its timeouts, and the migration as a whole."""

from __future__ import annotations

from migrator.rules.model import Rule
from migrator.rules.transaction import (
    mixed_transaction,
    no_rollback,
    not_in_transaction,
    transaction_control,
    validate_at_once,
)

RULES: tuple[Rule, ...] = (
    transaction_control.RULE,
    not_in_transaction.RULE,
    mixed_transaction.RULE,
    validate_at_once.RULE,
    no_rollback.RULE,
)
