"""The catalog, written by hand."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.spots import Spot
from migrator.parsing.nodes import Node, strings
from migrator.plan import Severity

MAKING = ("CreateStmt", "AlterTableStmt", "IndexStmt", "CreateTrigStmt", "RuleStmt", "ViewStmt")


def check(spot: Spot) -> Iterator[Hit]:
    for relation in _relations(spot):
        name = spot.world.name(relation)
        if name.startswith("pg_catalog."):
            # Without a connection pg_search_documents, an application's table, cannot be told from the server's own.
            certain = spot.world.facts is not None or relation.schemaname == "pg_catalog"
            yield Hit(
                f"{name} is the server's own: a wrong row there can make the database unusable, for ever",
                severity=None if certain else Severity.WARNING,
            )
    if spot.kind == "CreateFunctionStmt" and strings(spot.node.funcname)[:-1] == ("pg_catalog",):
        yield Hit(
            f"{'.'.join(strings(spot.node.funcname))}() would stand first in everybody's path",
            severity=Severity.WARNING,
        )


def _relations(spot: Spot) -> Iterator[Node]:
    node, kind = spot.node, spot.kind
    if kind == "TruncateStmt":
        yield from (item.range_var for item in node.relations)
    elif kind == "ViewStmt":
        yield node.view
    elif kind == "CopyStmt":
        if node.is_from and node.HasField("relation"):
            yield node.relation
    elif kind != "CreateFunctionStmt" and (kind not in MAKING or node.relation.schemaname == "pg_catalog"):
        yield node.relation


RULE = Rule(
    id="writes-the-catalog",
    severity=Severity.ERROR,
    condition="INSERT, UPDATE, DELETE, MERGE, COPY or TRUNCATE on a table of pg_catalog, ALTER of one, and what is made"
    " there",
    effect="nothing checks what is written; dumps do not carry it, so no restore proves it",
    alternative="use the statement that PostgreSQL has for it",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "catalogs.html",
    spot=check,
    kinds=(
        "InsertStmt",
        "UpdateStmt",
        "DeleteStmt",
        "MergeStmt",
        "CopyStmt",
        "TruncateStmt",
        "CreateFunctionStmt",
        *MAKING,
    ),
    in_rollback=True,
)
