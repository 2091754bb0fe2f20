"""The step kinds, one a file, and the list of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from migrator import documents
from migrator.errors import NeedsHuman
from migrator.plan import Plan, Step
from migrator.steps.contract import StepKind
from migrator.steps.kinds import analyze_tables, backfill, constraint, create_index, drop_index, gate, reindex, sql
from migrator.steps.recipe import WritableKind

STEPS: tuple[StepKind, ...] = (sql, create_index, drop_index, reindex, constraint, backfill, analyze_tables, gate)
"""In the order in which the documentation lists them."""

WRITABLE: tuple[WritableKind, ...] = (create_index, drop_index, reindex, constraint, backfill, analyze_tables)
"""Those whose steps `migrator new` writes."""


def kind_named(name: str) -> StepKind:
    """:raises NeedsHuman: the plan or the ledger comes from an engine that knows more."""
    for kind in STEPS:
        if name == kind.KIND:
            return kind
    raise NeedsHuman(f"there is a step of kind {name!r}, which this engine does not know; upgrade it")


def kind_of(step: Step) -> StepKind:
    return kind_named(step.kind)


def irreversible(plan: Plan) -> bool:
    """Without a rollback script the only way out is forward, unless the kinds of all steps undo themselves."""
    return not plan.rollback_steps and any(kind_of(step).UNDONE_BY_SCRIPT for step in plan.steps)


def parameters_of(kind: StepKind, parameters: Mapping[str, Any]) -> Any:
    """The kind's own dataclass from its JSON form. :raises ValueError: a field is missing or has the wrong shape."""
    return documents.from_dict(kind.PARAMETERS, parameters)


def reads_file(kind: StepKind) -> bool:
    return "file" in kind.PARAMETERS.__dataclass_fields__


def describe(step: Step) -> str:
    """One line for people: what this step will do and how it can be interrupted."""
    return kind_of(step).describe(step)
