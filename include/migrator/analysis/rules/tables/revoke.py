"""REVOKE."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import find
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    tree = subject.statement.tree
    if tree.is_grant:
        return
    if subject.statement.name == "grant_stmt":
        relations = [subject.world.name(item) for item in find(tree, "RangeVar")]
        if relations and all(subject.world.is_certainly_new(name) for name in relations):
            return
    yield Hit("whoever loses the privilege fails with 42501 from this moment on, running sessions included")


RULE = Rule(
    id="revoke",
    severity=Severity.INFO,
    condition="REVOKE of a privilege or a role",
    effect="statements of the roles concerned fail at once",
    alternative="see in pg_stat_statements or the log who still needs it, before it is taken away",
    source=DOCS + "sql-revoke.html",
    statement=check,
    on=("grant_stmt", "grant_role_stmt"),
)
