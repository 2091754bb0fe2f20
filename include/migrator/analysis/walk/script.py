"""One SQL file that runs as one step, and the migration as a whole."""

from __future__ import annotations

import functools

from migrator.analysis.effects import World
from migrator.analysis.walk.lock_order import LockOrder
from migrator.analysis.walk.subject import Subject
from migrator.analysis.walk.timeline import Timeline, timeline_of
from migrator.analysis.walk.transactions import Issue
from migrator.frozen import frozen
from migrator.parsing.routines import Body, Fault, Gap
from migrator.parsing.statements import ParsedFile, ParsedStatement


@frozen
class Called:
    """A body of the catalog's that a statement runs: a function that it calls, or a trigger's."""

    body: Body
    caller: ParsedStatement
    world: World


@frozen
class Script:
    """One SQL file that runs as one step, and the role it has."""

    parsed: ParsedFile
    subjects: tuple[Subject, ...]
    transactional: bool
    rollback: bool = False
    transaction_wanted: bool | None = None
    """The metadata's `transaction`."""
    issues: tuple[Issue, ...] = ()
    """Transaction commands that do not do what they say."""
    gaps: tuple[Gap, ...] = ()
    """What runs but was not analysed; offsets in `parsed.text`."""
    faults: tuple[Fault, ...] = ()
    """Bodies that the server refuses."""
    called: tuple[Called, ...] = ()
    """Bodies that stand in no file, as often as they run."""

    def everything(self) -> tuple[Subject, ...]:
        """All statements in the order in which they run, those inside of others included."""
        return self._everything

    @functools.cached_property
    def _everything(self) -> tuple[Subject, ...]:
        return tuple([found for subject in self.subjects for found in subject.with_inner()])

    @functools.cached_property
    def timeline(self) -> Timeline:
        """What is held while what runs."""
        return timeline_of(self.everything())


@frozen
class Whole:
    """The migration as a whole: for rules about what is missing."""

    scripts: tuple[Script, ...]
    rollback: Script | None
    has_metadata: bool
    """False for a bare SQL file, which has no rollback script beside it."""

    pending: tuple[LockOrder, ...] = ()
    """In which order other migrations that wait to be applied lock relations."""

    @property
    def all_scripts(self) -> tuple[Script, ...]:
        return (*self.scripts, *((self.rollback,) if self.rollback else ()))
