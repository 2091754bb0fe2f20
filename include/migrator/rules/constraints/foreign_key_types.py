"""A foreign key between columns of different types."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.effects.types import from_node
from migrator.nodes import Node, strings
from migrator.plan import Severity
from migrator.rules.alteration import Alteration, foreign_keys
from migrator.rules.model import DOCS, Hit, Rule, Subject


def check(subject: Subject) -> Iterator[Hit]:
    for item, constraint in foreign_keys(subject):
        other = item.world.name(constraint.pktable)
        for name, key in zip(strings(constraint.fk_attrs), _keys(item, constraint, other), strict=False):
            mine, theirs = _type(item, name), item.world.column(other, key)
            if mine is not None and theirs is not None and _bare(mine) != _bare(theirs.type):
                yield Hit(
                    f"{item.table}.{name} is {mine} and refers to {other}.{key}, which is {theirs.type}: values"
                    " that fit one may not fit the other, and each check converts"
                )


def _type(item: Alteration, column: str) -> str | None:
    if item.subtype == "AT_AddColumn":
        return str(from_node(item.column_def.type_name))
    known = item.world.column(item.table, column)
    return known.type if known is not None else None


def _keys(item: Alteration, constraint: Node, other: str) -> tuple[str, ...]:
    """The referenced columns: as written, or those of the primary key."""
    written = strings(constraint.pk_attrs)
    facts = item.world.relation(other)
    if written or facts is None:
        return written
    return next((found.columns for found in facts.constraints if found.kind == "p"), ())


def _bare(name: str) -> str:
    return name.partition("(")[0]


RULE = Rule(
    id="foreign-key-type-mismatch",
    severity=Severity.WARNING,
    condition="ADD FOREIGN KEY between columns whose types differ, for example integer and bigint; needs a connection",
    effect="the smaller type overflows long before the larger one; comparing them converts, and may use no index",
    alternative="give both columns the same type first",
    source=DOCS + "ddl-constraints.html#DDL-CONSTRAINTS-FK",
    on=("alter_table_stmt",),
    statement=check,
)
