"""Rules about the transaction, its timeouts, and the migration as a whole."""

from __future__ import annotations

from migrator.analysis.rules.model import Rule
from migrator.analysis.rules.transaction import (
    enum_value,
    held_during_work,
    lock_order,
    lock_timeout,
    mixed_transaction,
    needs_transaction,
    nesting,
    no_rollback,
    not_analysed,
    not_in_transaction,
    old_transactions,
    parameter,
    set_local,
    standby_queries,
    state_left,
    text_reading,
    timeout_concurrently,
    timeout_late,
    transaction_control,
    validate_at_once,
    will_fail,
    wraparound_vacuum,
)

RULES: tuple[Rule, ...] = (
    transaction_control.RULE,
    text_reading.RULE,
    parameter.RULE,
    will_fail.RULE,
    nesting.RULE,
    not_in_transaction.RULE,
    needs_transaction.RULE,
    mixed_transaction.RULE,
    held_during_work.RULE,
    validate_at_once.RULE,
    lock_order.RULE,
    enum_value.RULE,
    set_local.RULE,
    state_left.RULE,
    lock_timeout.RULE,
    timeout_late.RULE,
    timeout_concurrently.RULE,
    old_transactions.RULE,
    wraparound_vacuum.RULE,
    standby_queries.RULE,
    not_analysed.RULE,
    no_rollback.RULE,
)
