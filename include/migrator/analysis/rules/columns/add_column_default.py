"""ADD COLUMN with a default that differs from row to row."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.effects.types.volatility import volatile_functions
from migrator.analysis.rules.alteration import alterations
from migrator.analysis.rules.in_steps import altered
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.online import safely
from migrator.analysis.rules.online.columns import parts_of_column
from migrator.analysis.walk.subject import Subject
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    for item in alterations(subject, "AT_AddColumn"):
        default = parts_of_column(item).default if item.effects.rewrites else None
        if default is None:
            continue
        sure, assumed = volatile_functions(default, item.world)
        if not sure and not assumed:
            continue
        why = " and ".join(f"{name}()" for name in (*sure, *assumed))
        yield Hit(
            f"adding {item.column_def.colname} rewrites {item.table}{item.size}, because {why} is volatile: it must be"
            f" computed for every row, and nobody can read or write the table meanwhile{'' if sure else item.doubt}",
            severity=item.severity_of(assumed=not sure),
            alternative_sql=safely(subject),
            steps=altered(subject),
            part=item.position,
        )


RULE = Rule(
    id="add-column-volatile-default",
    severity=Severity.WARNING,
    condition="ADD COLUMN with a volatile default: random(), clock_timestamp(), gen_random_uuid(), nextval()",
    effect="ACCESS EXCLUSIVE lock while the whole table and its indexes are written anew; a constant or a stable"
    " function such as now() is computed once, and costs nothing",
    alternative="add the column without a default, set the default in a second statement, fill old rows in batches",
    without_sql="when another part of the same ALTER TABLE has no way online: split the statement, and that part"
    " keeps its reason",
    source=DOCS + "sql-altertable.html#SQL-ALTERTABLE-NOTES",
    aliases=(
        "squawk:adding-field-with-default",
        "eugene:E11",
        "strong_migrations:add_column_default",
        "strong_migrations:add_column_default_callable",
    ),
    on=("alter_table_stmt",),
    subtypes=("AT_AddColumn",),
    statement=check,
    in_rollback=True,
)
