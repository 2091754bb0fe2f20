"""ACCESS EXCLUSIVE for a long time: standbys replay it, and their readers wait as well."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, SMALL_ROWS, Hit, Rule, rows_of, size_text
from migrator.analysis.walk.subject import Subject
from migrator.lock_modes import AX
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    around = subject.world.facts.surroundings if subject.world.facts is not None else None
    if around is None or not around.standbys:
        return
    effects = subject.effects
    work = [name for name in (*effects.rewrites, *effects.scans) if (rows_of(subject, name) or 0) >= SMALL_ROWS]
    locked = [lock.relation for lock in effects.locks if lock.mode == AX]
    locked += [item.relation for item in subject.held if item.mode == AX]
    if not work or not locked or subject.statement.name in ("truncate_stmt",):
        return
    standbys = "the standby" if around.standbys == 1 else f"the {around.standbys} standbys"
    yield Hit(
        f"queries of {', '.join(dict.fromkeys(locked))} on {standbys} wait, too, while {subject.statement.kind} works"
        f" on {work[0]}{size_text(subject, work[0])}; those that hold up replay longer than"
        " max_standby_streaming_delay are cancelled"
    )


RULE = Rule(
    id="blocks-standby-queries",
    severity=Severity.WARNING,
    condition="ACCESS EXCLUSIVE during a rewrite or a scan on a server with standbys",
    effect="the lock is replayed: reads on the standbys wait until the transaction ends, and replay waits for old ones",
    alternative="the alternative of the other finding on this statement: without the long lock nothing is replayed",
    without_sql="always: what waits is on other servers; raise max_standby_streaming_delay there for the window, or"
    " take what the statement's other findings offer",
    source=DOCS + "hot-standby.html#HOT-STANDBY-CONFLICT",
    statement=check,
)
