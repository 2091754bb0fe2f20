"""The rollback from where a failure can stop the migration: there its script meets another state than after all of it,
and may copy back what nobody has copied yet."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from migrator.backups.trial import Trial
from migrator.errors import MigratorError
from migrator.evidence import HALFWAY, TAKES, Check, Verdict
from migrator.plan import OnFailure, Plan
from migrator.steps.halts import Halt, halts_of
from migrator.steps.kinds import irreversible

MOST = 20
"""So many states are tried."""
LEAST_SECONDS, MOST_SECONDS = 60.0, 600.0
"""For how long new ones are begun: as long as the whole apply took, but within these. Each begins from the start."""
CURE = (
    "write the rollback script so that it is right from there, too, or put what belongs together into one step that is"
    " a transaction; or say on_failure: hold"
)


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


def judged(halt: Halt, checks: Sequence[Check], takes: Sequence[str] = ()) -> Result:
    """What apply itself dropped no script brings back, from there no more than after all of it. Pure."""
    wrong = [check for check in checks if check.verdict is Verdict.FAILED]
    if wrong:
        return Result(halt, Verdict.FAILED, "; ".join(f"{check.name}: {check.detail}" for check in wrong))
    clean = all(check.verdict is Verdict.PASSED for check in checks)
    return Result(halt, Verdict.PASSED, clean=clean, takes=tuple(takes))


def refused(halt: Halt, error: MigratorError | None) -> Result:
    """The script has failed and left what was there. Pure."""
    why = error.__cause__ or error if error is not None else ""
    return Result(halt, Verdict.UNVERIFIED, f"the script fails there and undoes nothing: {why}")


def checks_of(results: Sequence[Result]) -> tuple[Check, ...]:
    """One for each state from which the rollback is wrong, one for all others. Pure."""
    wrong = [one for one in results if one.verdict is Verdict.FAILED]
    found = [Check(f"rollback_from_{one.halt.name}", Verdict.FAILED, _told(one)) for one in wrong]
    good = [str(one.halt) for one in results if one.verdict is Verdict.PASSED]
    held = [f"{one.halt}: {one.detail}" for one in results if one.verdict is Verdict.UNVERIFIED]
    said = [f"right {', '.join(good)}"] if good else []
    said += [f"held for a person {'; '.join(held)}"] if held else []
    if said:
        found.append(Check("rollback_halfway", Verdict.PASSED, "; ".join(said)))
    return tuple(found)


def _told(result: Result) -> str:
    return f"when it stops {result.halt}, the rollback does not give back what was there: {result.detail}. {CURE}"


def noted(results: Sequence[Result] | None, takes: Sequence[str] | None) -> dict[str, dict[str, list[str]]]:
    """For the evidence. Pure. :param takes: by the rollback after all of it; None: it was not reached."""
    found = {}
    if results is not None:
        found[HALFWAY] = {one.halt.key: [one.verdict.value, one.detail] for one in results}
    if takes is not None:
        found[TAKES] = {"": list(takes), **{one.halt.key: list(one.takes) for one in results or ()}}
    return found
