"""Code that runs at other DDL."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.spots import Spot
from migrator.parsing.nodes import enum
from migrator.plan import Severity


def check(spot: Spot) -> Iterator[Hit]:
    if spot.kind == "DropStmt":
        if enum(spot.node, "remove_type") == "OBJECT_EVENT_TRIGGER":
            yield Hit("what its function guards or writes down at every DDL is not done any more")
    elif spot.kind == "AlterEventTrigStmt" and spot.node.tgenabled == "D":
        yield Hit("what its function guards or writes down at every DDL is not done any more")
    else:
        yield Hit("its function runs at every later DDL of everybody, migrations included, with their rights")


RULE = Rule(
    id="makes-an-event-trigger",
    severity=Severity.WARNING,
    condition="CREATE, ALTER or DROP EVENT TRIGGER",
    effect="whoever owns the function decides what runs whenever anybody changes the schema",
    alternative="let the administrators of the server do it, apart from migrations",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "event-triggers.html",
    spot=check,
    kinds=("CreateEventTrigStmt", "AlterEventTrigStmt", "DropStmt"),
    in_rollback=True,
)
