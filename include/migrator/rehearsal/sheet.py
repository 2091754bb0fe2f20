"""The checks of a rehearsal, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from migrator.errors import EnvironmentFault, MigratorError, TransientError
from migrator.evidence import Check, Verdict
from migrator.plan import Plan
from migrator.rehearsal.checks import not_reached
from migrator.steps.context import StepHandle


@dataclass
class Sheet:
    plan: Plan = field(kw_only=True)
    handle: StepHandle = field(default_factory=StepHandle, kw_only=True)
    checks: list[Check] = field(default_factory=list, kw_only=True)
    error: MigratorError | None = field(default=None, kw_only=True)
    """The first failure of the SQL itself."""

    def timed(self, name: str, work: Callable[[], str]) -> bool:
        """One thing that the SQL must be able to do. What a retry may mend, and a lost server, are not its failure."""
        started = time.monotonic()
        try:
            detail = work()
        except (TransientError, EnvironmentFault):
            raise
        except MigratorError as exc:
            if self.handle.cancelled:
                raise
            self.error = self.error or exc
            self.checks.append(Check(name, Verdict.FAILED, str(exc), time.monotonic() - started))
            return False
        self.checks.append(Check(name, Verdict.PASSED, detail, time.monotonic() - started))
        return True

    def timed_check(self, work: Callable[[], Check]) -> None:
        started = time.monotonic()
        check = work()
        self.checks.append(Check(check.name, check.verdict, check.detail, time.monotonic() - started))

    def not_reached(self, *names: str, reason: str = "not reached") -> None:
        self.checks += not_reached(self.plan, names, reason)
