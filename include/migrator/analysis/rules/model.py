"""What a rule is: data for people and for the reference page, and one function that looks at a statement or a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from migrator.analysis.walk.script import Script, Whole
from migrator.analysis.walk.spots import Spot
from migrator.analysis.walk.subject import Subject
from migrator.frozen import frozen
from migrator.plan import Severity, Suggestion

DOCS = "https://www.postgresql.org/docs/current/"

SMALL_ROWS = 10_000
"""Work on so few rows takes milliseconds: nobody notices."""
LARGE_ROWS = 1_000_000
"""Work on so many rows takes from a second to hours: it must not happen under a lock that blocks."""


@frozen
class Hit:
    message: str
    severity: Severity | None = None
    """None: the rule's own."""
    help: str | None = None
    alternative_sql: str | None = None
    subject: Subject | None = None
    """For rules about a file: the statement to point at."""
    suggestion: Suggestion | None = None
    """A step for the migration's metadata, beside the statement."""
    steps: tuple[Suggestion, ...] = ()
    """Steps for the migration's metadata, in the place of all of the statement."""
    part: int | None = None
    """Which subcommand, or which column of a CREATE TABLE, it is about, as they are written; None: all of it."""
    place: tuple[int, int] | None = None
    """Line and column, for what is no statement that runs."""


StatementCheck = Callable[[Subject], Iterator[Hit]]
SpotCheck = Callable[[Spot], Iterator[Hit]]
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
    spot: SpotCheck | None = None
    kinds: tuple[str, ...] = ()
    """Types of the messages that `spot` looks at ("FuncCall"), wherever they stand."""
    script: ScriptCheck | None = None
    whole: WholeCheck | None = None
    in_rollback: bool = False
    """Whether it looks at rollback scripts, too."""
    versions: str = "all"
    allowable: bool = True
    """False: nobody can take responsibility for it, and in a rollback script it is an error as well."""
    explains: tuple[str, ...] = ()
    """SQLSTATEs of failures that it reports itself, with advice: `may-fail` leaves them to it."""
    predicts: bool = False
    """It foretells that a server refuses the statement. Only a server knows, so that is never more than a warning."""
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
