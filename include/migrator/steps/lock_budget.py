"""What a plan may keep others from: which strong locks, on what, and for how long its time-outs let it. Pure.

The budget is of a phase's transaction, or of a statement that runs outside of one. Each statement may take its
statement_timeout, from the first that takes a strong lock on; what is deferred until COMMIT may take it once more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from migrator.frozen import frozen
from migrator.plan import Plan, PredictedLock, Statement, Step
from migrator.steps.contract import end_of, phases_of, start_of
from migrator.steps.holding import strong
from migrator.steps.kinds import kind_of, reads_file

CONCURRENTLY = "CONCURRENTLY"
"""The end of the kinds that run without time-outs: what they hold long keeps neither readers nor writers waiting."""


@frozen
class Budget:
    """Of one transaction of a step. `locks`: the strongest of each object that keeps writers waiting."""

    step: str
    line: int
    """Of its first statement that takes one."""
    locks: tuple[PredictedLock, ...]
    seconds: float | None
    """The longest hold; None: the plan sets no statement_timeout, so that nothing ends it."""
    queue_seconds: float
    """The longest stand in the queue for one of them: lock_timeout."""
    known: bool = True
    """False: a statement of it may lock more than anybody can say before it runs."""


def budgets_of(plan: Plan) -> tuple[Budget, ...]:
    """In the order in which they are held; those of a plan that keeps nobody waiting are none."""
    return tuple(budget for step in plan.steps for part in _transactions(step) for budget in _budget(plan, step, part))


def _transactions(step: Step) -> Iterator[Sequence[Statement]]:
    """The statements that one COMMIT makes take effect."""
    kind = kind_of(step)
    together = not kind.ONE_BY_ONE and not reads_file(kind)
    for phase in phases_of(step):
        part = step.statements[start_of(step, phase) : end_of(step, phase)]
        if step.transactional or (together and phase.needs_window):
            yield part
        else:
            yield from ((one,) for one in part)


def _budget(plan: Plan, step: Step, part: Sequence[Statement]) -> Iterator[Budget]:
    first = next((at for at, one in enumerate(part) if strong(one.locks) or not one.known), None)
    if first is None:
        return
    held = part[first:]
    bounded = plan.statement_timeout_ms and not any(one.kind.endswith(CONCURRENTLY) for one in held)
    yield Budget(
        step.name,
        held[0].line,
        strong(lock for one in held for lock in one.locks),
        (len(held) + 1) * plan.statement_timeout_ms / 1000 if bounded else None,
        plan.lock_timeout_ms / 1000,
        all(one.known for one in held),
    )
