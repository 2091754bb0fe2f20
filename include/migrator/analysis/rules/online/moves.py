"""What a column has beside values and indexes, moved to a second column: foreign keys, the sequence of a serial."""

from __future__ import annotations

from migrator.analysis.rules.alteration import Alteration
from migrator.analysis.rules.names import object_name
from migrator.analysis.rules.online.expressions import constraint_of
from migrator.analysis.rules.online.steps import Steps
from migrator.facts.facts import ColumnFacts, RelationFacts
from migrator.frozen import frozen
from migrator.parsing.build import build, parts_of, range_var
from migrator.parsing.nodes import Node, copy_of


@frozen
class References:
    """The foreign keys of a column."""

    before: Steps
    """The same ones on the second column, NOT VALID and then validated."""
    finish: tuple[Node, ...]
    """They take the old ones' names."""


def moved_references(alteration: Alteration, facts: RelationFacts, old: str, new: str) -> References | None:
    """None where one cannot be made again."""
    before, finish = Steps(), []
    for item in facts.constraints:
        if item.kind != "f" or old not in item.columns:
            continue
        name = object_name(item.name, "", "new")
        made = constraint_of(item.definition, name)
        if made is None or item.inherited or not item.enforced:
            return None
        for columns in (made.fk_attrs, made.fk_del_set_cols):
            for column in columns:
                if column.string.sval == old:
                    column.string.sval = new
        made.skip_validation, made.initially_valid = True, False
        table = alteration.relation
        add = build("ALTER TABLE tbl ADD CONSTRAINT con CHECK (true)", tbl=table, con=made)
        validate = build("ALTER TABLE tbl VALIDATE CONSTRAINT con", tbl=table, con=name)
        before += Steps(refer=(add,), validate=(validate,) if item.validated else ())
        finish.append(build("ALTER TABLE tbl RENAME CONSTRAINT con TO name", tbl=table, con=name, name=item.name))
    return References(before, tuple(finish))


def moved_sequences(alteration: Alteration, column: ColumnFacts, new: str) -> tuple[Node, ...]:
    """A sequence that the column owns would be dropped with it: it gets the second column for its owner."""
    found = []
    for name in column.sequences:
        facts = alteration.world.relation(name)
        if facts is None or facts.owned_by == alteration.table:
            owner = (*parts_of(alteration.relation), new)
            found.append(build("ALTER SEQUENCE seq OWNED BY own", seq=copy_of(range_var(name)), own=owner))
    return tuple(found)


def is_referenced(alteration: Alteration, facts: RelationFacts, column: str) -> bool:
    """Whether foreign keys may point to the column: True when those are not known."""
    for name in facts.referenced_by:
        other = facts if name == facts.name else alteration.world.relation(name)
        for item in other.constraints if other is not None else ():
            if item.kind == "f" and item.referenced == facts.name:
                index = next((one for one in facts.indexes if one.name == item.index), None)
                if index is None or column in index.columns:
                    return True
        if other is None:
            return True
    return False
