"""A trigger that computes a column from others for every new and changed row."""

from __future__ import annotations

from migrator.analysis.rules.alteration import Alteration
from migrator.analysis.rules.names import object_name
from migrator.analysis.rules.online.expressions import of_new_row
from migrator.parsing.build import beside, build, expression_text, name_text, parts_of
from migrator.parsing.nodes import Node

BODY = """
BEGIN
  NEW.{column} := {value};
  RETURN NEW;
END
"""


def started(alteration: Alteration, column: str, value: Node) -> tuple[Node, Node]:
    """CREATE FUNCTION and CREATE TRIGGER. `value`: an expression over the table's other columns."""
    name = _name(alteration, column)
    function = build(
        "CREATE FUNCTION fun() RETURNS trigger LANGUAGE plpgsql AS 'body'",
        fun=parts_of(beside(alteration.relation, name)),
        body=BODY.format(column=name_text(column), value=expression_text(of_new_row(value))),
    )
    trigger = build(
        "CREATE TRIGGER trg BEFORE INSERT OR UPDATE ON tbl FOR EACH ROW EXECUTE FUNCTION fun()",
        trg=name,
        tbl=beside(alteration.relation, alteration.relation.relname),
        fun=parts_of(beside(alteration.relation, name)),
    )
    return function, trigger


def renamed_target(alteration: Alteration, column: str, now: str, value: Node) -> Node:
    """The same function for the column under its new name: the trigger stays."""
    return build(
        "CREATE OR REPLACE FUNCTION fun() RETURNS trigger LANGUAGE plpgsql AS 'body'",
        fun=parts_of(beside(alteration.relation, _name(alteration, column))),
        body=BODY.format(column=name_text(now), value=expression_text(of_new_row(value))),
    )


def ended(alteration: Alteration, column: str) -> tuple[Node, Node]:
    name = _name(alteration, column)
    return (
        build("DROP TRIGGER trg ON tbl", trg=name, tbl=parts_of(alteration.relation)),
        build("DROP FUNCTION fun()", fun=parts_of(beside(alteration.relation, name))),
    )


def _name(alteration: Alteration, column: str) -> str:
    return object_name(alteration.relation.relname, column, "sync")
