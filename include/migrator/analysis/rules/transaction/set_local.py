"""SET LOCAL where there is no transaction."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.parsing.build import script
from migrator.parsing.nodes import copy_of, enum
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    tree = subject.statement.tree
    if not tree.is_local or subject.transactional:
        return
    alternative = None
    if enum(tree, "kind") in ("VAR_SET_VALUE", "VAR_SET_DEFAULT"):
        lasting = copy_of(subject.statement.node)
        lasting.variable_set_stmt.is_local = False
        alternative = script((lasting,))
    yield Hit(
        f"SET LOCAL {tree.name} does nothing here: there is no transaction that it could be local to",
        alternative_sql=alternative,
    )


RULE = Rule(
    id="set-local-outside-transaction",
    severity=Severity.WARNING,
    condition="SET LOCAL outside of a transaction",
    effect="the server answers with a warning and keeps the old value: a timeout set this way protects nobody",
    alternative="SET without LOCAL, and RESET after the statements it is for",
    source=DOCS + "sql-set.html",
    statement=check,
    on=("variable_set_stmt",),
    in_rollback=True,
)
