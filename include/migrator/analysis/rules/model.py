"""What a rule is: data for people and for the reference page, and one function that looks at a statement or a file."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import field
from typing import Any

from migrator.analysis.effects import Effects, World
from migrator.analysis.effects.model import merged
from migrator.analysis.walk.lock_order import LockOrder
from migrator.analysis.walk.timeline import Timeline, timeline_of
from migrator.analysis.walk.transactions import Held, Issue, Setting, State
from migrator.frozen import frozen
from migrator.parsing.routines import Fault, Gap
from migrator.parsing.statements import ParsedFile, ParsedStatement
from migrator.plan import Severity

DOCS = "https://www.postgresql.org/docs/current/"

SMALL_ROWS = 10_000
"""Work on so few rows takes milliseconds: nobody notices."""
LARGE_ROWS = 1_000_000
"""Work on so many rows takes from a second to hours: it must not happen under a lock that blocks."""


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


@frozen
class Hit:
    message: str
    severity: Severity | None = None
    """None: the rule's own."""
    help: str | None = None
    alternative_sql: str | None = None
    subject: Subject | None = None
    """For rules about a file: the statement to point at."""
    part: int | None = None
    """Which subcommand, or which column of a CREATE TABLE, it is about, as they are written; None: all of it."""


StatementCheck = Callable[[Subject], Iterator[Hit]]
ScriptCheck = Callable[[Script], Iterator[Hit]]
WholeCheck = Callable[[Whole], Iterator[Hit]]


@frozen
class Rule:
    """`condition`, `effect` and `alternative` are shown to people and make up the reference page."""

    id: str
    severity: Severity
    """The usual one; a hit may have another, because of what the catalog says."""
    condition: str
    effect: str
    alternative: str
    source: str
    """Page of the PostgreSQL documentation, with the anchor."""
    without_sql: str = ""
    """When a warning of it comes without SQL, and why there is none to offer; "" when each of them has SQL."""
    aliases: tuple[str, ...] = ()
    """What other tools call it: "squawk:...", "eugene:...", "strong_migrations:..."."""
    statement: StatementCheck | None = None
    script: ScriptCheck | None = None
    whole: WholeCheck | None = None
    in_rollback: bool = False
    """Whether it looks at rollback scripts, too."""
    versions: str = "all"
    explains: tuple[str, ...] = ()
    """SQLSTATEs of failures that it reports itself, with advice: `will-fail` leaves them to it."""
    on: tuple[str, ...] = ()
    """Parse-tree names of the statements that `statement` looks at ("index_stmt"), so that it is not called for others;
    () is every statement."""
    subtypes: tuple[str, ...] = ()
    """Of ALTER TABLE, the subcommands that it looks at ("AT_AddColumn"): likewise; () is all of them."""


def rows_of(subject: Subject, relation: str) -> int | None:
    """Estimated rows of a relation, its partitions included; None when nobody knows."""
    facts = subject.world.relation(relation)
    if facts is None or any(subject.world.made_by(name) for name in (relation, *facts.partitions)):
        return None
    leaves = (subject.world.relation(name) for name in facts.partitions)
    return max(0, facts.rows) + sum(max(0, leaf.rows) for leaf in leaves if leaf)


def severity_by_size(subject: Subject, relation: str) -> Severity:
    """Small tables are no problem, large ones must not be blocked, unknown ones are worth a look."""
    rows = rows_of(subject, relation)
    if rows is None:
        return Severity.WARNING
    if rows < SMALL_ROWS:
        return Severity.INFO
    return Severity.ERROR if rows >= LARGE_ROWS else Severity.WARNING


def size_text(subject: Subject, relation: str) -> str:
    """ " (about 1,200,000 rows)", or "" when unknown."""
    rows = rows_of(subject, relation)
    return "" if rows is None else f" (about {rows:,} rows)"
