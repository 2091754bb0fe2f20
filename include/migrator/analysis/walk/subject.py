"""One statement with its surroundings."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import field
from typing import Any

from migrator.analysis.effects import Effects, World
from migrator.analysis.effects.model import merged
from migrator.analysis.walk.transactions import Held, Setting, State
from migrator.frozen import frozen
from migrator.parsing.statements import ParsedStatement


@frozen
class Subject:
    """One statement with its surroundings, as rules see it."""

    statement: ParsedStatement
    effects: Effects
    world: World
    """What is known before the statement runs."""
    transactional: bool
    """Whether it will share one transaction with the other statements of its step."""
    previous: Subject | None = None
    """The statement before it in the same step."""
    state: State | None = None
    """What the session has when the statement begins: its transaction, held locks, settings."""
    inner: tuple[Subject, ...] = ()
    """What runs inside of it: the statements of a DO block, of a function that it calls, of a trigger."""
    nested: bool = False
    """Whether it runs inside of another statement."""
    conditional: bool = False
    """Inside IF, CASE or an exception handler: it may not run."""
    looped: bool = False
    """Inside a loop: it may run many times."""
    step_kind: str | None = None
    """Of the step that sends it; None for a bare file, a rollback script, and what runs inside of another statement."""
    memo: dict[Hashable, Any] = field(default_factory=dict, init=False, compare=False, repr=False)
    """What rules have worked out about the statement, so that the next rule need not."""

    @property
    def earlier(self) -> tuple[Subject, ...]:
        """The statements before it in the same step, in their order."""
        found = []
        subject = self.previous
        while subject is not None:
            found.append(subject)
            subject = subject.previous
        return tuple(reversed(found))

    @property
    def transaction(self) -> int:
        """Statements with the same number share a transaction."""
        return self.state.transaction if self.state else 0

    @property
    def held(self) -> tuple[Held, ...]:
        """Locks that earlier statements of its transaction took and that are held while it runs."""
        return self.state.held if self.state else ()

    @property
    def settings(self) -> Mapping[str, Setting]:
        """What the file has set before it, by lower-case name."""
        return self.state.settings if self.state else {}

    @property
    def all_effects(self) -> Effects:
        """Its own and those of everything inside of it."""
        effects = self.effects
        for subject in self.inner:
            effects = merged(effects, subject.all_effects)
        return effects

    def with_inner(self) -> Iterator[Subject]:
        """The statement, then what runs inside of it."""
        yield self
        for subject in self.inner:
            yield from subject.with_inner()
