"""Keys that four bytes will not hold for ever."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.style.definitions import STATEMENTS, SUBTYPES, definitions, retyped
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity

BETTER = {
    "int2": "bigint",
    "int4": "bigint",
    "smallserial": "bigserial",
    "serial2": "bigserial",
    "serial": "bigserial",
    "serial4": "bigserial",
}


def check(subject: Subject) -> Iterator[Hit]:
    for item in definitions(subject):
        better = BETTER.get(item.type)
        if better is not None and (better == "bigserial" or item.is_key):
            most = "32,767" if item.type in ("int2", "smallserial", "serial2") else "2,147,483,647"
            yield Hit(
                f"{item.table}.{item.name} numbers rows and ends at {most}; to widen it later rewrites the table",
                alternative_sql=retyped(item, better),
                part=item.place[1],
            )


RULE = Rule(
    id="prefer-bigint",
    severity=Severity.INFO,
    condition="a key (serial, identity, primary key, id, *_id) of type integer or smallint",
    effect="once the numbers are used up, INSERT fails; the way out is a rewrite of this table and of all that refer to"
    " it",
    alternative="use bigint: four more bytes a row",
    source=DOCS + "datatype-numeric.html#DATATYPE-INT",
    aliases=("squawk:prefer-bigint-over-int", "squawk:prefer-bigint-over-smallint", "squawk:prefer-big-int"),
    on=STATEMENTS,
    subtypes=SUBTYPES,
    statement=check,
)
