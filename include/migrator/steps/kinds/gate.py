"""Step kind `gate`: between two steps, waits for a person's answer or for a condition to hold.

What stands before it is applied and stays; others may use the database, and be migrated beside it where its reach
allows that. Nothing of it is in the database but its row in the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from migrator.frozen import frozen
from migrator.input.described import described
from migrator.input.durations import DURATION_PATTERN, parse_duration
from migrator.plan import GATE, Phase, Step
from migrator.steps.contract import Written, one_phase

if TYPE_CHECKING:
    from migrator.database.session import Connection
    from migrator.ledger.rows import LedgerStep
    from migrator.parsing.statements import ParsedFile
    from migrator.problems import Problem
    from migrator.steps.context import StatementResult, StepContext

KIND = GATE
SUMMARY = "waits for a person's answer, or until a condition holds, without a worker"
ONE_BY_ONE = True
UNDONE_BY_SCRIPT = False

WANTED = "is not a duration: write it like '2 days' or '90s'"
LONGEST_QUESTION = 1000
SHORTEST_SECONDS = 5.0


@frozen
class Parameters:
    condition: str | None = described(
        "One query, as in `verify`, that gives one boolean: the gate opens when it is true.", default=None
    )
    question: str | None = described(
        "What a person is asked who may review on the target; `Yes` opens the gate, `No` fails the step.", default=None
    )
    expires: str = described(
        "How long it may stay shut, such as `2 days`. Then the step fails, and what is applied stays.",
        default="7 days",
        pattern=DURATION_PATTERN,
        wanted=WANTED,
    )
    every: str | None = described(
        "How often the condition is looked at. Default: `1 minute`.",
        default=None,
        pattern=DURATION_PATTERN,
        wanted=WANTED,
    )


PARAMETERS = Parameters


def contradictions(parameters: Parameters) -> Iterator[tuple[str, str, str | None]]:
    one_of_both = "write one of the two, and the other into a gate of its own beside it"
    if parameters.condition is not None and parameters.question is not None:
        yield "question", "stands beside 'condition'", one_of_both
    if parameters.condition is None and parameters.question is None:
        yield "kind", "a gate waits for something, and this one has neither 'condition' nor 'question'", one_of_both
    for key in ("condition", "question"):
        text = getattr(parameters, key)
        if text is not None and not text.strip():
            yield key, "is empty", None
    if parameters.question is not None and len(parameters.question) > LONGEST_QUESTION:
        yield "question", f"is longer than {LONGEST_QUESTION} characters", "longer text belongs into 'notes'"
    if parameters.question is not None and parameters.every is not None:
        yield "every", "has no meaning beside 'question'", "a person is asked once"
    lengths = {}
    for key in ("expires", "every"):
        text = getattr(parameters, key)
        try:
            lengths[key] = parse_duration(text).total_seconds() if text is not None else None
        except ValueError as exc:
            yield key, str(exc), None
            return
        if (seconds := lengths[key]) is not None and seconds < SHORTEST_SECONDS:
            yield key, f"is less than {SHORTEST_SECONDS:.0f} seconds", None
    expires, every = lengths["expires"], lengths["every"]
    if expires is not None and every is not None and every > expires:
        yield "every", "is longer than 'expires'", "it would be looked at once, and then once more at its end"


def sql(parameters: Parameters, major: int | None = None) -> str:
    """The condition is judged, rehearsed and shown as a statement."""
    return parameters.condition or ""


def problems(parsed: ParsedFile) -> Iterator[Problem]:
    yield from ()


def plan(written: Written) -> Step:
    """It needs no window: it changes nothing. What comes after it is asked about the window anew."""
    step = Step(written.name, KIND, False, written.statements, dict(written.parameters))
    return one_phase(step, needs_window=False)


def describe(step: Step) -> str:
    from migrator.steps import gating

    return f"waits for {gating.waited_for(step)}, for at most {step.params['expires']}; others work meanwhile"


def execute(step: Step, phase: Phase, ctx: StepContext) -> tuple[StatementResult, ...]:
    """:raises GateClosed, GateRefused, GateExpired: see `gating.execute`."""
    from migrator.steps import gating

    return gating.execute(step, ctx)


def verify(step: Step, conn: Connection) -> tuple[str, ...] | None:
    """What was true when it opened need not be so afterwards."""
    return None


def undo(step: Step, row: LedgerStep, ctx: StepContext, conn: Connection) -> tuple[StatementResult, ...]:
    return ()


def leftovers(step: Step, conn: Connection) -> tuple[str, ...]:
    return ()
