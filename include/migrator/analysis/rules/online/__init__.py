"""The same change without a lock that blocks: an ALTER TABLE as steps, each of which lets everybody work.

`safely` answers for a whole statement, so that its alternative is clean whichever of its parts was found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from migrator.analysis.rules.alteration import Alteration, alterations
from migrator.analysis.rules.online.columns import add_column
from migrator.analysis.rules.online.constraints import add_constraint, enforced, set_not_null, validated
from migrator.analysis.rules.online.indexes import moved_index
from migrator.analysis.rules.online.retype import alter_type, set_expression
from migrator.analysis.rules.online.steps import Steps
from migrator.analysis.walk.subject import Subject

Handler = Callable[[Alteration], "Steps | None"]

HANDLERS: Mapping[str, Handler] = {
    "AT_AddColumn": add_column,
    "AT_AlterColumnType": alter_type,
    "AT_SetExpression": set_expression,
    "AT_AlterConstraint": enforced,
    "AT_SetTableSpace": moved_index,
    "AT_SetNotNull": set_not_null,
    "AT_AddConstraint": add_constraint,
    "AT_ValidateConstraint": validated,
}


def safely(subject: Subject) -> str | None:
    """The whole ALTER TABLE as migrations that block nobody; None when one of its parts has no such way."""
    if "safely" not in subject.memo:
        subject.memo["safely"] = _composed(subject)
    found: str | None = subject.memo["safely"]
    return found


def _composed(subject: Subject) -> str | None:
    total = Steps()
    for item in alterations(subject):
        handler = HANDLERS.get(item.subtype)
        steps = handler(item) if handler is not None else None if item.heavy else Steps(expand=(item.alone,))
        if steps is None:
            return None
        total += steps
    return total.script()
