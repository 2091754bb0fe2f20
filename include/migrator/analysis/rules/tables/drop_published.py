"""DROP of a table that a publication names: the next table of that name is not in it."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.effects.objects.indexes import dotted_names
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import enum
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    tree = subject.statement.tree
    if enum(tree, "remove_type") != "OBJECT_TABLE":
        return
    for name in dotted_names(tree, subject.world):
        facts = subject.world.relation(name)
        if facts is not None and facts.publications:
            which = ", ".join(facts.publications)
            yield Hit(f"table {name} is in publication {which}: it is taken out of it, with its row filter and columns")


RULE = Rule(
    id="drop-published-table",
    severity=Severity.WARNING,
    condition="DROP TABLE of a table that a publication lists, also of one that has got another name before",
    effect="its subscribers get no more rows, and no error; a table that takes its name is in no publication, and"
    " neither the dry run nor a rollback puts it back, because copies have no publications",
    alternative="add the new table to the publication in the same migration (ALTER PUBLICATION ... ADD TABLE, with its"
    " row filter and columns), and let the subscribers refresh; in the rollback likewise",
    without_sql="always: only the author knows whether, and with which rows and columns, the new table shall be in it",
    source=DOCS + "sql-alterpublication.html",
    statement=check,
    in_rollback=True,
    on=("drop_stmt",),
)
