"""The rules of the analyser, in the order in which their findings are shown. One rule a file; the tuple is explicit."""

from __future__ import annotations

import functools

from migrator.rules import (
    add_column,
    add_constraint,
    add_unique,
    alter_type,
    create_index,
    drop_index,
    drop_object,
    mixed_transaction,
    no_rollback,
    not_in_transaction,
    rename,
    set_not_null,
    transaction_control,
    truncate,
    validate_at_once,
    without_where,
)
from migrator.rules.model import Rule

RULES: tuple[Rule, ...] = (
    transaction_control.RULE,
    not_in_transaction.RULE,
    mixed_transaction.RULE,
    create_index.RULE,
    drop_index.RULE,
    add_column.RULE,
    alter_type.RULE,
    set_not_null.RULE,
    add_constraint.RULE,
    validate_at_once.RULE,
    add_unique.RULE,
    drop_object.RULE,
    truncate.RULE,
    without_where.RULE,
    rename.RULE,
    no_rollback.RULE,
)

BY_ID = {rule.id: rule for rule in RULES}


@functools.cache
def rules_on(statement: str, *, rollback: bool) -> tuple[Rule, ...]:
    """The rules that look at statements of this parse-tree name ("index_stmt"), in their order."""
    return tuple(
        rule
        for rule in RULES
        if rule.statement is not None
        and (not rule.on or statement in rule.on)
        and (rule.in_rollback or not rollback)
    )


__all__ = ["BY_ID", "RULES", "Rule", "rules_on"]
