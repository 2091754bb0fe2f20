"""A sequence that is set to a number which somebody has written down."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.facts.constants import sequences_of
from migrator.parsing.nodes import Node, enum, find, name_of, option, strings
from migrator.plan import Severity

_CALLING = ("select_stmt", "do_stmt", "insert_stmt", "update_stmt", "create_table_as_stmt")


def check(subject: Subject) -> Iterator[Hit]:
    tree, world = subject.statement.tree, subject.world
    if subject.statement.name == "alter_seq_stmt":
        if option(tree.options, "restart") is not None:
            yield from _hit(subject, world.name(tree.sequence), "sequence")
    elif subject.statement.name == "alter_table_stmt":
        for command in find(tree, "AlterTableCmd"):
            options = getattr(command, "def").list.items
            if enum(command, "subtype") == "AT_SetIdentity" and option(options, "restart") is not None:
                table = world.name(tree.relation)
                if not world.is_certainly_new(table):
                    yield _told(f"the identity of {table}.{command.name}")
    elif subject.statement.name in _CALLING:
        for call in find(tree, "FuncCall"):
            if strings(call.funcname)[-1:] == ("setval",) and len(call.args) > 1 and _is_constant(call.args[1]):
                for name in sequences_of(call):
                    yield from _hit(subject, world.dotted(tuple(part for part in name if part)), "sequence")


def _is_constant(value: Node) -> bool:
    while name_of(value) == "type_cast":
        value = value.type_cast.arg
    return bool(name_of(value) == "a_const")


def _hit(subject: Subject, name: str, what: str) -> Iterator[Hit]:
    if not subject.world.is_certainly_new(name):
        yield _told(f"{what} {name}")


def _told(what: str) -> Hit:
    return Hit(f"{what} is set to a number that is written here, whatever has been used when this runs")


RULE = Rule(
    id="sequence-set-to-constant",
    severity=Severity.WARNING,
    condition="setval() to a constant, or RESTART, of a sequence or identity that was there before",
    effect="numbers that were used since the number was written down are given again: 23505, or two rows with one",
    alternative="SELECT setval(sequence, greatest((SELECT max(column) FROM table), 1)): it asks when it runs",
    without_sql="always: which columns a sequence feeds, and whether numbers may be given again, its owner knows",
    source=DOCS + "functions-sequence.html#FUNCTIONS-SEQUENCE-TABLE",
    statement=check,
    on=("alter_seq_stmt", "alter_table_stmt", *_CALLING),
    subtypes=("AT_SetIdentity",),
    in_rollback=True,
)
