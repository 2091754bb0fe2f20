"""SECURITY DEFINER without a path of its own."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import Node
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    tree = subject.statement.tree
    options = tree.options if subject.statement.name == "create_function_stmt" else tree.actions
    elements = [item.def_elem for item in options]
    if any(item.defname == "security" and item.arg.boolean.boolval for item in elements) and not _safe(elements):
        yield Hit("it runs with its owner's rights, and finds what it calls through the path of whoever calls it")


def _safe(elements: list[Node]) -> bool:
    """A fixed search_path whose last schema is pg_temp: nobody's temporary objects come first."""
    for item in elements:
        setting = item.arg.variable_set_stmt
        if item.defname == "set" and setting.name == "search_path":
            schemas = [value.a_const.sval.sval for value in setting.args]
            return bool(schemas) and schemas[-1] == "pg_temp"
    return False


RULE = Rule(
    id="security-definer-path",
    severity=Severity.WARNING,
    condition="a function with SECURITY DEFINER that does not SET search_path, or does not end it with pg_temp",
    effect="who may create objects in a schema of the path runs code as the owner (CVE-2018-1058)",
    alternative="SET search_path = <its schemas>, pg_temp, as part of the function",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "sql-createfunction.html#SQL-CREATEFUNCTION-SECURITY",
    statement=check,
    on=("create_function_stmt", "alter_function_stmt"),
    in_rollback=True,
)
