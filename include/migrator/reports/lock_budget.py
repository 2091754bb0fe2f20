"""What a plan may keep writers from, beside what its dry run did, for reviewers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from migrator import wording
from migrator.evidence import DryRunEvidence, HeldLock
from migrator.plan import Plan
from migrator.reports.markup import table
from migrator.steps.held_locks import rehearsed
from migrator.steps.lock_budget import Budget, budgets_of

NO_BOUND = "no bound: set statement_timeout"
MORE = "⚠️ "


def section(plan: Plan, dry_run: DryRunEvidence | None) -> str:
    """Empty where no writer has to wait. :param dry_run: None: there was none yet."""
    held = rehearsed(dry_run.extra) if dry_run is not None else ()
    rows = list(_rows(budgets_of(plan), held, ran=dry_run is not None))
    if not rows:
        return ""
    why = (
        "What keeps writers waiting, how long the time-outs let it, and how long it was held on the copy, where we look"
        " at each statement meanwhile; a hold counts from before it is queued for. In the queue it stands for"
        " lock_timeout at most, "
        f"{wording.seconds(plan.lock_timeout_ms / 1000)} a try."
    )
    head = ("Step", "Line", "May hold", "At most", "Held on the copy")
    return f"## Lock budget\n\n{why}\n\n" + table(head, rows, solid=(1, 3))


def _rows(budgets: Iterable[Budget], held: Iterable[HeldLock], *, ran: bool) -> Iterator[tuple[str, ...]]:
    left = list(held)
    for budget in budgets:
        names = {lock.relation for lock in budget.locks}
        mine = [one for one in left if one.step == budget.step and (one.relation in names or not budget.known)]
        left = [one for one in left if one not in mine]
        locks = [f"{lock.mode} on {lock.relation}" for lock in budget.locks]
        locks += [] if budget.known else ["what cannot be foretold"]
        most = NO_BOUND if budget.seconds is None else wording.seconds(budget.seconds)
        said = "; ".join(_held(one, budget) for one in mine)
        yield budget.step, str(budget.line), ", ".join(locks), most, said or ("not seen" if ran else "-")
    for one in left:
        yield one.step, "-", f"{MORE}nothing was foretold", "-", _held(one, None)


def _held(one: HeldLock, budget: Budget | None) -> str:
    over = budget is not None and budget.seconds is not None and one.seconds > budget.seconds
    return f"{MORE if over else ''}{one.mode} on {one.relation}: {wording.seconds(one.seconds)}"
