"""The step kinds, one a file, and the list of them."""

from __future__ import annotations

from typing import Protocol

from migrator.errors import NeedsHuman
from migrator.plan import Step, StepKind
from migrator.steps.context import StatementResult, StepContext
from migrator.steps.kinds import create_index, sql


class StepModule(Protocol):
    """What every step kind offers."""

    KIND: StepKind

    def describe(self, step: Step) -> str: ...

    def execute(self, step: Step, ctx: StepContext) -> tuple[StatementResult, ...]: ...


STEPS: tuple[StepModule, ...] = (sql, create_index)
"""In the order in which the documentation lists them."""


def kind_of(step: Step) -> StepModule:
    for module in STEPS:
        if step.kind == module.KIND:
            return module
    raise NeedsHuman(f"step {step.name!r} is of kind {step.kind!r}, which this engine does not know; upgrade it")


def describe(step: Step) -> str:
    """One line for people: what this step will do and how it can be interrupted."""
    return kind_of(step).describe(step)
