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
    """None where such a step does not do it: a key, or before PostgreSQL 18 a foreign key, of a partitioned table; and
    a foreign key that does not say which columns it refers to."""
    if not item.relation.inh or item.relation.catalogname:
        return None
    if item.subtype == "AT_SetNotNull":
        column = item.command.name
        name = object_name(item.relation.relname, column, "not_null", taken=taken(item))
        return _suggested(item, name, f"NOT NULL {name_text(column)}")
    constraint = item.constraint
    kind = enum(constraint, "contype")
    whole = kind in ("CONSTR_CHECK", "CONSTR_NOTNULL") or (kind == "CONSTR_FOREIGN" and item.world.major >= 18)
    if item.is_partitioned and not whole:
        return None
    if constraint.without_overlaps or constraint.fk_with_period or constraint.pk_with_period:
        return None
    if kind == "CONSTR_FOREIGN" and len(constraint.fk_attrs) != len(constraint.pk_attrs):
        return None
    return _suggested(item, constraint.conname or default_name(item, constraint), _definition(constraint))


def _definition(constraint: Node) -> str:
    bare = copy_of(constraint)
    bare.conname = ""
    return deparse(build("ALTER TABLE tbl ADD CONSTRAINT con CHECK (true)", con=bare)).partition(" ADD ")[2]


def _suggested(item: Alteration, name: str, definition: str) -> Suggestion:
    given = {"table": relation_text(item.relation), "constraint": name_text(name), "definition": definition}
    return Suggestion(STEP, given)
