"""Rules about columns: adding them, changing their type, their default and their NOT NULL."""

from __future__ import annotations

from migrator.analysis.rules.columns import (
    add_column_check,
    add_column_default,
    add_column_domain,
    add_column_generated,
    add_column_identity,
    add_column_not_null,
    add_column_references,
    add_column_serial,
    add_column_unique,
    alter_collation,
    alter_type,
    alter_type_rechecks,
    alter_type_timezone,
    cached_plan,
    dependent_objects,
    drop_not_null,
    set_expression,
    set_not_null,
)
from migrator.analysis.rules.model import Rule

RULES: tuple[Rule, ...] = (
    add_column_default.RULE,
    add_column_serial.RULE,
    add_column_identity.RULE,
    add_column_generated.RULE,
    add_column_domain.RULE,
    add_column_check.RULE,
    add_column_unique.RULE,
    add_column_references.RULE,
    add_column_not_null.RULE,
    alter_type.RULE,
    alter_type_timezone.RULE,
    alter_collation.RULE,
    alter_type_rechecks.RULE,
    set_not_null.RULE,
    drop_not_null.RULE,
    set_expression.RULE,
    cached_plan.RULE,
    dependent_objects.RULE,
)
