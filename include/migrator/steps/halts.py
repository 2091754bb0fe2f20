"""Where a failure can stop a migration between nothing and all: its rollback script then meets what is there.

After each step, in a step that is no transaction after each statement, and within one that changes rows in batches: all
places between its first batch and its last are one. Steps that undo themselves do not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from migrator.frozen import frozen
from migrator.ledger.rows import LedgerStep, took_effect
from migrator.plan import Plan, Step
from migrator.steps.contract import IN_BATCHES, end_of, phases_of
from migrator.steps.kinds import backfill, kind_of

COMMITS_BY_ITSELF = ("CALL", "DO")
"""When one of these fails outside a transaction, nobody knows what of it is there."""


@frozen
class Halt:
    """The last step of which something took effect, and how many of its statements."""

    step: str
    statements: int
    of: int
    doubtful: bool = False
    """The next one may have done a part of its work."""
    part: bool = False
    """The next one has changed a part of its rows: a number of whole batches."""

    @property
    def key(self) -> str:
        if self.part:
            return f"{self.step}:part"
        return self.step if self.statements == self.of else f"{self.step}:{self.statements}"

    @property
    def name(self) -> str:
        return self.key.replace(":", "_")

    def __str__(self) -> str:
        if self.part:
            return f"part-way through step {self.step!r}"
        if self.doubtful:
            return f"within statement {self.statements + 1} of step {self.step!r}"
        if self.statements == self.of:
            return f"after step {self.step!r}"
        return f"after statement {self.statements} of step {self.step!r}"


def halts_of(plan: Plan) -> tuple[Halt, ...]:
    """In their order, without nothing and all. Pure."""
    steps = [step for step in plan.steps if kind_of(step).UNDONE_BY_SCRIPT]
    found = [halt for step in steps for halt in _halts(step)]
    return tuple(found[:-1])


def _halts(step: Step) -> Iterator[Halt]:
    of = len(step.statements)
    if step.kind == backfill.KIND:
        yield Halt(step.name, 0, of, part=True)
    for done in _commits(step):
        yield Halt(step.name, done, of)


def _commits(step: Step) -> Sequence[int]:
    if step.transactional:
        return [end_of(step, phase) for phase in phases_of(step)]
    return range(1, len(step.statements) + 1)


def cut(plan: Plan, halt: Halt) -> Plan:
    """The plan as far as it got; what stops part-way through a step has all of it. Pure."""
    place = [step.name for step in plan.steps].index(halt.step)
    last = plan.steps[place]
    if halt.statements < halt.of and not halt.part:
        last = replace(last, statements=last.statements[: halt.statements], phases=())
    return replace(plan, steps=(*plan.steps[:place], last))


def halted(plan: Plan, rows: Sequence[LedgerStep]) -> Halt | None:
    """Where it stopped, by the ledger; None: nothing took effect that the script undoes, or all did. Pure."""
    known: Mapping[str, LedgerStep] = {row.step: row for row in rows if took_effect(row)}
    steps = [step for step in plan.steps if kind_of(step).UNDONE_BY_SCRIPT]
    found = [_halt(step, known[step.name]) for step in steps if step.name in known]
    there = [halt for halt in found if halt.statements or halt.doubtful or halt.part]
    if not there or (len(found) == len(steps) and there[-1].key == steps[-1].name):
        return None
    return there[-1]


def _halt(step: Step, row: LedgerStep) -> Halt:
    state = row.cursor.get("state") if row.statements_done < len(step.statements) else None
    failed = state in ("intent", "failed")
    doubtful = failed and row.cursor.get("kind") in COMMITS_BY_ITSELF
    return Halt(step.name, row.statements_done, len(step.statements), doubtful, part=state == IN_BATCHES)
