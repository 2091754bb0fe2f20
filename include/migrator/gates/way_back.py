"""What the rehearsal has seen of the rollback from the place where a migration stopped. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from migrator.evidence import Verdict
from migrator.gates.drift import Start
from migrator.ledger.rows import LedgerStep
from migrator.plan import Plan
from migrator.steps.halts import halted

NOT_KEPT = (
    "the evidence of the dry run by which it was applied is gone, or was made again since, so nobody can tell whether"
    " the rollback would do what was rehearsed. look at what the script would do, and undo by hand what is there"
)


def unrehearsed(start: Start, plan: Plan, rows: Sequence[LedgerStep]) -> str:
    """The script may copy back what was not yet copied, so it must have been tried from where the migration stopped."""
    halt = halted(plan, rows)
    if halt is None or start.halfway is None:
        return ""
    tried = None if halt.doubtful else start.halfway.get(halt.key)
    if tried is not None and tried[0] == Verdict.PASSED:
        return ""
    why = tried[1] if tried is not None else "not tried"
    return (
        f"the migration stopped {halt}, and nobody has seen the rollback script give back from there what was before"
        f" ({why}). look at what the script would do: go on with the migration, or undo what is there by hand and"
        f' say so with "migrator ledger repair {plan.version}"'
    )


def takes(start: Start, plan: Plan, rows: Sequence[LedgerStep]) -> Collection[str] | None:
    """See `evidence.TAKES`; None: the rehearsal has not noted it."""
    halt = halted(plan, rows)
    return (start.takes or {}).get(halt.key if halt is not None else "")
