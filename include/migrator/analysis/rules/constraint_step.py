"""The step of kind `constraint` that does what one subcommand of an ALTER TABLE says."""

from __future__ import annotations

from migrator.analysis.rules.alteration import Alteration
from migrator.analysis.rules.names import object_name
from migrator.analysis.rules.online.constraints import default_name, taken
from migrator.parsing.build import build, name_text, relation_text
from migrator.parsing.nodes import Node, copy_of, enum
from migrator.parsing.statements import deparse
from migrator.plan import Suggestion

STEP = "constraint"


def constraint_step(item: Alteration) -> Suggestion | None:
    """Of a SET NOT NULL or ADD CONSTRAINT; None where such a step does not do it."""
    if item.subtype != "AT_SetNotNull":
        return step_of(item, item.constraint)
    if not item.relation.inh or item.relation.catalogname:
        return None
    column = item.command.name
    name = object_name(item.relation.relname, column, "not_null", taken=taken(item))
    return _suggested(item, name, f"NOT NULL {name_text(column)}")


def step_of(item: Alteration, constraint: Node) -> Suggestion | None:
    """Of a constraint of the table. None: a key, or before PostgreSQL 18 a foreign key, of a partitioned table; and a
    foreign key whose columns on the other side are not known."""
    kind = enum(constraint, "contype")
    whole = kind in ("CONSTR_CHECK", "CONSTR_NOTNULL") or (kind == "CONSTR_FOREIGN" and item.world.major >= 18)
    if not item.relation.inh or item.relation.catalogname or (item.is_partitioned and not whole):
        return None
    if constraint.without_overlaps or constraint.fk_with_period or constraint.pk_with_period:
        return None
    if constraint.indexname or constraint.skip_validation:
        return None
    wanted = copy_of(constraint)
    if kind == "CONSTR_FOREIGN" and not len(wanted.pk_attrs):
        for column in _primary_key(item, wanted):
            wanted.pk_attrs.add().string.sval = column
    if kind == "CONSTR_FOREIGN" and len(wanted.fk_attrs) != len(wanted.pk_attrs):
        return None
    return _suggested(item, constraint.conname or default_name(item, constraint), _definition(wanted))


def _primary_key(item: Alteration, constraint: Node) -> tuple[str, ...]:
    """The columns that a foreign key refers to where it names none."""
    facts = item.world.relation(item.world.name(constraint.pktable))
    keys = [one.columns for one in facts.constraints if one.kind == "p"] if facts is not None else []
    return tuple(keys[0]) if keys else ()


def _definition(constraint: Node) -> str:
    bare = copy_of(constraint)
    bare.conname = ""
    return deparse(build("ALTER TABLE tbl ADD CONSTRAINT con CHECK (true)", con=bare)).partition(" ADD ")[2]


def _suggested(item: Alteration, name: str, definition: str) -> Suggestion:
    given = {"table": relation_text(item.relation), "constraint": name_text(name), "definition": definition}
    return Suggestion(STEP, given)
