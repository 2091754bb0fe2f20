"""SET LOGGED, UNLOGGED, TABLESPACE, ACCESS METHOD: the table is written anew."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.alteration import alterations
from migrator.analysis.rules.model import DOCS, Hit, Rule, size_text
from migrator.analysis.rules.online import safely
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity

MOST_NAMED = 3
"""Relations of ALL IN TABLESPACE that a finding names."""
WORDS = {
    "AT_SetLogged": "SET LOGGED",
    "AT_SetUnLogged": "SET UNLOGGED",
    "AT_SetTableSpace": "SET TABLESPACE",
    "AT_SetAccessMethod": "SET ACCESS METHOD",
}


def check(subject: Subject) -> Iterator[Hit]:
    if subject.statement.name == "alter_table_move_all_stmt":
        yield from _all_in_tablespace(subject)
        return
    for item in alterations(subject, *WORDS):
        if item.effects.rewrites or item.effects.indexes_rebuilt:
            loses = "; a crash empties an unlogged table, and standbys do not have it" if "UnL" in item.subtype else ""
            yield Hit(
                f"{WORDS[item.subtype]} writes {item.table}{item.size} anew; nobody can read or write it meanwhile"
                f"{loses}{'' if item.facts else ', unless it is stored so already, which needs a connection to know'}",
                severity=item.severity_of(assumed=item.facts is None),
                alternative_sql=safely(subject) if item.subtype == "AT_SetTableSpace" else None,
                part=item.position,
            )


def _all_in_tablespace(subject: Subject) -> Iterator[Hit]:
    effects = subject.effects
    moved = (*effects.rewrites, *effects.indexes_rebuilt)
    if moved or not effects.known:
        what = ", ".join(f"{name}{size_text(subject, name)}" for name in moved[:MOST_NAMED]) or "each that lies there"
        more = f" and {len(moved) - MOST_NAMED} more" if len(moved) > MOST_NAMED else ""
        yield Hit(f"ALL IN TABLESPACE writes {what}{more} anew; nobody can read or write them until the last is done")


RULE = Rule(
    id="storage-rewrites",
    severity=Severity.WARNING,
    condition="SET LOGGED, SET UNLOGGED, SET TABLESPACE, ALL IN TABLESPACE or SET ACCESS METHOD that changes something",
    effect="ACCESS EXCLUSIVE lock while the whole table, or its files, are written anew",
    alternative="a new table with the storage wanted, kept in step by a trigger and filled in batches; then swap names",
    without_sql="ALL IN TABLESPACE, SET LOGGED, SET UNLOGGED, SET ACCESS METHOD, and SET TABLESPACE of a table: the"
    " server has no way CONCURRENTLY. pg_repack --tablespace moves a table online; else a new table with the storage"
    " wanted, kept in step by a trigger, and a swap of names, or a window",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-DESC-SET-LOGGED-UNLOGGED",
    aliases=("pgfence:set-logged-unlogged", "pgsafe:set-logged-unlogged", "pgsafe:set-access-method"),
    statement=check,
    on=("alter_table_stmt", "alter_table_move_all_stmt"),
    subtypes=tuple(WORDS),
    in_rollback=True,
)
