"""What a rule is: data for people and for the reference page, and one function that looks at a statement or a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from migrator.effects import Effects, World
from migrator.plan import Severity
from migrator.statements import ParsedFile, ParsedStatement

DOCS = "https://www.postgresql.org/docs/current/"

SMALL_ROWS = 10_000
"""Work on so few rows takes milliseconds: nobody notices."""
LARGE_ROWS = 1_000_000
"""Work on so many rows takes from a second to hours: it must not happen under a lock that blocks."""


@dataclass(frozen=True)
class Subject:
    """One statement with its surroundings, as rules see it."""

    statement: ParsedStatement
    effects: Effects
    world: World
    """What is known before the statement runs."""
    transactional: bool
    """Whether it will share one transaction with the other statements of its step."""
    earlier: tuple[Subject, ...] = ()
    """The statements before it in the same step."""
    nested: bool = False
    """Found inside a DO block: runs there, at a place that the analyser does not follow in detail."""


@dataclass(frozen=True)
class Script:
    """One SQL file that runs as one step, and the role it has."""

    parsed: ParsedFile
    subjects: tuple[Subject, ...]
    transactional: bool
    rollback: bool = False
    transaction_wanted: bool | None = None
    """The metadata's `transaction`."""


@dataclass(frozen=True)
class Whole:
    """The migration as a whole: for rules about what is missing."""

    scripts: tuple[Script, ...]
    rollback: Script | None
    has_metadata: bool
    """False for a bare SQL file, which has no rollback script beside it."""


@dataclass(frozen=True)
class Hit:
    message: str
    severity: Severity | None = None
    """None: the rule's own."""
    help: str | None = None
    alternative_sql: str | None = None
    subject: Subject | None = None
    """For rules about a file: the statement to point at."""


StatementCheck = Callable[[Subject], Iterator[Hit]]
ScriptCheck = Callable[[Script], Iterator[Hit]]
WholeCheck = Callable[[Whole], Iterator[Hit]]


@dataclass(frozen=True)
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
    aliases: tuple[str, ...] = ()
    """What other tools call it: "squawk:...", "eugene:...", "strong_migrations:..."."""
    statement: StatementCheck | None = None
    script: ScriptCheck | None = None
    whole: WholeCheck | None = None
    in_rollback: bool = False
    """Whether it looks at rollback scripts, too."""
    versions: str = "all"
    on: tuple[str, ...] = ()
    """Parse-tree names of the statements that `statement` looks at ("index_stmt"), so that it is not called for others;
    () is every statement."""


def rows_of(subject: Subject, relation: str) -> int | None:
    """Estimated rows of a relation, its partitions included; None when nobody knows."""
    facts = subject.world.relation(relation)
    if facts is None:
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
