"""What every step kind offers. A kind is one file of `kinds/`, its test, and one line in `STEPS`.

Kinds are loaded where metadata is read and DAGs are built, so nothing here or at the top of a kind loads the driver:
what executes is imported in the functions that execute.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Protocol

from migrator.frozen import frozen
from migrator.plan import Phase, Plan, Statement, Step

if TYPE_CHECKING:
    from migrator.database.session import Connection
    from migrator.ledger.rows import LedgerStep
    from migrator.parsing.statements import ParsedFile, ParsedStatement
    from migrator.problems import Problem
    from migrator.steps.context import StatementResult, StepContext


IN_BATCHES = "batches"
"""State of a step's cursor: a part of the rows of its statement is changed."""

UNDO = "undo"
"""In the parameters that a plan has of a step: what a rollback sends for each of its statements, where the kind says so
beforehand. Each is {"statement": position within the step, "sql": text}."""


@frozen
class Written:
    """A step as its author wrote it: its statements, parsed and with their effects, and its parameters."""

    name: str
    parsed: Sequence[ParsedStatement]
    statements: tuple[Statement, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """The kind's parameters in their JSON form."""


class StepKind(Protocol):
    """A module of `kinds/`."""

    KIND: str
    """As the metadata and the ledger write it."""
    SUMMARY: str
    """What such a step does, in the words of DAG docs and reference."""
    PARAMETERS: type[Any]
    """A frozen dataclass whose fields are all `described`. With a field `file` the step runs an SQL file."""
    ONE_BY_ONE: bool
    """True: it never has two statements in one transaction. False: of what it makes from its parameters, each phase
    that needs the window is one."""
    UNDONE_BY_SCRIPT: bool
    """True: what it did is undone by the migration's rollback script. False: by its own `undo`."""

    def contradictions(self, parameters: Any) -> Iterator[tuple[str, str, str | None]]:
        """Parameters that do not go together: key, what is wrong, hint."""

    def sql(self, parameters: Any, major: int | None = None) -> str:
        """The SQL of a kind that reads no file: analysed, shown to the reviewers and in the digest like a file's.
        Empty for a kind that reads one.

        :param major: of the server that it is for; None is not known, and what the migration's digest is made of."""

    def problems(self, parsed: ParsedFile) -> Iterator[Problem]:
        """What the kind cannot carry out of the SQL of its file."""

    def plan(self, written: Written) -> Step:
        """The step of the plan, with its phases; each has its statements and says whether it needs the window."""

    def describe(self, step: Step) -> str:
        """One line: what this step will do and how it can be interrupted."""

    def execute(self, step: Step, phase: Phase, ctx: StepContext) -> tuple[StatementResult, ...]:
        """Carry one phase out, from where the ledger's cursor stands; when it returns, the ledger says that the
        statements of the phase are done, after the last phase that the step is.

        :raises StatementFailed: recorded by the caller. A kind asks no gates: the caller does, before each phase."""

    def verify(self, step: Step, conn: Connection) -> tuple[str, ...] | None:
        """What is not as it should be once the migration is applied; None when there is nothing to look at."""

    def undo(self, step: Step, row: LedgerStep, ctx: StepContext, conn: Connection) -> tuple[StatementResult, ...]:
        """Undo it, on `conn`, from any point that the ledger's row records; asked only where UNDONE_BY_SCRIPT is False.
        Twice is the same as once."""

    def leftovers(self, step: Step, conn: Connection) -> tuple[str, ...]:
        """Statements that remove what an interrupted attempt has left behind and nobody uses.

        What a kind makes on the way (triggers, functions, tables, slots) it names by `names.helper_name` and registers
        with the ledger: in the transaction that makes it, or before a statement that commits by itself; and takes out
        of the registry where it drops it. What is registered the janitor finds when the migration is over, disables and
        drops, in the order trigger, function, table. `Helper.needed` says that the next attempt goes on with it: then
        nobody touches it until the migration is applied or rolled back. What is not needed may be gone when the next
        attempt comes, and a trigger may be disabled: then it begins anew."""


def one_phase(step: Step, *, needs_window: bool = True) -> Step:
    """`step` with all its statements in one phase."""
    return replace(step, phases=(Phase("run", len(step.statements), needs_window),))


def phases_of(step: Step) -> tuple[Phase, ...]:
    """Of a plan that an older engine made: one phase."""
    return step.phases or (Phase("run", len(step.statements)),)


def lasts(plan: Plan) -> bool:
    """Whether some of it needs no window: it may take longer than one, while others go on with their work."""
    return any(not phase.needs_window for step in plan.steps for phase in phases_of(step))


def undoing(step: Step) -> tuple[str, ...]:
    """What a rollback of the whole step sends, in its order, as far as the plan says it."""
    back = step.params.get(UNDO, ())
    return tuple(item["sql"] for item in sorted(back, key=lambda item: -int(item["statement"])))


def end_of(step: Step, phase: Phase) -> int:
    """How many leading statements of the step are done when this phase is."""
    phases = phases_of(step)
    return sum(one.statements for one in phases[: phases.index(phase) + 1])


def start_of(step: Step, phase: Phase) -> int:
    return end_of(step, phase) - phase.statements
