"""Rows that leave the database by logical replication."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.spots import Spot
from migrator.parsing.nodes import enum
from migrator.plan import Severity


def check(spot: Spot) -> Iterator[Hit]:
    node = spot.node
    if type(node).__name__ == "AlterPublicationStmt" and enum(node, "action") == "AP_DropObjects":
        return
    if node.for_all_tables:
        yield Hit("the rows of all tables, those of tomorrow included, go to whoever subscribes")
    elif len(node.pubobjects):
        yield Hit("the rows of what it names go to whoever subscribes, past all rights on tables and all policies")


RULE = Rule(
    id="publishes-rows",
    severity=Severity.WARNING,
    condition="CREATE PUBLICATION of tables, ALTER PUBLICATION ... ADD, SET",
    effect="whoever may replicate from this database has the rows from now on",
    alternative="name the tables and columns that the subscriber needs: FOR TABLE t (columns) WHERE (...), from"
    " PostgreSQL 15 on",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "sql-createpublication.html",
    spot=check,
    kinds=("CreatePublicationStmt", "AlterPublicationStmt"),
    in_rollback=True,
)
