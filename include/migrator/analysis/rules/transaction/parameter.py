"""$1 where nobody gives a value."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import find
from migrator.plan import Severity

TAKE_VALUES = ("prepare_stmt", "create_function_stmt")
"""Statements in which parameters stand for what a later call gives."""


def check(subject: Subject) -> Iterator[Hit]:
    if subject.nested or subject.statement.name in TAKE_VALUES:
        return
    numbers = sorted({item.number for item in find(subject.statement.tree, "ParamRef")})
    if numbers:
        yield Hit(f"${numbers[0]} is a parameter, and nobody gives it a value here")


RULE = Rule(
    id="parameter-without-value",
    severity=Severity.ERROR,
    condition="$1 outside of a function's body and of PREPARE",
    effect="the server refuses the statement",
    alternative="write the value",
    without_sql="always: only the author knows the value",
    source=DOCS + "sql-expressions.html#SQL-EXPRESSIONS-PARAMETERS-POSITIONAL",
    statement=check,
    explains=("42P02", "08P01"),
    in_rollback=True,
)
