"""REFRESH MATERIALIZED VIEW without CONCURRENTLY."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule, severity_by_size, size_text
from migrator.analysis.walk.subject import Subject
from migrator.parsing.build import script
from migrator.parsing.nodes import copy_of
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    tree, world = subject.statement.tree, subject.world
    view = world.name(tree.relation)
    if tree.concurrent or tree.skip_data or world.is_new(view):
        return
    facts = world.relation(view)
    if facts is not None and not facts.populated:
        return  # nobody can read it before either
    able = facts is not None and any(
        item.unique and item.valid and item.predicate is None and not item.expressions for item in facts.indexes
    )
    node = copy_of(subject.statement.node)
    node.refresh_mat_view_stmt.concurrent = True
    need = "" if able else "; CONCURRENTLY needs a unique index on plain columns"
    need += " (whether there is one, a connection would tell)" if facts is None else ""
    yield Hit(
        f"nobody can read {view}{size_text(subject, view)} while its query runs{need}",
        severity=severity_by_size(subject, view),
        alternative_sql=script((node,)) if able else None,
    )


RULE = Rule(
    id="refresh-materialized-view",
    severity=Severity.WARNING,
    condition="REFRESH MATERIALIZED VIEW of a view that holds data, without CONCURRENTLY",
    effect="ACCESS EXCLUSIVE lock on the view for as long as its query runs",
    alternative="REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index, lets everybody read",
    without_sql="without a unique index on plain columns and without WHERE: CONCURRENTLY fails then (55000), and"
    " which columns are unique in the view's query only its author knows. Such an index can be created"
    " CONCURRENTLY before",
    source=DOCS + "sql-refreshmaterializedview.html",
    aliases=("pgfence:refresh-materialized-view", "pgsafe:refresh-materialized-view"),
    statement=check,
    on=("refresh_mat_view_stmt",),
)
