"""A new enum value that is used before the transaction that adds it is committed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.script import Script
from migrator.analysis.walk.subject import Subject
from migrator.parsing.build import later
from migrator.parsing.nodes import Node, commands, enum, find, name_of, strings, type_parts
from migrator.plan import Severity

USERS = (
    "insert_stmt",
    "update_stmt",
    "delete_stmt",
    "select_stmt",
    "alter_table_stmt",
    "create_stmt",
    "index_stmt",
    "do_stmt",
)


def check(script: Script) -> Iterator[Hit]:
    subjects = list(script.everything())
    if any(subject.statement.name == "alter_enum_stmt" for subject in subjects):
        for subject in subjects:
            if subject.statement.name in USERS:
                for hit in _uses(subject):
                    yield replace(hit, subject=subject)


def _uses(subject: Subject) -> Iterator[Hit]:
    before = [item for item in subject.earlier if item.transaction == subject.transaction]
    if not before:
        return
    for adding in before:
        tree = adding.statement.tree
        if adding.statement.name != "alter_enum_stmt" or not tree.new_val or tree.old_val:
            continue
        parts = strings(tree.type_name)
        if subject.world.major >= 17 and _created(before, parts[-1]):
            continue
        used = _used(subject, tree.new_val, parts[-1])
        if used is None:
            continue
        yield Hit(
            f"the value '{tree.new_val}' of {'.'.join(parts)} is added in the same transaction (line"
            f" {adding.statement.line}), so using it may fail with 55P04"
            + ("" if used else f", if it is meant as a value of {'.'.join(parts)} here"),
            severity=Severity.WARNING if used else Severity.INFO,
            alternative_sql=None if subject.nested else later(subject.statement.node),
        )


def _created(before: list[Subject], name: str) -> bool:
    """From PostgreSQL 17 on the values of a type made in the same transaction can be used."""
    return any(
        item.statement.name == "create_enum_stmt" and strings(item.statement.tree.type_name)[-1] == name
        for item in before
    )


def _used(subject: Subject, value: str, type_name: str) -> bool | None:
    """True: surely as this type. False: the same text, maybe as something else. None: not at all."""
    node = subject.statement.node
    if any(_casts(cast, value, type_name) for cast in find(node, "TypeCast")):
        return True
    if not any(item.sval.sval == value for item in find(node, "A_Const") if item.WhichOneof("val") == "sval"):
        return None
    if subject.statement.name in ("insert_stmt", "update_stmt"):
        facts = subject.world.relation(subject.world.name(subject.statement.tree.relation))
        if facts is not None:
            typed = any(item.type.rsplit(".", 1)[-1].strip('"') == type_name for item in facts.columns.values())
            return True if typed else None
    if subject.statement.name == "alter_table_stmt":
        return _default(subject, value, type_name)
    return False


def _default(subject: Subject, value: str, type_name: str) -> bool:
    """Whether a column of this type gets it as its default."""
    facts = subject.world.relation(subject.world.name(subject.statement.tree.relation))
    for command in commands(subject.statement.tree):
        constants = {item.sval.sval for item in find(command, "A_Const") if item.WhichOneof("val") == "sval"}
        if value not in constants:
            continue
        if enum(command, "subtype") == "AT_ColumnDefault" and facts is not None:
            column = facts.columns.get(command.name)
            if column is not None and column.type.rsplit(".", 1)[-1].strip('"') == type_name:
                return True
        elif any(type_parts(item.type_name)[-1:] == (type_name,) for item in find(command, "ColumnDef")):
            return True
    return False


def _casts(cast: Node, value: str, type_name: str) -> bool:
    if strings(cast.type_name.names)[-1:] != (type_name,) or name_of(cast.arg) != "a_const":
        return False
    return bool(cast.arg.a_const.sval.sval == value)


RULE = Rule(
    id="enum-value-in-same-transaction",
    severity=Severity.WARNING,
    condition="ALTER TYPE ... ADD VALUE and a later statement of the transaction that uses the value",
    effect="fails with 55P04, unsafe use of new value; PostgreSQL 17 allows it when the type itself is just as new",
    alternative="use the value in the next migration",
    without_sql="inside of a function or DO block, which is to be changed itself",
    source=DOCS + "sql-altertype.html#SQL-ALTERTYPE-NOTES",
    aliases=("pgsafe:enum-value-used-in-transaction",),
    script=check,
    predicts=True,
)
