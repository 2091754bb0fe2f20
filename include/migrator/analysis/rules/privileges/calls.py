"""Which functions a statement calls, by name: what reaches beyond the database is called, and stands in no clause."""

from __future__ import annotations

from collections.abc import Collection

from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import Node, find, strings


def called(subject: Subject, names: Collection[str]) -> list[str]:
    """Those of `names` that it calls itself, qualified or not; what runs inside of it is asked by itself."""
    return sorted({name for name, _ in calls(subject)} & set(names))


def calls(subject: Subject) -> list[tuple[str, Node]]:
    return [(strings(item.funcname)[-1], item) for item in find(subject.statement.tree, "FuncCall")]


def first_text(call: Node) -> str:
    """The first argument, where it is a constant text."""
    if not len(call.args) or not call.args[0].HasField("a_const"):
        return ""
    return str(call.args[0].a_const.sval.sval)
