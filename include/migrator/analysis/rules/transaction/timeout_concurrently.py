"""A timeout that would cut off CREATE INDEX CONCURRENTLY and its like."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.setting_time import limits
from migrator.analysis.walk.subject import Subject
from migrator.parsing.build import build, script
from migrator.plan import Severity

TIMEOUTS = ("lock_timeout", "statement_timeout", "transaction_timeout")
LEFTOVERS = {
    "CREATE INDEX CONCURRENTLY": "an INVALID index, which every write maintains and no query uses",
    "DROP INDEX CONCURRENTLY": "an INVALID index, which every write still maintains",
    "ALTER TABLE DETACH PARTITION CONCURRENTLY": "a partition that is half detached until DETACH ... FINALIZE",
}


def check(subject: Subject) -> Iterator[Hit]:
    kind = subject.statement.kind
    if "CONCURRENTLY" not in kind or not subject.effects.waits_for_old_transactions:
        return
    found = limits({name: item.value for name, item in subject.settings.items()}, *TIMEOUTS)
    if not found:
        return
    left = LEFTOVERS.get(kind, "INVALID indexes with names that end in _ccnew or _ccold")
    values = " and ".join(f"{name} = {value}" for name, value in found.items())
    yield Hit(
        f"{values}, set in this file, can stop {kind} half way: it waits for every old transaction and reads the table"
        f" twice, and leaves behind {left}",
        alternative_sql=None if subject.nested else _alternative(subject, found),
    )


def _alternative(subject: Subject, found: dict[str, str]) -> str:
    off = [build("SET par = 0", par=name) for name in found]
    return script((*off, subject.statement.node, *(build("RESET par", par=name) for name in found)))


RULE = Rule(
    id="timeout-kills-concurrently",
    severity=Severity.WARNING,
    condition="lock_timeout, statement_timeout or transaction_timeout set before a CONCURRENTLY statement in the file",
    effect="cut off by a timeout (55P03, 57014) it leaves an INVALID index or a half detached partition behind",
    alternative="set the timeouts to 0 for this statement; it blocks nobody while it waits",
    without_sql="inside of a function or DO block, which is to be changed itself",
    source=DOCS + "sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY",
    statement=check,
    in_rollback=True,
)
