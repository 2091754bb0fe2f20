"""The rollback from where a failure can stop the migration: there its script meets another state than after all of it,
and may copy back what nobody has copied yet."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from migrator.backups.trial import Trial
from migrator.errors import Cancelled, MigratorError
from migrator.evidence import HALFWAY, TAKES, Check, Verdict
from migrator.plan import OnFailure, Plan, Step
from migrator.steps.halts import Halt, halts_of
from migrator.steps.kinds import irreversible

MOST = 20
"""So many states are tried."""
LEAST_SECONDS, MOST_SECONDS = 60.0, 600.0
"""For how long new ones are begun: as long as the whole apply took, but within these. Each begins from the start."""
MOST_BATCHES, MOST_BATCHES_SECONDS = 20, 30.0
"""A step that works in batches is stopped after so many, or so long, where half of its rows take more."""
CURE = (
    "write the rollback script so that it is right from there, too, or put what belongs together into one step that is"
    " a transaction; or say on_failure: hold"
)
CURE_IN_BATCHES = (
    "write the rollback script so that it changes back the rows that are done and no other, as by a column in which the"
    " step says so"
)
NOT_BACK = "the rollback does not give back what was there"
UNDIVIDED = "on the copy all that it changes is one batch, which is done or not: there is nothing half-way"


@dataclass(frozen=True)
class Result:
    halt: Halt
    verdict: Verdict
    """UNVERIFIED: a person has to decide there."""
    detail: str = ""
    clean: bool = False
    """The clone is as it was before."""
    takes: tuple[str, ...] = ()
    """See `evidence.TAKES`."""


@dataclass
class Stop:
    """Stops a step that works in batches when about half of its rows are changed, at least one batch is committed, and
    at least one is not: as if that one had failed."""

    halt: Halt
    batches: int = 0
    told: str = ""
    """How far it was when it was stopped."""
    began: float = field(default_factory=time.monotonic)
    """The first batch."""

    def of(self, step: Step) -> Callable[[int, int, int | None], None] | None:
        """For `StepContext.stops`."""
        return self._before_commit if self.halt.part and step.name == self.halt.step else None

    @property
    def missed(self) -> bool:
        return self.halt.part and not self.told

    def reached(self, work: Callable[[], str]) -> str:
        """What `work` says, or that it was stopped."""
        try:
            return work()
        except Cancelled:
            if not self.told:
                raise
            return self.told

    def _before_commit(self, before: int, rows: int, of: int | None) -> None:
        """Half of all is too much only for a batch that is not the first."""
        if not before:
            self.began = time.monotonic()
        elif rows and self._is_enough(2 * (before + rows) > (of or 0)):
            self.told = f"after {before:,} of {of or 0:,} rows"
            raise Cancelled("the rehearsal stops it here, to try the rollback from there: this is no failure")
        self.batches += rows > 0

    def _is_enough(self, half: bool) -> bool:
        return half or self.batches >= MOST_BATCHES or time.monotonic() - self.began > MOST_BATCHES_SECONDS


def wanted(plan: Plan) -> bool:
    """Whether anything is undone without a person, by a script."""
    return plan.on_failure is not OnFailure.HOLD and bool(plan.rollback_steps) and not irreversible(plan)


def rehearse(
    plan: Plan,
    apply_seconds: float,
    trials: Callable[[], AbstractContextManager[Trial]],
    tried: Callable[[Halt, Trial], Result],
) -> tuple[Result, ...]:
    """Each state on a clone that is as the original; of all that can be, also of those that were left out.

    :param trials: makes a fresh clone.
    """
    halts, found = halts_of(plan), list[Result]()
    end = time.monotonic() + min(MOST_SECONDS, max(LEAST_SECONDS, apply_seconds))

    def more() -> bool:
        return len(found) < min(len(halts), MOST) and time.monotonic() < end

    while more():
        with trials() as trial:
            found.append(tried(halts[len(found)], trial))
            while found[-1].clean and more():
                found.append(tried(halts[len(found)], trial))
    return (*found, *(Result(halt, Verdict.UNVERIFIED, "not tried") for halt in halts[len(found) :]))


def judged(halt: Halt, checks: Sequence[Check], takes: Sequence[str] = (), told: str = "") -> Result:
    """What apply itself dropped no script brings back, from there no more than after all of it. Pure."""
    wrong = [check for check in checks if check.verdict is Verdict.FAILED]
    if wrong:
        said = "; ".join(f"{check.name}: {check.detail}" for check in wrong)
        if halt.part:  # a retry goes on from there: nobody needs a way back that a person cannot decide about
            return Result(halt, Verdict.UNVERIFIED, f"{NOT_BACK}: {said}. {CURE_IN_BATCHES}")
        return Result(halt, Verdict.FAILED, said)
    clean = all(check.verdict is Verdict.PASSED for check in checks)
    return Result(halt, Verdict.PASSED, told, clean=clean, takes=tuple(takes))


def undivided(halt: Halt) -> Result:
    """It could not be stopped between two batches. Pure."""
    return Result(halt, Verdict.UNVERIFIED, UNDIVIDED)


def refused(halt: Halt, error: MigratorError | None) -> Result:
    """The script has failed and left what was there. Pure."""
    why = error.__cause__ or error if error is not None else ""
    return Result(halt, Verdict.UNVERIFIED, f"the script fails there and undoes nothing: {why}")


def checks_of(results: Sequence[Result]) -> tuple[Check, ...]:
    """One for each state from which the rollback is wrong, one for all others. Pure."""
    wrong = [one for one in results if one.verdict is Verdict.FAILED]
    found = [Check(f"rollback_from_{one.halt.name}", Verdict.FAILED, _told(one)) for one in wrong]
    passed = [one for one in results if one.verdict is Verdict.PASSED]
    good = [f"{one.halt} ({one.detail})" if one.detail else str(one.halt) for one in passed]
    held = [f"{one.halt}: {one.detail}" for one in results if one.verdict is Verdict.UNVERIFIED]
    said = [f"right {', '.join(good)}"] if good else []
    said += [f"held for a person {'; '.join(held)}"] if held else []
    if said:
        found.append(Check("rollback_halfway", Verdict.PASSED, "; ".join(said)))
    return tuple(found)


def _told(result: Result) -> str:
    return f"when it stops {result.halt}, {NOT_BACK}: {result.detail}. {CURE}"


def noted(results: Sequence[Result] | None, takes: Sequence[str] | None) -> dict[str, dict[str, list[str]]]:
    """For the evidence. Pure. :param takes: by the rollback after all of it; None: it was not reached."""
    found = {}
    if results is not None:
        found[HALFWAY] = {one.halt.key: [one.verdict.value, one.detail] for one in results}
    if takes is not None:
        passed = [one for one in results or () if one.verdict is Verdict.PASSED]  # of others nobody knows
        found[TAKES] = {"": list(takes), **{one.halt.key: list(one.takes) for one in passed}}
    return found
