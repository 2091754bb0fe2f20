"""Passwords in the text of a migration."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    for item in subject.statement.tree.options:
        if item.def_elem.defname == "password" and item.def_elem.arg.string.sval:
            yield Hit("a password stands here for everybody who reads the repository, the reviews and the server's log")


RULE = Rule(
    id="password-in-clear-text",
    severity=Severity.WARNING,
    condition="PASSWORD in CREATE or ALTER ROLE, or in the options of a user mapping or subscription",
    effect="the password is in the repository, in plans and evidence, and in the log of the server for ever",
    alternative="make the role without a password and set it by the way secrets go",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "sql-createrole.html",
    statement=check,
    on=("create_role_stmt", "alter_role_stmt", "create_user_mapping_stmt", "alter_user_mapping_stmt"),
    in_rollback=True,
)
