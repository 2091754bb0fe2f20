"""What a new column with a number of its own for every row comes to, whichever way it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from migrator.analysis.rules.alteration import Alteration, alterations
from migrator.analysis.rules.in_steps import altered
from migrator.analysis.rules.model import Hit
from migrator.analysis.rules.online import safely
from migrator.analysis.walk.subject import Subject


def numbered(subject: Subject, is_one: Callable[[Alteration], bool]) -> Iterator[Hit]:
    for item in alterations(subject, "AT_AddColumn"):
        if item.effects.rewrites and is_one(item):
            yield Hit(
                f"adding {item.column_def.colname} rewrites {item.table}{item.size}, because every row gets a number"
                " of its own; nobody can read or write the table meanwhile",
                severity=item.severity_of(assumed=False),
                alternative_sql=safely(subject),
                steps=altered(subject),
                part=item.position,
            )
