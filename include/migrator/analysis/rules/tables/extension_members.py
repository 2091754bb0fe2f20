"""What an extension is told to own, or to own no longer."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.spots import Spot
from migrator.parsing.nodes import enum
from migrator.plan import Severity

ADD = 1
"""AlterExtensionContentsStmt.action; DROP is -1."""


def check(spot: Spot) -> Iterator[Hit]:
    kind = enum(spot.node, "objtype").removeprefix("OBJECT_").lower().replace("_", " ")
    name = spot.node.extname
    if spot.node.action == ADD:
        yield Hit(
            f"a {kind} becomes a part of the extension {name}: no backup has it from then on, nor its rows, and DROP"
            " EXTENSION drops it"
        )
    else:
        yield Hit(
            f"a {kind} is no part of the extension {name} any more: a restore makes it by itself, and again with CREATE"
            " EXTENSION"
        )


RULE = Rule(
    id="extension-member",
    severity=Severity.WARNING,
    condition="ALTER EXTENSION ... ADD or DROP of an object",
    effect="pg_dump leaves out what an extension owns, and its rows: a restored database lacks them",
    alternative="leave the members of an extension to its own scripts: ALTER EXTENSION ... UPDATE",
    without_sql="always: nothing takes its place",
    source=DOCS + "sql-alterextension.html",
    spot=check,
    kinds=("AlterExtensionContentsStmt",),
    in_rollback=True,
)
