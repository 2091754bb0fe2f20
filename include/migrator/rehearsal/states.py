"""Notes what the schema is like on the clone at each moment at which an attempt may end on the target."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from migrator.database.schema import Schema
from migrator.database.schema_diff import Change, diff, patch
from migrator.database.session import Endpoint
from migrator.database.vocabulary import Vocabulary
from migrator.evidence import RehearsedState
from migrator.gates.rehearsed import Reached, code_of
from migrator.plan import Plan
from migrator.steps.meanwhile import Meanwhile, digests
from migrator.steps.piecewise import may_commit

Written = Callable[[], Collection[str]]
"""What was written to the catalog since it was asked before."""


class States:
    """A `tracing.Watch`."""

    def __init__(
        self,
        read: Callable[[], Schema],
        reached: Callable[[], Reached | None],
        *,
        before: Schema,
        start: Schema,
        known: Vocabulary,
        written: Written = tuple,
    ) -> None:
        """
        :param read: the clone's schema, which was `before` before anything was applied.
        :param reached: how far the plan is applied, by the clone's ledger.
        :param start: the schema of the target.
        :param written: on the clone.
        """
        self._read, self._reached, self._start, self._known, self._written = read, reached, start, known, written
        self._before, self._last = before.portable, start.portable
        self._found: list[RehearsedState] = []

    def went_on(self) -> None:
        reached = self._reached()
        if reached is None:
            return
        now = patch(self._start, diff(self._before, self._read().portable)).portable
        changes = diff(self._last, now).changes
        told = tuple((one.kind, one.name, one.after, one.part_of) for one in changes if self._may_be_told(one))
        self._last = now
        code, written = code_of(now).fingerprint, digests(self._written())
        self._found.append(RehearsedState(reached.step, reached.done, now.fingerprint, code, told, written))

    def taken(self) -> tuple[RehearsedState, ...]:
        """Those since it was asked before."""
        found, self._found = tuple(self._found), []
        return found

    def _may_be_told(self, change: Change) -> bool:
        texts = (change.name, change.after or "", change.part_of or "")
        return all(self._known.tell(text) == text for text in texts)


@contextmanager
def written_since(endpoint: Endpoint, plan: Plan) -> Iterator[Written]:
    """Of a plan with a procedure that may commit by itself: of all else the gates know without it what is its own."""
    if not any(may_commit(statement) for step in plan.steps for statement in step.statements):
        yield tuple
        return
    with Meanwhile(endpoint) as meanwhile:
        yield meanwhile.begin_anew
