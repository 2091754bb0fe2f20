"""ADD COLUMN with a default that must be computed for every row."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.effects.volatility import volatile_functions
from migrator.effects.world import commands
from migrator.nodes import enum
from migrator.plan import Severity
from migrator.rules.model import DOCS, Hit, Rule, Subject, severity_by_size, size_text


def check(subject: Subject) -> Iterator[Hit]:
    if subject.statement.name != "alter_table_stmt":
        return
    table = subject.world.name(subject.statement.tree.relation)
    if table not in subject.effects.rewrites:
        return
    for command in commands(subject.statement.tree):
        if enum(command, "subtype") != "AT_AddColumn":
            continue
        column = getattr(command, "def").column_def
        why = "its values are generated row by row"
        for item in column.constraints:
            if enum(item.constraint, "contype") == "CONSTR_DEFAULT":
                sure, assumed = volatile_functions(item.constraint.raw_expr, subject.world)
                why = f"{' and '.join(f'{name}()' for name in (*sure, *assumed))} is volatile"
        yield Hit(
            f"adding {column.colname} rewrites {table}{size_text(subject, table)}, because {why}; nobody can read or"
            " write it meanwhile",
            severity=severity_by_size(subject, table),
        )


RULE = Rule(
    id="add-column-rewrites",
    severity=Severity.WARNING,
    condition="ADD COLUMN with a volatile default, as serial, as identity, or as a stored generated column",
    effect="ACCESS EXCLUSIVE lock while the whole table and its indexes are written anew",
    alternative="add the column without a default, set it in a second statement, fill old rows in batches",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-NOTES",
    aliases=("squawk:adding-field-with-default", "eugene:E5", "strong_migrations:add_column_default"),
    statement=check,
    on=("alter_table_stmt",),
)
