"""ADD COLUMN ... GENERATED ALWAYS AS (...) STORED."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.alteration import Alteration, alterations
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.online.backfill import expression, fill
from migrator.analysis.rules.online.columns import added, parts_of_column, take_apart
from migrator.analysis.rules.online.steps import Steps
from migrator.analysis.rules.online.sync import started
from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import Node, copy_of, enum
from migrator.plan import Severity


def check(subject: Subject) -> Iterator[Hit]:
    for item in alterations(subject, "AT_AddColumn"):
        if item.effects.rewrites and parts_of_column(item).stored:
            yield Hit(
                f"adding {item.column_def.colname} rewrites {item.table}{item.size}, because it is computed for every"
                " row; nobody can read or write the table meanwhile",
                severity=item.severity_of(assumed=False),
                help=RULE.alternative + (", or a VIRTUAL column, which is instant" if item.world.major >= 18 else ""),
                alternative_sql=_alternative(item),
                part=item.position,
            )


def _alternative(item: Alteration) -> str | None:
    """A plain column that a trigger keeps. It ends in another schema, so it is offered for this column alone."""
    if len(item.subject.statement.tree.cmds) > 1:
        return None
    plain = take_apart(item.column_def)
    value = _expression(plain.column)
    if plain.tables or plain.required is not None or value is None:
        return None
    column = copy_of(plain.column)
    del column.constraints[:]
    name = column.colname
    where = expression("SELECT col IS DISTINCT FROM val", col=name, val=value)
    return Steps(
        expand=(added(item, column), *started(item, name, value)), fill=fill(item, name, value, where)
    ).script()


def _expression(column: Node) -> Node | None:
    return next(
        (
            part.constraint.raw_expr
            for part in column.constraints
            if enum(part.constraint, "contype") == "CONSTR_GENERATED"
        ),
        None,
    )


RULE = Rule(
    id="add-column-generated",
    severity=Severity.WARNING,
    condition="ADD COLUMN ... GENERATED ALWAYS AS (...) STORED",
    effect="ACCESS EXCLUSIVE lock while the whole table and its indexes are written anew",
    alternative="add a plain column that a trigger keeps, and fill old rows in batches",
    without_sql="with other parts in the same ALTER TABLE, or NOT NULL, a key or a reference on the column: the plain"
    " column that a trigger keeps ends in another schema, and is offered for one column alone",
    source=DOCS + "ddl-generated-columns.html",
    aliases=("squawk:adding-field-with-default", "eugene:E11", "strong_migrations:add_column_generated_stored"),
    on=("alter_table_stmt",),
    subtypes=("AT_AddColumn",),
    statement=check,
    in_rollback=True,
)
