"""varchar(n), whose limit is part of the type."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.style.definitions import STATEMENTS, SUBTYPES, Definition, definitions, retyped, type_node
from migrator.analysis.walk.subject import Subject
from migrator.parsing.build import build
from migrator.parsing.nodes import Node, assign
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    for item in definitions(subject):
        if item.type == "varchar" and len(item.node.type_name.typmods):
            limit = item.node.type_name.typmods[0].a_const.ival.ival
            yield Hit(
                f"{item.table}.{item.name}: the limit of varchar({limit}) can be raised at once, but to lower it"
                " rewrites the table",
                alternative_sql=_alternative(item, limit),
                part=item.place[1],
            )


def _alternative(item: Definition, limit: int) -> str:
    """A CHECK says the same and can be replaced online. Not for arrays, nor where the column is there already."""
    if item.is_array or not item.node.colname:
        return retyped(item, "text")

    def change(column: Node) -> None:
        template = build(f"ALTER TABLE t ADD COLUMN c text CHECK (length(col) <= {limit})", col=item.name)
        checked = getattr(template.alter_table_stmt.cmds[0].alter_table_cmd, "def").column_def
        assign(column.type_name, type_node("text"))
        column.constraints.extend(checked.constraints)

    return item.rewritten(change)


RULE = Rule(
    id="prefer-text",
    severity=Severity.INFO,
    condition="a column of type varchar(n)",
    effect="nothing breaks; text and varchar are stored alike, and only the limit is harder to change",
    alternative="use text, with a CHECK on the length where there must be a limit",
    source=DOCS + "datatype-character.html",
    aliases=("squawk:prefer-text-field",),
    on=STATEMENTS,
    subtypes=SUBTYPES,
    statement=check,
)
