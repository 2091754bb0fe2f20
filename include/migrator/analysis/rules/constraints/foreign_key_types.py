"""A foreign key between columns of different types."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.effects.types.types import from_node
from migrator.analysis.rules.alteration import Alteration, foreign_keys
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import Node, strings
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    for item, constraint in foreign_keys(subject):
        other = item.world.name(constraint.pktable)
        for name, key in zip(strings(constraint.fk_attrs), _keys(item, constraint, other), strict=False):
            mine, theirs = _type(item, name), item.world.column(other, key)
            if mine is None or theirs is None or _kind(mine) == _kind(theirs.type):
                continue
            narrower = _width(mine) < _width(theirs.type)
            yield Hit(
                f"{item.table}.{name} is {mine} and refers to {other}.{key}, which is {theirs.type}: "
                + ("keys that fit there will not fit here" if narrower else "each check converts one to the other"),
                severity=Severity.WARNING if narrower else Severity.INFO,
                part=item.position,
            )


def _kind(name: str) -> str:
    """text and varchar of any length hold the same values."""
    bare = name.partition("(")[0]
    return "text" if bare in ("text", "character varying") else bare


def _width(name: str) -> int:
    """Of integers; others are never called narrow."""
    return ("smallint", "integer", "bigint").index(name) if name in ("smallint", "integer", "bigint") else 9


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


RULE = Rule(
    id="foreign-key-type-mismatch",
    severity=Severity.WARNING,
    condition="ADD FOREIGN KEY between columns whose types differ, for example integer and bigint; needs a connection",
    effect="the smaller type overflows long before the larger one; comparing them converts, and may use no index",
    alternative="give both columns the same type first",
    without_sql="which of the two types is right is a decision; prefer-bigint and alter-column-type have the SQL for"
    " a change of either",
    source=DOCS + "ddl-constraints.html#DDL-CONSTRAINTS-FK",
    on=("alter_table_stmt",),
    subtypes=("AT_AddColumn", "AT_AddConstraint"),
    statement=check,
)
