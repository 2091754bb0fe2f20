"""What the rows of steps claim to be done, and whether the chain of events tells of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from migrator.ledger import states
from migrator.ledger.rows import LedgerEvent, LedgerMigration, LedgerStep, MigrationStatus, StepStatus
from migrator.plan import GATE

DONE = "done"
"""Key of the detail of `repair`: by step the attempts of those that a person has found done, or left so."""
SUCCEEDED = "step_succeeded"


class Claims:
    """Follows the events and remembers what they tell of the last attempt of each step."""

    def __init__(self) -> None:
        self._begun: dict[tuple[str, str], int] = {}
        """Attempts that nothing has ended. The row of one that commits with its work is there before its event."""
        self._done: dict[tuple[str, str], int] = {}
        self._vouched: set[str] = set()
        """Versions for which a person has answered to an engine that did not note the steps."""

    def watch(self, events: Iterable[LedgerEvent]) -> Iterator[LedgerEvent]:
        for event in events:
            if event.version is not None:
                self._note(event, event.version)
            yield event

    def _note(self, event: LedgerEvent, version: str) -> None:
        told = event.detail
        step = (version, str(told.get("step")))
        if event.kind == "step_started":
            self._begun[step] = told["attempt"]
        elif event.kind == SUCCEEDED:
            self._done[step] = told["attempt"]
        elif event.kind in ("step_failed", "step_rolled_back"):
            self._begun.pop(step, None)
        elif event.kind == "repair":
            self._forget(version)
            self._done |= {(version, name): attempt for name, attempt in told.get(DONE, {}).items()}
            if DONE not in told:
                self._vouched.add(version)
        if event.kind == "step_rolled_back":
            self._done.pop(step, None)
        if event.kind != "repair" and told.get(states.STATUS) == MigrationStatus.ROLLED_BACK:
            self._forget(version)

    def _forget(self, version: str) -> None:
        self._vouched.discard(version)
        for known in (self._begun, self._done):
            for step in [one for one in known if one[0] == version]:
                del known[step]

    def problems(self, steps: Iterable[LedgerStep]) -> Iterator[str]:
        """Steps that are done by their rows alone."""
        for row in steps:
            step = (row.version, row.step)
            known = [self._done.get(step), self._begun.get(step) if row.kind != GATE else None]
            if row.status is StepStatus.SUCCESS and row.attempts not in known and row.version not in self._vouched:
                yield (
                    f"step {row.step} of {row.version} is done, but no event tells that attempt {row.attempts} has"
                    " succeeded: changed by hand"
                )


def passed(events: Iterable[LedgerEvent], row: LedgerMigration, attempts: Mapping[str, int]) -> dict[str, LedgerEvent]:
    """By step the event that tells of its last attempt in the row's run, by the row's plan; whoever has written it.

    :param events: of the version, oldest first.
    """
    found: dict[str, LedgerEvent] = {}
    for event in events:
        told = event.detail
        if told.get(states.STATUS) == MigrationStatus.ROLLED_BACK:
            found.clear()
        if event.kind != SUCCEEDED or (event.run_id, told.get("plan_digest")) != (row.run_id, row.plan_digest):
            continue
        if told.get("attempt") == attempts.get(str(told.get("step"))):
            found[str(told["step"])] = event
    return found


def not_passed(version: str, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(
        f"gate {name!r} of {version} counts as passed by its row alone: no event says so that was written with the"
        " password that this connection has now. the password was changed since, or somebody has changed the row; look"
        f' who, then "migrator ledger repair {version} --status failed --reason ...", and it is waited at anew'
        for name in names
    )
