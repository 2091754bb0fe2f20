"""Statements that run as somebody else."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.privileges import settings
from migrator.analysis.walk.spots import Spot
from migrator.plan import Severity

WHO = ("role", "session_authorization")


def check(spot: Spot) -> Iterator[Hit]:
    for change in settings.changes(spot):
        if change.name in WHO:
            yield Hit(
                "what comes after it runs as the role that has logged in, whatever the target's policy says"
                if change.back
                else "what comes after it runs as another role than the one that reviewers were told"
            )


RULE = Rule(
    id="acts-as-another-role",
    severity=Severity.WARNING,
    condition="SET ROLE, RESET ROLE, SET SESSION AUTHORIZATION, set_config() of either, also as a clause of a function"
    " or in the body of one",
    effect="the statements after it have the rights of somebody else",
    alternative="name the role in the target: it applies to all migrations, and the review shows it",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "sql-set-role.html",
    spot=check,
    kinds=settings.KINDS,
    in_rollback=True,
)
