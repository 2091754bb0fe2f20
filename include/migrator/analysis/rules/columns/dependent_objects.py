"""ALTER TABLE that fails because other objects depend on the column."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.alteration import alterations
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity

STATES = ("0A000", "2BP01")
WORK = {"AT_AlterColumnType": "changing the type of", "AT_DropColumn": "dropping"}


def check(subject: Subject) -> Iterator[Hit]:
    for item in alterations(subject, *WORK):
        failure = item.effects.fails
        if failure is None or failure.sqlstate not in STATES:
            continue
        views = ", ".join(
            view.name for view in (item.facts.views if item.facts else ()) if item.command.name in view.columns
        )
        yield Hit(
            f"{WORK[item.subtype]} {item.table}.{item.command.name} may fail with {failure.sqlstate}: {failure.message}"
            + (f" (views that read it: {views})" if views else ""),
            part=item.position,
        )


RULE = Rule(
    id="dependent-objects",
    severity=Severity.WARNING,
    condition="ALTER COLUMN TYPE or DROP COLUMN of a column that a view, rule, policy, trigger, generated column or"
    " publication uses; needs a connection",
    effect="as a rule fails with 0A000 or 2BP01; CASCADE would drop what depends on it, and its grants with it",
    alternative="in one transaction: drop what depends on the column, change it, create the same again with its owner,"
    " grants and comments",
    without_sql="always: the view, rule, policy or trigger has to be written anew by its author: drop it, change the"
    " column, create it again, in one migration",
    source=DOCS + "ddl-depend.html",
    explains=STATES,
    predicts=True,
    on=("alter_table_stmt",),
    subtypes=tuple(WORK),
    statement=check,
)
