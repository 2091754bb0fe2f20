"""Statements that run as somebody else."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.privileges.calls import calls, first_text
from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import enum
from migrator.plan import Severity

WHO = ("role", "session_authorization")


def check(subject: Subject) -> Iterator[Hit]:
    tree = subject.statement.tree
    if subject.statement.name == "variable_set_stmt":
        if str(tree.name).lower() in WHO:
            leaves = enum(tree, "kind") in ("VAR_RESET", "VAR_SET_DEFAULT")
            yield Hit(
                "what comes after it runs as the role that has logged in, whatever the target's policy says"
                if leaves
                else "what comes after it runs as another role than the one that reviewers were told"
            )
        return
    for name, call in calls(subject):
        if name == "set_config" and first_text(call).lower() in WHO:
            yield Hit("what comes after it runs as another role than the one that reviewers were told")


RULE = Rule(
    id="acts-as-another-role",
    severity=Severity.WARNING,
    condition="SET ROLE, RESET ROLE, SET SESSION AUTHORIZATION, set_config() of either",
    effect="the statements after it have the rights of somebody else",
    alternative="name the role in the target: it applies to all migrations, and the review shows it",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "sql-set-role.html",
    statement=check,
    in_rollback=True,
)
